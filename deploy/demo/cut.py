#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts the demo's dataset out of a larger D4RL HDF5 file.

Usage: deploy/demo/cut.py SOURCE.hdf5 [OUT.hdf5] [MAX_BYTES]

Takes whole trajectories, evenly spread over their returns, as many (at most
100) as fit into MAX_BYTES (5 MB); they keep the source's order. Attributes are
copied; the statistics among them are computed again. The same source gives the
same bytes with the same h5py.
"""
import os
import sys

import h5py
import numpy as np

ARRAYS = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")


def episodes(source):
    """(first, end) of each, and its return."""
    ends = np.flatnonzero(source["terminals"][()].astype(bool) | source["timeouts"][()].astype(bool)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    rewards = source["rewards"][()].astype("f8")
    return list(zip(starts, ends)), np.array([rewards[a:b].sum() for a, b in zip(starts, ends)])


def spread(returns, n):
    """The n ranks in the middle of n equal parts of the returns' order, in the file's order."""
    order = np.argsort(returns, kind="stable")
    return np.sort(order[((np.arange(n) + 0.5) * len(order) / n).astype(int)])


def write(source, path, spans, returns, chosen):
    rows = np.concatenate([np.arange(*spans[i]) for i in chosen])
    lengths = np.array([spans[i][1] - spans[i][0] for i in chosen])
    picked = returns[chosen]
    with h5py.File(path, "w") as out:
        for name in ARRAYS:
            values = source[name][()][rows]
            out.create_dataset(name, data=values, chunks=(min(8192, len(rows)),) + values.shape[1:],
                               compression="gzip", compression_opts=9, shuffle=True)
        for key, value in source.attrs.items():
            out.attrs[key] = value
        low, high = source.attrs["ref_random"], source.attrs["ref_expert"]
        stats = {"return": picked, "score": 100 * (picked - low) / (high - low), "length": lengths}
        for name, x in stats.items():
            for key, function in (("mean", np.mean), ("min", np.min), ("max", np.max), ("median", np.median), ("std", np.std)):
                if f"{name}_{key}" in source.attrs:
                    out.attrs[f"{name}_{key}"] = np.array(function(x)).astype(np.asarray(source.attrs[f"{name}_{key}"]).dtype)
        out.attrs["trajectories"], out.attrs["transitions"] = len(chosen), len(rows)
        out.attrs["terminals"] = int(out["terminals"][()].sum())
        out.attrs["timeouts"] = int(out["timeouts"][()].sum())
        out.attrs["cut"] = (f"{len(chosen)} of {len(spans)} trajectories of {os.path.basename(source.filename)}, "
                            "evenly spread over their returns, whole and in order, by deploy/demo/cut.py")
    return os.path.getsize(path)


def main(source_path, path="deploy/demo/hopper-demo.hdf5", most="5000000"):
    with h5py.File(source_path, "r") as source:
        spans, returns = episodes(source)
        for n in range(min(100, len(spans)), 0, -1):
            size = write(source, path, spans, returns, spread(returns, n))
            if size <= int(most):
                print(f"{path}: {n} trajectories, {size} bytes")
                return
    sys.exit("not even one trajectory fits")


main(*sys.argv[1:])
