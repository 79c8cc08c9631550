# SPDX-License-Identifier: Apache-2.0
"""Ten updates of advantage-weighted actor-critic (Nair et al. 2020) with transition weights, written from the paper's
equations with a tanh-squashed Gaussian actor. Run from the repository's root: python3 tests/golden/gen_awac.py"""
import numpy as np
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from vectors import grads, mlp, params, single, write

STEPS, B, O, A, H = 10, 24, 11, 3, 32
# lambda and the bound are such that the bound cuts off some weights.
GAMMA, TAU, LAMBDA, BOUND, LR = 0.99, 0.005, 0.05, 3, 3e-4
rng = np.random.default_rng(8)
nets = {"actor": mlp(rng, [O, H, H, 2 * A]), "critic0": mlp(rng, [O + A, H, H, 1]), "critic1": mlp(rng, [O + A, H, H, 1])}
targets = {"critic0": mlp(rng, [O + A, H, H, 1]), "critic1": mlp(rng, [O + A, H, H, 1])}
batch = {
    "s": single(rng, STEPS, B, O), "s2": single(rng, STEPS, B, O),
    "action": np.tanh(rng.standard_normal((STEPS, B, A))).astype(np.float32).astype(np.float64),
    "reward": single(rng, STEPS, B), "not_done": (rng.uniform(size=(STEPS, B)) > 0.2).astype(np.float64),
    "weight": rng.uniform(0.1, 1.5, (STEPS, B)).astype(np.float32).astype(np.float64),
    "noise": single(rng, STEPS, B, A), "next_noise": single(rng, STEPS, B, A),
}
out = dict(batch)
out.update({k: params(v) for k, v in nets.items()})
out.update({k + "_target": params(v) for k, v in targets.items()})


def dist(s):
    mu, log_sigma = nets["actor"](s).chunk(2, 1)
    return mu, log_sigma.clamp(-20, 2).exp()


def draw(s, eps):
    mu, sigma = dist(s)
    return torch.tanh(mu + sigma * eps)


def q(group, i, s, a):
    return group[f"critic{i}"](torch.cat([s, a], 1))[:, 0]


def least(group, s, a):
    return torch.min(q(group, 0, s, a), q(group, 1, s, a))


critics = list(nets["critic0"].parameters()) + list(nets["critic1"].parameters())
critic_optimiser = torch.optim.Adam(critics, lr=LR)
actor_optimiser = torch.optim.Adam(nets["actor"].parameters(), lr=LR)
losses = np.zeros((STEPS, 4))  # critic, actor, mean of the least Q, mean weight
for step in range(STEPS):
    b = {k: torch.tensor(v[step]) for k, v in batch.items()}
    with torch.no_grad():
        y = b["reward"] + GAMMA * b["not_done"] * least(targets, b["s2"], draw(b["s2"], b["next_noise"]))
        q_min = least(nets, b["s"], b["action"])
        advantage = q_min - least(nets, b["s"], draw(b["s"], b["noise"]))
        weight = torch.clamp(torch.exp(advantage / LAMBDA), max=BOUND)
    critic_loss = sum((b["weight"] * (q(nets, i, b["s"], b["action"]) - y) ** 2).mean() for i in (0, 1))
    mu, sigma = dist(b["s"])
    log_pi = TransformedDistribution(Normal(mu, sigma), TanhTransform()).log_prob(b["action"]).sum(1)
    actor_loss = -(b["weight"] * weight * log_pi).mean()
    for optimiser, loss in ((critic_optimiser, critic_loss), (actor_optimiser, actor_loss)):
        optimiser.zero_grad()
        loss.backward()
    if step == 0:
        out.update({k + "_grads": grads(v) for k, v in nets.items()})
        assert 0 < (weight == BOUND).sum() < B
    critic_optimiser.step()
    actor_optimiser.step()
    losses[step] = [x.item() for x in (critic_loss, actor_loss, q_min.mean(), weight.mean())]
    with torch.no_grad():
        for k in targets:
            for p, t in zip(nets[k].parameters(), targets[k].parameters()):
                t.add_(TAU * (p - t))
out["losses"] = losses
out.update({k + "_after": params(v) for k, v in nets.items()})
out.update({k + "_target_after": params(v) for k, v in targets.items()})
write("tests/golden/data/awac.safetensors", out)
