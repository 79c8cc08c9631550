# SPDX-License-Identifier: Apache-2.0
"""A trajectory of 200 steps of CartPole. Run from the repository's root: python3 tests/golden/gen_cartpole.py

The accelerations come from the Lagrangian of a cart and a uniform rod, solved as two linear equations in float64, and
not from the closed form that worker/env/env_cartpole.c has: with l half the rod's length,
    (M + m) x'' + m l cos(theta) theta'' = F + m l theta'^2 sin(theta)
    m l cos(theta) x'' + 4/3 m l^2 theta'' = m g l sin(theta)
Constants, Euler's method and the order of its updates are those of Gymnasium's CartPole-v1.
"""
import numpy as np

from vectors import write

STEPS, G, M, POLE, HALF, FORCE, TAU = 200, 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
rng = np.random.default_rng(4)
state = rng.uniform(-0.05, 0.05, 4)  # x, x', theta, theta'
states, actions = [state], []
for _ in range(STEPS):
    x, v, theta, omega = state
    # Mostly against the fall, so that 200 steps are survived; one in six at random, so that the pole swings.
    action = int(theta + 0.5 * omega + 0.05 * x + 0.1 * v > 0) if rng.random() > 1 / 6 else int(rng.integers(2))
    force = FORCE if action else -FORCE
    coupling = POLE * HALF * np.cos(theta)
    accelerations = np.linalg.solve([[M + POLE, coupling], [coupling, 4 / 3 * POLE * HALF**2]],
                                    [force + POLE * HALF * omega**2 * np.sin(theta), POLE * G * HALF * np.sin(theta)])
    state = state + TAU * np.array([v, accelerations[0], omega, accelerations[1]])
    states.append(state)
    actions.append(action)
states = np.array(states)
assert np.abs(states[:, 0]).max() < 2.4 and np.abs(states[:, 2]).max() < 12 * np.pi / 180
write("tests/golden/data/cartpole.safetensors", {"states": states, "actions": np.array(actions, float)})
