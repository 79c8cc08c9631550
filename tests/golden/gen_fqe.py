# SPDX-License-Identifier: Apache-2.0
"""Ten updates of fitted Q evaluation with a target net, written from the equations in lib/rl/fqe.h.
Run from the repository's root: python3 tests/golden/gen_fqe.py"""
import numpy as np
import torch

from vectors import grads, mlp, params, single, write

STEPS, B, O, D, H = 10, 24, 11, 3, 32
GAMMA, TAU, LR, SCALE = 0.99, 0.005, 3e-4, 2.5
rng = np.random.default_rng(17)
net, target = mlp(rng, [O + D, H, H, 1]), mlp(rng, [O + D, H, H, 1])
batch = {
    "s": single(rng, STEPS, B, O), "s2": single(rng, STEPS, B, O), "action": single(rng, STEPS, B, D),
    "next": single(rng, STEPS, B, D), "reward": single(rng, STEPS, B),
    "not_done": (rng.uniform(size=(STEPS, B)) > 0.2).astype(np.float64),
}
out = dict(batch, critic=params(net), critic_target=params(target))
optimiser = torch.optim.Adam(net.parameters(), lr=LR)
losses = np.zeros(STEPS)
for step in range(STEPS):
    b = {k: torch.tensor(v[step]) for k, v in batch.items()}
    with torch.no_grad():
        y = b["reward"] / SCALE + GAMMA * b["not_done"] * target(torch.cat([b["s2"], b["next"]], 1))[:, 0]
    loss = ((net(torch.cat([b["s"], b["action"]], 1))[:, 0] - y) ** 2).mean()
    optimiser.zero_grad()
    loss.backward()
    if step == 0:
        out["critic_grads"] = grads(net)
    optimiser.step()
    losses[step] = loss.item()
    with torch.no_grad():
        for p, t in zip(net.parameters(), target.parameters()):
            t.add_(TAU * (p - t))
write("tests/golden/data/fqe.safetensors", dict(out, losses=losses, critic_after=params(net), critic_target_after=params(target)))
