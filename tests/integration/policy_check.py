#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Policies as clients/python acts with them, against the actions that this project's own code took.

Usage: policy_check.py DIR    (DIR holds NAME.policy and NAME.acted: observations [T, O], rewards [T], actions [T, A])
"""
import glob
import os
import sys

import numpy as np

sys.path.insert(0, "clients/python")
from proxact import Policy, read_safetensors  # noqa: E402

names = sorted(glob.glob(os.path.join(sys.argv[1], "*.policy")))
assert names, "no policies to compare"
for name in names:
    policy, (acted, _) = Policy(name), read_safetensors(name.removesuffix("policy") + "acted")
    worst = 0.0
    for episode in range(int(acted["episodes"][0])):
        policy.reset()
        for t in range(len(acted["observations"]) // int(acted["episodes"][0])):
            row = episode * (len(acted["observations"]) // int(acted["episodes"][0])) + t
            action = policy.act(acted["observations"][row], acted["rewards"][row - 1] if t else 0.0)
            worst = max(worst, float(np.abs(acted["actions"][row] - action).max()))
    print(f"{os.path.basename(name)}: largest difference {worst:.1e}")
    assert worst < 1e-4, name
