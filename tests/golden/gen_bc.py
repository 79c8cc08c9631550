# SPDX-License-Identifier: Apache-2.0
"""Ten updates of weighted behaviour cloning, of continuous and of discrete actions. Run from the repository's root: python3 tests/golden/gen_bc.py"""
import numpy as np
import torch

from vectors import grads, mlp, params, single, write

STEPS, B, O, A, H = 10, 24, 11, 3, 32
COUNT = 4  # of discrete actions


def squared_error(y, action, weight):
    return (weight[:, None] * (torch.tanh(y) - action) ** 2).mean()


def cross_entropy(y, action, weight):
    return (weight * torch.nn.functional.cross_entropy(y, action[:, 0].long(), reduction="none")).mean()


def clone(rng, outputs, action, loss_of, path):
    actor = mlp(rng, [O, H, H, outputs])
    s = single(rng, STEPS, B, O)
    action = action(rng)
    weight = rng.uniform(0.1, 1.5, (STEPS, B)).astype(np.float32).astype(np.float64)
    out = {"actor": params(actor), "s": s, "action": action, "weight": weight}
    optimiser = torch.optim.Adam(actor.parameters(), lr=3e-4)
    losses = []
    for step in range(STEPS):
        loss = loss_of(actor(torch.tensor(s[step])), torch.tensor(action[step]), torch.tensor(weight[step]))
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            out["actor_grads"] = grads(actor)
        optimiser.step()
        losses.append(loss.item())
    out.update(losses=np.array(losses), actor_after=params(actor))
    write(path, out)


clone(np.random.default_rng(2), A,
      lambda rng: np.tanh(rng.standard_normal((STEPS, B, A))).astype(np.float32).astype(np.float64), squared_error,
      "tests/golden/data/bc.safetensors")
clone(np.random.default_rng(4), COUNT, lambda rng: rng.integers(0, COUNT, (STEPS, B, 1)).astype(np.float64),
      cross_entropy, "tests/golden/data/bc_discrete.safetensors")
