# SPDX-License-Identifier: Apache-2.0
"""Ten updates of ReBRAC (Tarasov et al. 2023) with transition weights, written from the paper's equations; layer norms
after the critics' ReLUs. Run from the repository's root: python3 tests/golden/gen_rebrac.py"""
import numpy as np
import torch

from vectors import grads, mlp, params, single, write

STEPS, B, O, A, H = 10, 24, 11, 3, 32
GAMMA, TAU, SD, CLIP, EVERY, ACTOR_BC, CRITIC_BC, LR = 0.99, 0.005, 0.2, 0.5, 2, 0.05, 0.1, 1e-3
rng = np.random.default_rng(9)


def fresh():
    return {"actor": mlp(rng, [O, H, H, H, A]), "critic0": mlp(rng, [O + A, H, H, H, 1], True),
            "critic1": mlp(rng, [O + A, H, H, H, 1], True)}


def actions():
    return np.tanh(rng.standard_normal((STEPS, B, A))).astype(np.float32).astype(np.float64)


def weights():
    return rng.uniform(0.1, 1.5, (STEPS, B)).astype(np.float32).astype(np.float64)


nets, targets = fresh(), fresh()
batch = {
    "s": single(rng, STEPS, B, O), "s2": single(rng, STEPS, B, O), "action": actions(), "reward": single(rng, STEPS, B),
    "not_done": (rng.uniform(size=(STEPS, B)) > 0.2).astype(np.float64), "weight": weights(), "next_action": actions(),
    "next_weight": weights() * (rng.uniform(size=(STEPS, B)) > 0.2),  # 0: the next action is not known
    "noise": single(rng, STEPS, B, A) * 2,  # some beyond the clip
}
out = dict(batch)
out.update({k: params(v) for k, v in nets.items()})
out.update({k + "_target": params(v) for k, v in targets.items()})
critics = list(nets["critic0"].parameters()) + list(nets["critic1"].parameters())
critic_optimiser = torch.optim.Adam(critics, lr=LR)
actor_optimiser = torch.optim.Adam(nets["actor"].parameters(), lr=LR)
losses = np.zeros((STEPS, 5))  # critic, actor, its imitation, mean of the least Q, mean penalty


def q(group, i, s, a):
    return group[f"critic{i}"](torch.cat([s, a], 1))[:, 0]


def least(group, s, a):
    return torch.min(q(group, 0, s, a), q(group, 1, s, a))


for step in range(STEPS):
    b = {k: torch.tensor(v[step]) for k, v in batch.items()}
    with torch.no_grad():
        eps = (SD * b["noise"]).clamp(-CLIP, CLIP)
        a2 = (torch.tanh(targets["actor"](b["s2"])) + eps).clamp(-1, 1)
        penalty = b["next_weight"] * ((a2 - b["next_action"]) ** 2).sum(1)
        y = b["reward"] + GAMMA * b["not_done"] * (least(targets, b["s2"], a2) - CRITIC_BC * penalty)
    critic_loss = sum((b["weight"] * (q(nets, i, b["s"], b["action"]) - y) ** 2).mean() for i in (0, 1))
    critic_optimiser.zero_grad()
    critic_loss.backward()
    if step == 0:
        out.update(critic0_grads=grads(nets["critic0"]), critic1_grads=grads(nets["critic1"]))
    critic_optimiser.step()
    losses[step:, 0], losses[step, 4] = critic_loss.item(), penalty.mean().item()
    if (step + 1) % EVERY:
        continue
    pi = torch.tanh(nets["actor"](b["s"]))
    value = least(nets, b["s"], pi)
    bc = ACTOR_BC * (b["weight"] * ((pi - b["action"]) ** 2).sum(1)).mean()
    actor_loss = bc - value.mean() / value.abs().mean().detach()
    actor_optimiser.zero_grad()
    actor_loss.backward()
    if step == EVERY - 1:
        out["actor_grads"] = grads(nets["actor"])
        first = q(nets, 0, b["s"], pi) < q(nets, 1, b["s"], pi)
        assert 0 < first.sum() < B
    actor_optimiser.step()
    losses[step:, 1:4] = [[x.item() for x in (actor_loss, bc, value.mean())]]
    with torch.no_grad():
        for k in nets:
            for p, t in zip(nets[k].parameters(), targets[k].parameters()):
                t.add_(TAU * (p - t))
out["losses"] = losses
out.update({k + "_after": params(v) for k, v in nets.items()})
out.update({k + "_target_after": params(v) for k, v in targets.items()})
write("tests/golden/data/rebrac.safetensors", out)
