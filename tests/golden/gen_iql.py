# SPDX-License-Identifier: Apache-2.0
"""Ten updates of implicit Q-learning (Kostrikov et al. 2021) with transition weights, written from the paper's
equations: Gaussian, deterministic and softmax actors. Run from the repository's root: python3 tests/golden/gen_iql.py"""
import math

import numpy as np
import torch

from vectors import grads, mlp, params, single, write

STEPS, B, O, A, H, COUNT = 10, 24, 11, 3, 32, 4
# beta and the bound are such that the bound cuts off some weights.
GAMMA, TAU, EXPECTILE, BETA, BOUND, LR = 0.99, 0.005, 0.7, 10, 20, 3e-4


def single_uniform(rng, low, high, *shape):
    return rng.uniform(low, high, shape).astype(np.float32).astype(np.float64)


def run(actor_kind, seed):
    rng = np.random.default_rng(seed)
    discrete = actor_kind == "discrete"
    q_sizes = [O, H, H, COUNT] if discrete else [O + A, H, H, 1]
    nets = {"value": mlp(rng, [O, H, H, 1]), "critic0": mlp(rng, q_sizes), "critic1": mlp(rng, q_sizes),
            "actor": mlp(rng, [O, H, H, COUNT if discrete else A])}
    targets = {"critic0": mlp(rng, q_sizes), "critic1": mlp(rng, q_sizes)}
    # The last one is beyond its bound of 2: it counts as 2 and stays where it is.
    log_sigma = torch.tensor(np.array([0.25, -1.5, 2.5]), requires_grad=True)
    batch = {
        "s": single(rng, STEPS, B, O), "s2": single(rng, STEPS, B, O),
        "action": rng.integers(0, COUNT, (STEPS, B, 1)).astype(np.float64) if discrete
        else np.tanh(rng.standard_normal((STEPS, B, A))).astype(np.float32).astype(np.float64),
        "reward": single(rng, STEPS, B), "not_done": (rng.uniform(size=(STEPS, B)) > 0.2).astype(np.float64),
        "weight": single_uniform(rng, 0.1, 1.5, STEPS, B),
    }
    out = dict(batch)
    out.update({k: params(v) for k, v in nets.items()})
    out.update({k + "_target": params(v) for k, v in targets.items()})
    out["log_sigma"] = log_sigma.detach().numpy().copy()

    def q(group, i, b):
        if discrete:
            return group[f"critic{i}"](b["s"]).gather(1, b["action"].long())[:, 0]
        return group[f"critic{i}"](torch.cat([b["s"], b["action"]], 1))[:, 0]

    def cloning(b):
        y = nets["actor"](b["s"])
        if discrete:
            return torch.nn.functional.cross_entropy(y, b["action"][:, 0].long(), reduction="none")
        if actor_kind == "deterministic":
            return ((torch.tanh(y) - b["action"]) ** 2).sum(1)
        law = torch.distributions.Normal(torch.tanh(y), log_sigma.clamp(-20, 2).exp())
        return -law.log_prob(b["action"]).sum(1)

    value_optimiser = torch.optim.Adam(nets["value"].parameters(), lr=LR)
    critics = list(nets["critic0"].parameters()) + list(nets["critic1"].parameters())
    critic_optimiser = torch.optim.Adam(critics, lr=LR)
    actor_optimiser = torch.optim.Adam(list(nets["actor"].parameters()) + [log_sigma], lr=LR)
    losses = np.zeros((STEPS, 5))  # value, critic, actor, mean V, mean weight
    for step in range(STEPS):
        b = {k: torch.tensor(v[step]) for k, v in batch.items()}
        with torch.no_grad():
            target = b["reward"] + GAMMA * b["not_done"] * nets["value"](b["s2"])[:, 0]
            worth = torch.min(q(targets, 0, b), q(targets, 1, b))
        v = nets["value"](b["s"])[:, 0]
        advantage = worth - v
        side = torch.where(advantage < 0, 1 - EXPECTILE, EXPECTILE)
        value_loss = (b["weight"] * side * advantage ** 2).mean()
        weight = torch.clamp(torch.exp(BETA * advantage.detach()), max=BOUND)
        value_optimiser.zero_grad()
        value_loss.backward()
        value_optimiser.step()

        critic_loss = sum((b["weight"] * (q(nets, i, b) - target) ** 2).mean() for i in (0, 1))
        critic_optimiser.zero_grad()
        critic_loss.backward()
        critic_optimiser.step()

        actor_loss = (b["weight"] * weight * cloning(b)).mean()
        for group in actor_optimiser.param_groups:
            group["lr"] = LR * (1 + math.cos(math.pi * step / STEPS)) / 2
        actor_optimiser.zero_grad()
        actor_loss.backward()
        actor_optimiser.step()
        if step == 0:
            out.update({k + "_grads": grads(v) for k, v in nets.items()})
            if actor_kind == "gaussian":
                out["log_sigma_grads"] = log_sigma.grad.numpy().copy()
            assert 0 < (weight == BOUND).sum() < B and 0 < (advantage < 0).sum() < B
        losses[step] = [x.item() for x in (value_loss, critic_loss, actor_loss, v.mean(), weight.mean())]
        with torch.no_grad():
            for k in targets:
                for p, t in zip(nets[k].parameters(), targets[k].parameters()):
                    t.add_(TAU * (p - t))
    out["losses"] = losses
    out.update({k + "_after": params(v) for k, v in nets.items()})
    out.update({k + "_target_after": params(v) for k, v in targets.items()})
    out["log_sigma_after"] = log_sigma.detach().numpy()
    write(f"tests/golden/data/iql_{actor_kind}.safetensors", out)


# Seeds with advantages of both signs.
run("gaussian", 17)
run("deterministic", 22)
run("discrete", 18)
