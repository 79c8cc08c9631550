#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts tests/data out of larger datasets: whole trajectories, their arrays and attributes as they are.

Usage, from the root of the project: tests/data/cut.py FOLDER
FOLDER has the files of the same names. Generated with Debian 12's python3-h5py 3.7.0 and python3-numpy 1.24.
"""
import os
import shutil
import sys

import h5py
import numpy as np

OUT = "tests/data"
# How many that end by themselves and how many that were cut off, the shortest of each.
FILES = {"hopper-medium": (3, 1), "halfcheetah-medium": (0, 1), "real-door-human": (0, 2), "real-panda-human": (0, 2)}


def chosen(source, terminated, truncated):
    """Numbers of the trajectories, and their rows."""
    ends = {name: source[name][()].astype(bool) for name in ("terminals", "timeouts")}
    stops = np.flatnonzero(ends["terminals"] | ends["timeouts"]) + 1
    spans = list(zip(np.concatenate([[0], stops[:-1]]), stops))
    by_length = sorted(range(len(spans)), key=lambda i: spans[i][1] - spans[i][0])
    pick = [i for i in by_length if ends["terminals"][spans[i][1] - 1]][:terminated]
    pick += [i for i in by_length if not ends["terminals"][spans[i][1] - 1]][:truncated]
    return sorted(pick), np.concatenate([np.arange(*spans[i]) for i in sorted(pick)])


def cut_flat(source, path, rows, said):
    with h5py.File(path, "w") as out:
        def put(name, item):
            if isinstance(item, h5py.Dataset):
                # The stored type, an enumeration of booleans among them, is kept.
                new = out.create_dataset(name, shape=(len(rows),) + item.shape[1:], dtype=item.dtype,
                                         chunks=(len(rows),) + item.shape[1:], compression=9, shuffle=True)
                new[...] = item[()][rows]
        source.visititems(put)
        for name in ("env", "simulator", "provenance", "licence", "model_source", "conversion", "layout", "note"):
            if name in source.attrs:
                out.attrs[name] = source.attrs[name]
        out.attrs["cut"] = said


def cut_npz(folder, name, rows):
    """Compressed as the hopper's, or stored in Fortran order as the arm's: as the source has it."""
    source = np.load(f"{folder}/{name}.npz")
    arrays = {key: np.asfortranarray(value[rows]) if np.isfortran(value) else value[rows] for key, value in source.items()}
    np.savez(f"{OUT}/{name}.npz", **arrays)


def cut_minari(folder, pick):
    place = "minari/hopper-medium-v0/data"
    os.makedirs(f"{OUT}/{place}", exist_ok=True)
    with h5py.File(f"{folder}/{place}/main_data.hdf5") as source, h5py.File(f"{OUT}/{place}/main_data.hdf5", "w") as out:
        steps = 0
        for new, old in enumerate(pick):
            source.copy(f"episode_{old}", out, name=f"episode_{new}")
            if "id" in out[f"episode_{new}"].attrs:
                out[f"episode_{new}"].attrs["id"] = new
            steps += len(out[f"episode_{new}/rewards"])
        for key, value in source.attrs.items():
            out.attrs[key] = value
        out.attrs["total_episodes"], out.attrs["total_steps"] = len(pick), steps


def main(folder):
    for name, (terminated, truncated) in FILES.items():
        with h5py.File(f"{folder}/{name}.hdf5") as source:
            pick, rows = chosen(source, terminated, truncated)
            cut_flat(source, f"{OUT}/{name}.hdf5", rows, f"trajectories {pick} of {name}.hdf5, by tests/data/cut.py")
            print(name, pick, len(rows), os.path.getsize(f"{OUT}/{name}.hdf5"))
        if name == "hopper-medium":
            with h5py.File(f"{OUT}/{name}.hdf5") as cut:
                keys = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
                np.savez_compressed(f"{OUT}/{name}.npz", **{key: cut[key][()] for key in keys})
            cut_minari(folder, pick)
        if os.path.exists(f"{folder}/{name}.npz"):
            cut_npz(folder, name, rows)
    # The expert that rl-trained-agents' licence is of has no part in these.
    for place in ("models", "licences"):
        shutil.copytree(f"{folder}/{place}", f"{OUT}/{place}", dirs_exist_ok=True, ignore=lambda *_: ["rl-trained-agents.MIT"])


main(sys.argv[1])
