# SPDX-License-Identifier: Apache-2.0
"""Small trajectory files, good and bad, for the tests of uploads. Usage: make_uploads.py FOLDER

Every good file holds the same 12 trajectories: 3 observation dims, 2 action dims, trajectory i has 5 + i steps.
Trajectories 0 .. 5 have actions; in partly_* and the JSON lines the others have none.
"""
import gzip
import json
import pathlib
import struct
import sys

import h5py
import numpy as np

OUT = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(7)
N = 12


def trajectories():
    for i in range(N):
        steps = 5 + i
        yield {"observations": rng.normal(size=(steps + 1, 3)).astype("f4"),
               "actions": rng.uniform(-1, 1, size=(steps, 2)).astype("f4"), "rewards": rng.normal(size=steps).astype("f4")}


DATA = list(trajectories())


def flat():
    rows = {"observations": [], "next_observations": [], "actions": [], "rewards": [], "terminals": [], "timeouts": []}
    for i, t in enumerate(DATA):
        steps = len(t["rewards"])
        rows["observations"].append(t["observations"][:-1])
        rows["next_observations"].append(t["observations"][1:])
        rows["actions"].append(t["actions"])
        rows["rewards"].append(t["rewards"])
        end = np.arange(steps) == steps - 1
        rows["terminals"].append(end if i % 2 else np.zeros(steps, bool))
        rows["timeouts"].append(np.zeros(steps, bool) if i % 2 else end)
    return {k: np.concatenate(v) for k, v in rows.items()}


def hdf5(name, arrays):
    with h5py.File(OUT / name, "w") as f:
        for key, value in arrays.items():
            f.create_dataset(key, data=value)


def jsonl(name, lines):
    (OUT / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def line(i, actions=True):
    t = DATA[i]
    return {"observations": t["observations"].tolist(), "rewards": t["rewards"].tolist(),
            "actions": t["actions"].tolist() if actions else None, "terminated": i % 2 == 1, "truncated": i % 2 == 0}


def safetensors(name, tensors):
    header, data = {}, b""
    types = {"float32": "F32", "int64": "I64", "uint8": "U8"}
    for key, value in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
        raw = value.tobytes()
        header[key] = {"dtype": types[str(value.dtype)], "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (OUT / name).write_bytes(struct.pack("<Q", len(text)) + text + data)


def tensors(n=N):
    return {"length": np.array([len(t["rewards"]) for t in DATA[:n]], "i8"),
            "observations": np.concatenate([t["observations"] for t in DATA[:n]]),
            "actions": np.concatenate([t["actions"] for t in DATA[:n]]),
            "rewards": np.concatenate([t["rewards"] for t in DATA[:n]]),
            "terminated": np.array([i % 2 for i in range(n)], "u1"),
            "truncated": np.array([1 - i % 2 for i in range(n)], "u1"), "has_final": np.ones(n, "u1")}


def good():
    rows = flat()
    hdf5("good.hdf5", rows)
    np.savez(OUT / "good.npz", **rows)
    jsonl("good.jsonl", [line(i) for i in range(N)])
    safetensors("good.safetensors", tensors())
    with h5py.File(OUT / "minari.hdf5", "w") as f:
        for i, t in enumerate(DATA):
            group = f.create_group(f"episode_{i}")
            steps = len(t["rewards"])
            group["observations"], group["actions"], group["rewards"] = t["observations"], t["actions"], t["rewards"]
            group["terminations"] = np.arange(steps) == (steps - 1 if i % 2 else steps)
            group["truncations"] = np.arange(steps) == (steps if i % 2 else steps - 1)
    hdf5("free.hdf5", {k: v for k, v in rows.items() if k != "actions"})
    jsonl("partly.jsonl", [line(i, i < 6) for i in range(N)])
    mask = np.concatenate([np.full(5 + i, i < 6) for i in range(N)]).astype("u1")
    hdf5("partly.hdf5", {**rows, "action_mask": mask})


def bad():
    rows = flat()
    hdf5("dims.hdf5", {**rows, "observations": rows["observations"][:, :2], "next_observations": rows["next_observations"][:, :2]})
    hdf5("act_dims.hdf5", {**rows, "actions": np.repeat(rows["actions"], 2, axis=1)})
    wrong = rows["observations"].copy()
    wrong[12, 1] = np.nan  # trajectory 2, step 1
    hdf5("nan.hdf5", {**rows, "observations": wrong, "next_observations": rows["next_observations"]})
    hdf5("ragged.hdf5", {**rows, "rewards": rows["rewards"][:-3]})
    wrong = rows["actions"].copy()
    wrong[20, 1] = 1.5
    hdf5("range.hdf5", {**rows, "actions": wrong})
    wrong = line(1)
    wrong["actions"][3][0] = -7
    jsonl("range.jsonl", [line(0), wrong])
    wrong = line(1)
    wrong["observations"][2] = wrong["observations"][2][:2]
    jsonl("ragged.jsonl", [line(0), wrong])
    jsonl("zero.jsonl", [line(0), {"observations": [[0, 0, 0]], "rewards": [], "actions": [], "terminated": True, "truncated": False}])
    (OUT / "nan.jsonl").write_text('{"observations": [[0,0,0],[0,NaN,0]], "rewards": [1], "actions": null, "terminated": true, "truncated": false}\n')
    (OUT / "empty.jsonl").write_text("\n")
    whole = tensors()
    safetensors("zero.safetensors", {**whole, "length": np.where(np.arange(N) == 3, 0, whole["length"])})
    safetensors("lengths.safetensors", {**whole, "length": whole["length"] + 1})
    cut = (OUT / "good.hdf5").read_bytes()
    (OUT / "cut.hdf5").write_bytes(cut[:len(cut) * 2 // 3])
    (OUT / "cut.npz").write_bytes((OUT / "good.npz").read_bytes()[:2000])
    (OUT / "cut.safetensors").write_bytes((OUT / "good.safetensors").read_bytes()[:-100])
    (OUT / "noise.hdf5").write_bytes(rng.bytes(5000))
    (OUT / "pickle.npz").write_bytes(b"")
    np.savez(OUT / "pickle.npz", **{**rows, "observations": np.array([{"a": 1}] * 3, dtype=object)})
    np.savez_compressed(OUT / "bomb.npz", observations=np.zeros((8_000_000, 3), "f4"), rewards=np.zeros(8_000_000, "f4"),
                        terminals=np.zeros(8_000_000, "u1"))
    with gzip.open(OUT / "bomb.jsonl.gz", "wb") as f:
        for _ in range(60):
            f.write(b" " * 1_000_000)
    with h5py.File(OUT / "link.hdf5", "w") as f:
        for key, value in rows.items():
            if key != "observations":
                f[key] = value
        f["observations"] = h5py.ExternalLink(str(OUT / "good.hdf5"), "/observations")
    (OUT / "raw.bin").write_bytes(rows["observations"].tobytes())
    with h5py.File(OUT / "external.hdf5", "w") as f:
        for key, value in rows.items():
            if key != "observations":
                f[key] = value
        f.create_dataset("observations", shape=rows["observations"].shape, dtype="f4",
                         external=[(str(OUT / "raw.bin"), 0, h5py.h5f.UNLIMITED)])


good()
bad()
