# SPDX-License-Identifier: Apache-2.0
"""Writes a large upload: the trajectories of a D4RL HDF5 file, repeated, as safetensors in the upload layout.

Usage: make_service_data.py IN.hdf5 OUT.safetensors MEGABYTES      (1 MB = 10^6 bytes; at least one copy)
Prints the number of transitions. Only whole copies are written, so the file may be up to one copy larger.
"""
import json
import struct
import sys

import h5py
import numpy


def one_copy(path):
    with h5py.File(path) as f:
        data = {k: f[k][:] for k in ("observations", "actions", "rewards", "terminals", "timeouts")}
        following = f["next_observations"][:] if "next_observations" in f else None
    ends = numpy.flatnonzero(data["terminals"].astype(bool) | data["timeouts"].astype(bool)) + 1
    begins = numpy.concatenate(([0], ends[:-1]))
    rows = []
    for begin, end in zip(begins, ends):
        rows.append(data["observations"][begin:end])
        if following is not None:
            rows.append(following[end - 1:end])
    n = int(ends[-1])  # a trailing unfinished episode is left out
    return {
        "length": (ends - begins).astype("<i8"),
        "observations": numpy.concatenate(rows).astype("<f4"),
        "actions": data["actions"][:n].astype("<f4"),
        "rewards": data["rewards"][:n].reshape(-1).astype("<f4"),
        "terminated": data["terminals"].astype(bool)[ends - 1].astype("u1"),
        "truncated": data["timeouts"].astype(bool)[ends - 1].astype("u1"),
        "has_final": numpy.full(len(ends), following is not None, "u1"),
    }


def main():
    source, target, megabytes = sys.argv[1], sys.argv[2], float(sys.argv[3])
    copy = one_copy(source)
    copies = max(1, -(-int(megabytes * 1e6) // sum(v.nbytes for v in copy.values())))
    names = {"int64": "I64", "float32": "F32", "uint8": "U8"}
    header, at = {}, 0
    for name, value in copy.items():
        size = value.nbytes * copies
        header[name] = {"dtype": names[value.dtype.name], "shape": [len(value) * copies, *value.shape[1:]],
                        "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for value in copy.values():
            for _ in range(copies):
                f.write(value.tobytes())
    print(len(copy["rewards"]) * copies)


main()
