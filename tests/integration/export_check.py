#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the four exports of one dataset, read by h5py, numpy and json only.

Usage: export_check.py DIR    (DIR holds both.hdf5, both.npz, both.jsonl, both.safetensors)
"""
import json
import struct
import sys
import tarfile

import h5py
import numpy as np

TYPES = {"F32": "<f4", "I64": "<i8", "U8": "u1", "BOOL": "?"}
CERTAIN = ["action_std", "action_epistemic", "action_score"]
FLAT = "observations actions rewards terminals timeouts next_observations next_known action_source action_residual action_verified".split() + CERTAIN


def read_safetensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    assert (n + 8) % 64 == 0
    out = {}
    for name, t in json.loads(raw[8 : 8 + n]).items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            out[name] = np.frombuffer(raw[8 + n + begin : 8 + n + end], TYPES[t["dtype"]]).reshape(t["shape"])
    return out


FACTS = {"dataset": 'an "export" of ä', "act_low": "[-1.0,-1.0]"}


def check_facts(folder):
    """What each file says of itself, where its format has a place for that."""
    raw = open(folder + "/both.safetensors", "rb").read()
    meta = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])["__metadata__"]
    with h5py.File(folder + "/both.hdf5") as f:
        attributes = dict(f.attrs)
        assert all(f[k].compression == "gzip" and f[k].shuffle for k in f)
    with np.load(folder + "/both.npz", allow_pickle=False) as f:
        member = json.loads(bytes(f["metadata"]))
    with tarfile.open(folder + "/both.lerobot") as tar:
        info = json.load(tar.extractfile("meta/info.json"))["proxact"]
    assert {**meta, "format": None} == {**FACTS, "format": None}, meta
    assert attributes == FACTS and member == FACTS and info == FACTS, (attributes, member, info)


def same(a, b, what):
    assert a.shape == b.shape and a.dtype == b.dtype, (what, a.shape, b.shape, a.dtype, b.dtype)
    assert a.tobytes() == b.tobytes(), what


def check_flat(st, flat, name):
    """The D4RL arrays against the trajectories, one by one."""
    assert sorted(flat) == sorted(FLAT), (name, sorted(flat))
    assert flat["terminals"].dtype == bool and flat["timeouts"].dtype == bool
    for key in ["actions", "rewards", "action_source", "action_residual", "action_verified"] + CERTAIN:
        same(flat[key], st[key], (name, key))
    step = obs = 0
    for i, steps in enumerate(st["length"]):
        rows, final = st["observations"][obs:], st["has_final"][i]
        part = slice(step, step + steps)
        same(flat["observations"][part], rows[:steps], (name, i))
        following = np.concatenate([rows[1:steps], rows[steps : steps + 1] if final else rows[steps - 1 : steps]])
        same(flat["next_observations"][part], following, (name, i))
        ends = np.zeros(steps, bool)
        ends[-1] = True
        same(flat["terminals"][part], ends & bool(st["terminated"][i]), (name, i))
        same(flat["timeouts"][part], ends & bool(st["truncated"][i]), (name, i))
        same(flat["next_known"][part], (~ends | bool(final)).astype("u1"), (name, i))
        step, obs = step + steps, obs + steps + final
    assert step == len(flat["rewards"])


def rows_of(values, like):
    absent = [0] * like.shape[1] if like.ndim == 2 else 0
    return np.array([absent if v is None else v for v in values], like.dtype)


def check_jsonl(st, path):
    step = obs = 0
    for i, line in enumerate(open(path)):
        t = json.loads(line)
        steps, n_obs = int(st["length"][i]), int(st["length"][i] + st["has_final"][i])
        part = slice(step, step + steps)
        same(np.array(t["observations"], "f4"), st["observations"][obs : obs + n_obs], i)
        same(np.array(t["rewards"], "f4"), st["rewards"][part], i)
        same(rows_of(t["actions"], st["actions"]), st["actions"][part], i)
        for key in CERTAIN:
            same(rows_of(t[key], st[key]), st[key][part], (i, key))
            assert [a is None for a in t[key]] == list(st["action_source"][part] < 2), (i, key)
        for key in ["action_residual", "action_verified"]:  # only where a simulator took part
            if key in t:
                same(rows_of(t[key], st[key]), st[key][part], (i, key))
            else:
                assert not st[key][part].any(), (i, key)
        same(np.array(t["action_source"], "u1"), st["action_source"][part], i)
        assert [a is None for a in t["actions"]] == list(st["action_source"][part] == 0)
        assert [t["terminated"], t["truncated"]] == [bool(st["terminated"][i]), bool(st["truncated"][i])]
        step, obs = step + steps, obs + n_obs
    assert i + 1 == len(st["length"])


def check_total(st, kind):
    """action_std is the whole deviation: never less than its epistemic part, and the score is made of it."""
    proxy = st["action_source"] >= 2
    std, epistemic, score = (st[key][proxy].astype("f8") for key in CERTAIN)
    assert (std >= epistemic - 1e-6).all() and (std > 0).all() and (epistemic > 0).all()
    assert not any(st[key][~proxy].any() for key in CERTAIN)
    half = [1, 2]  # of the ranges that tests/support/trajs.c declares
    whole = std if kind == "discrete" else (std / half).mean(1)
    assert np.allclose(score, whole, atol=1e-6), np.abs(score - whole).max()


def main(folder):
    st = read_safetensors(folder + "/both.safetensors")
    assert set(st["action_source"]) == {0, 1, 2, 3}
    kind = "discrete" if st["actions"].dtype == np.int64 else "continuous"
    assert (st["actions"].ndim, st["action_std"].ndim) == ((1, 1) if kind == "discrete" else (2, 2))
    check_total(st, kind)
    with h5py.File(folder + "/both.hdf5") as f:
        check_flat(st, {k: f[k][()] for k in f}, "hdf5")
    with np.load(folder + "/both.npz", allow_pickle=False) as f:
        check_flat(st, {k: f[k] for k in f.files if k != "metadata"}, "npz")
    check_facts(folder)
    check_jsonl(st, folder + "/both.jsonl")
    print(f"{len(st['length'])} trajectories, {int(st['length'].sum())} {kind} steps: all formats agree")


main(sys.argv[1])
