# SPDX-License-Identifier: Apache-2.0
"""Ten updates of TD3+BC (Fujimoto and Gu 2021) with transition weights, written from the paper's equations.
Run from the repository's root: python3 tests/golden/gen_td3bc.py"""
import numpy as np
import torch

from vectors import grads, mlp, params, single, write

STEPS, B, O, A, H = 10, 24, 11, 3, 32
GAMMA, TAU, SD, CLIP, EVERY, ALPHA, LR = 0.99, 0.005, 0.2, 0.5, 2, 2.5, 3e-4
rng = np.random.default_rng(3)
nets = {"actor": mlp(rng, [O, H, H, A]), "critic0": mlp(rng, [O + A, H, H, 1]), "critic1": mlp(rng, [O + A, H, H, 1])}
targets = {"actor": mlp(rng, [O, H, H, A]), "critic0": mlp(rng, [O + A, H, H, 1]),
           "critic1": mlp(rng, [O + A, H, H, 1])}
batch = {
    "s": single(rng, STEPS, B, O), "s2": single(rng, STEPS, B, O),
    "action": np.tanh(rng.standard_normal((STEPS, B, A))).astype(np.float32).astype(np.float64),
    "reward": single(rng, STEPS, B), "not_done": (rng.uniform(size=(STEPS, B)) > 0.2).astype(np.float64),
    "weight": rng.uniform(0.1, 1.5, (STEPS, B)).astype(np.float32).astype(np.float64),
    # Some beyond the clip: 0.5 / 0.2 = 2.5 standard deviations, and scaled up so that several are.
    "noise": single(rng, STEPS, B, A) * 2,
}
out = dict(batch)
out.update({k: params(v) for k, v in nets.items()})
out.update({k + "_target": params(v) for k, v in targets.items()})
critics = list(nets["critic0"].parameters()) + list(nets["critic1"].parameters())
critic_optimiser = torch.optim.Adam(critics, lr=LR)
actor_optimiser = torch.optim.Adam(nets["actor"].parameters(), lr=LR)
losses = np.zeros((STEPS, 4))  # critic, actor, bc, mean Q


def q(group, i, s, a):
    return group[f"critic{i}"](torch.cat([s, a], 1))[:, 0]


for step in range(STEPS):
    b = {k: torch.tensor(v[step]) for k, v in batch.items()}
    with torch.no_grad():
        eps = (SD * b["noise"]).clamp(-CLIP, CLIP)
        a2 = (torch.tanh(targets["actor"](b["s2"])) + eps).clamp(-1, 1)
        y = b["reward"] + GAMMA * b["not_done"] * torch.min(q(targets, 0, b["s2"], a2), q(targets, 1, b["s2"], a2))
    critic_loss = sum((b["weight"] * (q(nets, i, b["s"], b["action"]) - y) ** 2).mean() for i in (0, 1))
    critic_optimiser.zero_grad()
    critic_loss.backward()
    if step == 0:
        out.update(critic0_grads=grads(nets["critic0"]), critic1_grads=grads(nets["critic1"]))
    critic_optimiser.step()
    losses[step:, 0] = critic_loss.item()
    if (step + 1) % EVERY:
        continue
    pi = torch.tanh(nets["actor"](b["s"]))
    value = q(nets, 0, b["s"], pi)
    bc = (b["weight"][:, None] * (pi - b["action"]) ** 2).mean()
    actor_loss = -ALPHA / value.abs().mean().detach() * value.mean() + bc
    actor_optimiser.zero_grad()
    actor_loss.backward()
    if step == EVERY - 1:
        out["actor_grads"] = grads(nets["actor"])
    actor_optimiser.step()
    losses[step:, 1:] = actor_loss.item(), bc.item(), value.mean().item()
    with torch.no_grad():
        for k in nets:
            for p, t in zip(nets[k].parameters(), targets[k].parameters()):
                t.add_(TAU * (p - t))
out["losses"] = losses
out.update({k + "_after": params(v) for k, v in nets.items()})
out.update({k + "_target_after": params(v) for k, v in targets.items()})
write("tests/golden/data/td3bc.safetensors", out)
