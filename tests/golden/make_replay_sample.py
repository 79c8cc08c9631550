#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts tests/golden/data/replay-*.hdf5 out of recorded data: see test_replay.c.

Usage, from the root of the project: tests/golden/make_replay_sample.py DATA_FOLDER
Rows are single transitions: every STRIDE-th, and some that end an episode.
Generated with Debian 12's python3-h5py 3.7.0 and python3-numpy 1.24.
"""
import sys

import h5py
import numpy as np

STRIDE, TERMINALS = 250, 60
FIELDS = ["actions", "observations", "next_observations", "rewards", "terminals", "infos/qpos", "infos/qvel"]

for env in ["hopper", "halfcheetah"]:
    with h5py.File(f"{sys.argv[1]}/{env}-medium.hdf5") as source:
        terminals = np.flatnonzero(source["terminals"][:])[:TERMINALS]
        rows = np.union1d(np.arange(0, len(source["rewards"]), STRIDE), terminals)
        with h5py.File(f"tests/golden/data/replay-{env}.hdf5", "w") as sample:
            for name in FIELDS:
                sample.create_dataset(name, data=source[name][:][rows], compression=9, shuffle=True)
            for name in ["env", "simulator", "provenance", "licence", "model_source"]:
                sample.attrs[name] = source.attrs[name]
            sample.attrs["cut"] = (f"by make_replay_sample.py from {env}-medium.hdf5: every {STRIDE}th transition "
                                   f"and the first {len(terminals)} that end an episode; rows are not consecutive")
