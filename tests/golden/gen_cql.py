# SPDX-License-Identifier: Apache-2.0
"""Ten updates of conservative Q-learning (Kumar et al. 2020) with transition weights, written from the equations of
lib/rl/algo/cql.h the ordinary way: every sampled action is a row of its own for actor and critics. And ten with discrete
actions, from those of lib/rl/algo/cql_discrete.h.
Run from the repository's root: python3 tests/golden/gen_cql.py"""
import copy

import numpy as np
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from vectors import flat, grads, mlp, params, single, write

STEPS, B, O, A, H, N = 10, 16, 11, 3, 20, 4
GAMMA, TAU, LR, ACTOR_LR, ALPHA_LR = 0.99, 0.005, 3e-4, 1e-4, 3e-4
rng = np.random.default_rng(4)
first = {"actor": mlp(rng, [O, H, H, H, 2 * A])}
for i in (0, 1):
    first[f"critic{i}"] = mlp(rng, [O + A, H, H, H, 1])
    first[f"critic{i}_target"] = mlp(rng, [O + A, H, H, H, 1])
batch = {
    "s": single(rng, STEPS, B, O), "s2": single(rng, STEPS, B, O),
    "action": np.tanh(rng.standard_normal((STEPS, B, A))).astype(np.float32).astype(np.float64),
    "reward": single(rng, STEPS, B), "not_done": (rng.uniform(size=(STEPS, B)) > 0.2).astype(np.float64),
    "weight": rng.uniform(0.1, 1.5, (STEPS, B)).astype(np.float32).astype(np.float64),
    "noise_pi": single(rng, STEPS, B, A), "noise_next": single(rng, STEPS, B, A),
    "noise_here": single(rng, STEPS, B, N, A), "noise_there": single(rng, STEPS, B, N, A),
    "uniform": rng.uniform(-1, 1, (STEPS, B, N, A)).astype(np.float32).astype(np.float64),
    "pick": rng.uniform(0, 1, (STEPS, 2, B)).astype(np.float32).astype(np.float64),
}


def drawn_share(p, first, m):
    """[B, 3N] like p: how often each action is among m evenly spaced places in the cumulated p, from `first` on, / m."""
    reached = p.cumsum(1)
    share = torch.zeros_like(p)
    for j in range(m):
        at = (reached < (j + first[:, None]) / m).sum(1, keepdim=True).clamp(max=p.shape[1] - 1)
        share.scatter_add_(1, at, torch.full_like(at, 1 / m, dtype=p.dtype))
    return share


def train(out, prefix, weight=5.0, temperature=1.0, target_entropy=-1.0, backup_entropy=False, bc_updates=0, backward=0):
    nets = copy.deepcopy(first)
    actor, q1, q2 = nets["actor"], nets["critic0"], nets["critic1"]
    spread = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    log_alpha = torch.nn.Parameter(torch.zeros(1))
    actor_optimiser = torch.optim.Adam([*actor.parameters(), spread], lr=ACTOR_LR)
    alpha_optimiser = torch.optim.Adam([log_alpha], lr=ALPHA_LR)
    critic_optimiser = torch.optim.Adam([*q1.parameters(), *q2.parameters()], lr=LR)
    losses = np.zeros((STEPS, 6))  # critic, cql, mean Q, actor, alpha, entropy

    def dist(s):
        mu, o = actor(s).chunk(2, -1)
        return mu, (spread[0] * o + spread[1]).clamp(-20, 2).exp()

    def draw(s, eps):
        mu, sigma = dist(s)
        squashed = TransformedDistribution(Normal(mu, sigma), TanhTransform(cache_size=1))
        action = squashed.transforms[0](mu + sigma * eps)
        return action, squashed.log_prob(action).sum(-1)

    def q(net, s, a):
        return net(torch.cat([s, a], -1))[..., 0]

    for step in range(STEPS):
        b = {k: torch.tensor(v[step]) for k, v in batch.items()}
        w, alpha = b["weight"], log_alpha.exp().detach()
        s_repeated, s2_repeated = (b[k][:, None].expand(B, N, O) for k in ("s", "s2"))
        pi, log_pi = draw(b["s"], b["noise_pi"])
        alpha_loss = -(log_alpha * (w * (log_pi.detach() + target_entropy * A)).mean())
        if step < bc_updates:
            mu, sigma = dist(b["s"])
            clone = TransformedDistribution(Normal(mu, sigma), TanhTransform()).log_prob(b["action"]).sum(-1)
            actor_loss = (w * (alpha * log_pi - clone)).mean()
        else:
            actor_loss = (w * (alpha * log_pi - torch.min(q(q1, b["s"], pi), q(q2, b["s"], pi)))).mean()
        with torch.no_grad():
            a2, log_a2 = draw(b["s2"], b["noise_next"])
            value = torch.min(q(nets["critic0_target"], b["s2"], a2), q(nets["critic1_target"], b["s2"], a2))
            if backup_entropy:
                value = value - alpha * log_a2
            y = b["reward"] + GAMMA * b["not_done"] * value
            here, log_here = draw(s_repeated, b["noise_here"])
            there, log_there = draw(s2_repeated, b["noise_there"])
        td = conservative = pushed = 0
        for i, net in enumerate((q1, q2)):
            data = q(net, b["s"], b["action"])
            z = torch.cat([q(net, s_repeated, b["uniform"]) - A * np.log(0.5), q(net, s_repeated, here) - log_here,
                           q(net, s_repeated, there) - log_there], 1)
            td = td + (w * (data - y) ** 2).mean()
            conservative = conservative + (w * (temperature * torch.logsumexp(z / temperature, 1) - data)).mean()
            share = drawn_share(torch.softmax(z / temperature, 1).detach(), b["pick"][i], backward) if backward else 0
            pushed = pushed + (w * ((share * z).sum(1) - data)).mean()
        losses[step] = (td.item(), conservative.item(), q(q1, b["s"], b["action"]).mean().item(), actor_loss.item(),
                        alpha.item(), -(w * log_pi).mean().item())
        for optimiser in (actor_optimiser, alpha_optimiser, critic_optimiser):
            optimiser.zero_grad()
        actor_grads = torch.autograd.grad(actor_loss, [*actor.parameters(), spread])
        alpha_loss.backward()
        (td + weight * (pushed if backward else conservative)).backward()
        for p, g in zip([*actor.parameters(), spread], actor_grads):
            p.grad = g
        if step == 0:
            out.update({prefix + "actor_grads": grads(actor), prefix + "spread_grads": spread.grad.numpy().copy(),
                        prefix + "log_alpha_grads": log_alpha.grad.numpy().copy(),
                        prefix + "critic0_grads": grads(q1), prefix + "critic1_grads": grads(q2)})
        for optimiser in (actor_optimiser, alpha_optimiser, critic_optimiser):
            optimiser.step()
        with torch.no_grad():
            for i in (0, 1):
                for p, t in zip(nets[f"critic{i}"].parameters(), nets[f"critic{i}_target"].parameters()):
                    t.add_(TAU * (p - t))
    out[prefix + "losses"] = losses
    out.update({f"{prefix}{k}_after": params(v) for k, v in nets.items()})
    out.update({prefix + "spread_after": flat([spread]), prefix + "log_alpha_after": flat([log_alpha])})


out = dict(batch)
out.update({k: params(v) for k, v in first.items()})
train(out, "plain_")
train(out, "other_", weight=3.0, temperature=0.7, target_entropy=-0.5, backup_entropy=True, bc_updates=2)
train(out, "drawn_", backward=3)
write("tests/golden/data/cql.safetensors", out)

ACTIONS, WEIGHT, TEMPERATURE = 5, 4.0, 0.8
net, target = mlp(rng, [O, H, H, H, ACTIONS]), mlp(rng, [O, H, H, H, ACTIONS])
action = rng.integers(0, ACTIONS, (STEPS, B))
out = {k: batch[k] for k in ("s", "s2", "reward", "not_done", "weight")}
out.update(action=action.astype(np.float64), critic=params(net), critic_target=params(target))
optimiser = torch.optim.Adam(net.parameters(), lr=LR)
losses = np.zeros((STEPS, 3))  # critic, cql, mean Q
for step in range(STEPS):
    b = {k: torch.tensor(batch[k][step]) for k in ("s", "s2", "reward", "not_done", "weight")}
    w = b["weight"]
    with torch.no_grad():
        best = net(b["s2"]).argmax(1, keepdim=True)
        y = b["reward"] + GAMMA * b["not_done"] * target(b["s2"]).gather(1, best)[:, 0]
    q = net(b["s"])
    data = q.gather(1, torch.tensor(action[step])[:, None])[:, 0]
    td = (w * (data - y) ** 2).mean()
    conservative = (w * (TEMPERATURE * torch.logsumexp(q / TEMPERATURE, 1) - data)).mean()
    optimiser.zero_grad()
    (td + WEIGHT * conservative).backward()
    if step == 0:
        out["critic_grads"] = grads(net)
    optimiser.step()
    losses[step] = td.item(), conservative.item(), data.mean().item()
    with torch.no_grad():
        for p, t in zip(net.parameters(), target.parameters()):
            t.add_(TAU * (p - t))
out.update(losses=losses, critic_after=params(net), critic_target_after=params(target))
write("tests/golden/data/cql_discrete.safetensors", out)
