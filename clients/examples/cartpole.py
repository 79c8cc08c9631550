#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a CartPole dataset, whose actions are discrete, as a file to upload.

Usage: clients/examples/cartpole.py OUT.npz [--episodes 200] [--labelled 0.1] [--seed 0]

A third of the episodes takes random actions, a third a controller that balances but acts at random six times in ten,
a third that controller alone (500 steps). `action_mask` tells which episodes are labelled: that share, drawn evenly.

    curl --json '{"name": "cartpole", "obs_dim": 4, "act_count": 2, "env": "cartpole"}' ... $PROXACT_URL/v1/datasets
    curl -T OUT.npz ... "$PROXACT_URL/v1/datasets/cartpole/trajectories?filename=OUT.npz"

Equations and constants are those of Gymnasium's CartPole-v1 (Barto, Sutton, Anderson 1983; Florian 2007).
"""
import argparse

import numpy as np

LIMIT, NOISE = 500, (1.0, 0.6, 0.0)


def step(state, action):
    x, v, theta, omega = state
    force = 10.0 if action else -10.0
    push = (force + 0.05 * omega**2 * np.sin(theta)) / 1.1
    alpha = (9.8 * np.sin(theta) - np.cos(theta) * push) / (0.5 * (4 / 3 - 0.1 * np.cos(theta) ** 2 / 1.1))
    return state + 0.02 * np.array([v, push - 0.05 * alpha * np.cos(theta) / 1.1, omega, alpha])


def balance(state):
    x, v, theta, omega = state
    return int(theta + 0.5 * omega + 0.05 * x + 0.1 * v > 0)


def episode(rng, noise):
    states, actions = [rng.uniform(-0.05, 0.05, 4)], []
    fell = False
    while not fell and len(actions) < LIMIT:
        actions.append(int(rng.integers(2)) if rng.random() < noise else balance(states[-1]))
        states.append(step(states[-1], actions[-1]))
        fell = abs(states[-1][0]) > 2.4 or abs(states[-1][2]) > 12 * np.pi / 180
    return np.array(states, "f4"), np.array(actions), fell


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--labelled", type=float, default=0.1, help="share of the episodes whose actions are told")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    told = np.zeros(options.episodes, "u1")
    told[rng.permutation(options.episodes)[:max(1, round(options.labelled * options.episodes))]] = 1
    rows = {name: [] for name in ("observations", "next_observations", "actions", "rewards", "terminals", "timeouts",
                                  "action_mask")}
    for i in range(options.episodes):
        states, actions, fell = episode(rng, NOISE[i % len(NOISE)])
        end = np.arange(len(actions)) == len(actions) - 1
        for name, values in (("observations", states[:-1]), ("next_observations", states[1:]), ("actions", actions),
                             ("rewards", np.ones(len(actions), "f4")), ("terminals", end & fell),
                             ("timeouts", end & (not fell)), ("action_mask", np.full(len(actions), told[i]))):
            rows[name].append(values)
    np.savez(options.out, **{name: np.concatenate(values) for name, values in rows.items()})
    print(f"{options.out}: {options.episodes} episodes, {sum(map(len, rows['actions']))} steps, {told.sum()} labelled")


main()
