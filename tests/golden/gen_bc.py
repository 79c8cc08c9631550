"""Ten updates of weighted behaviour cloning. Run from the repository's root: python3 tests/golden/gen_bc.py"""
import numpy as np
import torch

from vectors import grads, mlp, params, single, write

STEPS, B, O, A, H = 10, 24, 11, 3, 32
rng = np.random.default_rng(2)
actor = mlp(rng, [O, H, H, A])
s = single(rng, STEPS, B, O)
action = np.tanh(rng.standard_normal((STEPS, B, A))).astype(np.float32).astype(np.float64)
weight = rng.uniform(0.1, 1.5, (STEPS, B)).astype(np.float32).astype(np.float64)
out = {"actor": params(actor), "s": s, "action": action, "weight": weight}
optimiser = torch.optim.Adam(actor.parameters(), lr=3e-4)
losses = []
for step in range(STEPS):
    pi = torch.tanh(actor(torch.tensor(s[step])))
    loss = (torch.tensor(weight[step])[:, None] * (pi - torch.tensor(action[step])) ** 2).mean()
    optimiser.zero_grad()
    loss.backward()
    if step == 0:
        out["actor_grads"] = grads(actor)
    optimiser.step()
    losses.append(loss.item())
out.update(losses=np.array(losses), actor_after=params(actor))
write("tests/golden/data/bc.safetensors", out)
