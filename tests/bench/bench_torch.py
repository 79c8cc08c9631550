# SPDX-License-Identifier: Apache-2.0
"""The peer of bench_learning.c: the same works in ordinary PyTorch, one thread, driven line by line.

stdin: "work obs_dim act_dim batch hidden seconds"; stdout: units per CPU second. Written the way such code
is commonly written: nn.Sequential, torch.optim.Adam, a replay buffer of tensors indexed at random,
gradients by autograd, targets under no_grad. Losses are logged as numbers, as trainers do.
"""
import copy
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
TRANSITIONS, POOL = 100000, 8192


def mlp(i, hidden, o, dropout=0.0, depth=2):
    layers = [nn.Linear(i, hidden), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(hidden, hidden), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []), nn.Linear(hidden, o))


class TD3BC:
    def __init__(self, o, a, batch, hidden):
        self.batch, self.step = batch, 0
        self.s, self.s2 = torch.randn(TRANSITIONS, o), torch.randn(TRANSITIONS, o)
        self.a = torch.rand(TRANSITIONS, a) * 2 - 1
        self.r, self.d = torch.randn(TRANSITIONS, 1), torch.zeros(TRANSITIONS, 1)
        self.actor = nn.Sequential(mlp(o, hidden, a), nn.Tanh())
        self.q1, self.q2 = mlp(o + a, hidden, 1), mlp(o + a, hidden, 1)
        self.actor_t, self.q1_t, self.q2_t = (copy.deepcopy(n) for n in (self.actor, self.q1, self.q2))
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.q1_opt = torch.optim.Adam(self.q1.parameters(), lr=3e-4)
        self.q2_opt = torch.optim.Adam(self.q2.parameters(), lr=3e-4)

    def run(self):
        self.step += 1
        i = np.random.randint(0, TRANSITIONS, size=self.batch)
        s, a, r, s2, d = self.s[i], self.a[i], self.r[i], self.s2[i], self.d[i]
        with torch.no_grad():
            noise = (torch.randn_like(a) * 0.2).clamp(-0.5, 0.5)
            a2 = (self.actor_t(s2) + noise).clamp(-1, 1)
            sa2 = torch.cat([s2, a2], 1)
            y = r + (1 - d) * 0.99 * torch.min(self.q1_t(sa2), self.q2_t(sa2))
        sa = torch.cat([s, a], 1)
        critic_loss = F.mse_loss(self.q1(sa), y) + F.mse_loss(self.q2(sa), y)
        self.q1_opt.zero_grad()
        self.q2_opt.zero_grad()
        critic_loss.backward()
        self.q1_opt.step()
        self.q2_opt.step()
        log = {"critic_loss": critic_loss.item()}
        if self.step % 2 == 0:
            pi = self.actor(s)
            q = self.q1(torch.cat([s, pi], 1))
            loss = -2.5 / q.abs().mean().detach() * q.mean() + F.mse_loss(pi, a)
            self.actor_opt.zero_grad()
            loss.backward()
            self.actor_opt.step()
            log["actor_loss"] = loss.item()
            with torch.no_grad():
                for net, target in ((self.q1, self.q1_t), (self.q2, self.q2_t), (self.actor, self.actor_t)):
                    for p, t in zip(net.parameters(), target.parameters()):
                        t.data.copy_(0.005 * p.data + 0.995 * t.data)
        return 1


class IQL:
    """Implicit Q-learning in the order that CORL takes: V(s'), V's step, the critics' and their targets', the actor's."""

    def __init__(self, o, a, batch, hidden):
        self.batch = batch
        self.s, self.s2 = torch.randn(TRANSITIONS, o), torch.randn(TRANSITIONS, o)
        self.a = torch.rand(TRANSITIONS, a) * 2 - 1
        self.r, self.d = torch.randn(TRANSITIONS, 1), torch.zeros(TRANSITIONS, 1)
        self.v, self.q1, self.q2 = mlp(o, hidden, 1), mlp(o + a, hidden, 1), mlp(o + a, hidden, 1)
        self.q1_t, self.q2_t = (copy.deepcopy(n).requires_grad_(False) for n in (self.q1, self.q2))
        self.mean, self.log_sigma = nn.Sequential(mlp(o, hidden, a), nn.Tanh()), nn.Parameter(torch.zeros(a))
        self.v_opt = torch.optim.Adam(self.v.parameters(), lr=3e-4)
        self.q_opt = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=3e-4)
        self.actor_opt = torch.optim.Adam([*self.mean.parameters(), self.log_sigma], lr=3e-4)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.actor_opt, 1000000)

    def run(self):
        i = np.random.randint(0, TRANSITIONS, size=self.batch)
        s, a, r, s2, d = self.s[i], self.a[i], self.r[i], self.s2[i], self.d[i]
        with torch.no_grad():
            y = r + (1 - d) * 0.99 * self.v(s2)
            sa = torch.cat([s, a], 1)
            worth = torch.min(self.q1_t(sa), self.q2_t(sa))
        advantage = worth - self.v(s)
        value_loss = (torch.abs(0.7 - (advantage < 0).float()) * advantage ** 2).mean()
        log = {"value_loss": value_loss.item()}
        self.v_opt.zero_grad()
        value_loss.backward()
        self.v_opt.step()
        sa = torch.cat([s, a], 1)
        critic_loss = (F.mse_loss(self.q1(sa), y) + F.mse_loss(self.q2(sa), y)) / 2
        log["critic_loss"] = critic_loss.item()
        self.q_opt.zero_grad()
        critic_loss.backward()
        self.q_opt.step()
        for net, target in ((self.q1, self.q1_t), (self.q2, self.q2_t)):
            for p, t in zip(net.parameters(), target.parameters()):
                t.data.copy_(0.005 * p.data + 0.995 * t.data)
        weight = torch.exp(3 * advantage.detach()).clamp(max=100)
        law = torch.distributions.Normal(self.mean(s), torch.exp(self.log_sigma.clamp(-20, 2)))
        actor_loss = (weight * -law.log_prob(a).sum(-1, keepdim=True)).mean()
        log["actor_loss"] = actor_loss.item()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()
        self.schedule.step()
        return 1


class CQL:
    """As single-file implementations do it: the states repeated for every sampled action, for actor and critics."""
    ACTIONS, WEIGHT = 10, 5.0

    def __init__(self, o, a, batch, hidden):
        self.batch, self.a_dim = batch, a
        self.s, self.s2 = torch.randn(TRANSITIONS, o), torch.randn(TRANSITIONS, o)
        self.a = torch.rand(TRANSITIONS, a) * 2 - 1
        self.r, self.d = torch.randn(TRANSITIONS), torch.zeros(TRANSITIONS)
        self.actor = mlp(o, hidden, 2 * a, depth=3)
        self.m, self.b = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(-1.0))
        self.log_alpha = nn.Parameter(torch.zeros(1))
        self.q1, self.q2 = mlp(o + a, hidden, 1, depth=3), mlp(o + a, hidden, 1, depth=3)
        self.q1_t, self.q2_t = copy.deepcopy(self.q1), copy.deepcopy(self.q2)
        self.actor_opt = torch.optim.Adam([*self.actor.parameters(), self.m, self.b], lr=1e-4)
        self.q_opt = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=3e-4)
        self.alpha_opt = torch.optim.Adam([self.log_alpha], lr=3e-4)

    def draw(self, s, repeat=None):
        if repeat:
            s = s.unsqueeze(1).repeat(1, repeat, 1)
        mu, o = self.actor(s).chunk(2, -1)
        sigma = (self.m * o + self.b).clamp(-20, 2).exp()
        law = torch.distributions.TransformedDistribution(
            torch.distributions.Normal(mu, sigma), torch.distributions.TanhTransform(cache_size=1))
        a = law.rsample()
        return a, law.log_prob(a).sum(-1)

    @staticmethod
    def q(net, s, a):
        if a.ndim == 3 and s.ndim == 2:
            s = s.unsqueeze(1).repeat(1, a.shape[1], 1)
        return net(torch.cat([s, a], -1)).squeeze(-1)

    def run(self):
        i = np.random.randint(0, TRANSITIONS, size=self.batch)
        s, a, r, s2, d = self.s[i], self.a[i], self.r[i], self.s2[i], self.d[i]
        pi, log_pi = self.draw(s)
        alpha_loss = -(self.log_alpha * (log_pi - self.a_dim).detach()).mean()
        alpha = self.log_alpha.exp()
        actor_loss = (alpha.detach() * log_pi - torch.min(self.q(self.q1, s, pi), self.q(self.q2, s, pi))).mean()
        with torch.no_grad():
            a2, _ = self.draw(s2)
            y = r + (1 - d) * 0.99 * torch.min(self.q(self.q1_t, s2, a2), self.q(self.q2_t, s2, a2))
        rand = torch.empty(self.batch, self.ACTIONS, self.a_dim).uniform_(-1, 1)
        here, log_here = (x.detach() for x in self.draw(s, self.ACTIONS))
        there, log_there = (x.detach() for x in self.draw(s2, self.ACTIONS))
        td = gap = 0
        for net in (self.q1, self.q2):
            data = self.q(net, s, a)
            z = torch.cat([self.q(net, s, rand) - self.a_dim * np.log(0.5), self.q(net, s, here) - log_here,
                           self.q(net, s, there) - log_there], 1)
            td = td + F.mse_loss(data, y)
            gap = gap + (torch.logsumexp(z, 1) - data).mean()
        self.alpha_opt.zero_grad()
        alpha_loss.backward()
        self.alpha_opt.step()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()
        self.q_opt.zero_grad()
        (td + self.WEIGHT * gap).backward()
        self.q_opt.step()
        with torch.no_grad():
            for net, target in ((self.q1, self.q1_t), (self.q2, self.q2_t)):
                for p, t in zip(net.parameters(), target.parameters()):
                    t.data.copy_(0.005 * p.data + 0.995 * t.data)
        {"critic_loss": td.item(), "cql_loss": gap.item(), "actor_loss": actor_loss.item(), "alpha": alpha.item()}
        return 1


class Lamb(torch.optim.Optimizer):
    """As the package that Online DT uses, tensor by tensor; with bias correction, as in the paper."""

    def __init__(self, params, lr, weight_decay):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                m, v = state["m"], state["v"]
                m.mul_(0.9).add_(p.grad, alpha=0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                step = m / (1 - 0.9 ** state["t"]) / (v / (1 - 0.999 ** state["t"])).sqrt().add(1e-6)
                step.add_(p, alpha=group["weight_decay"])
                weight, length = p.norm().clamp(0, 10), step.norm()
                trust = 1.0 if weight == 0 or length == 0 else (weight / length).item()
                p.add_(step, alpha=-group["lr"] * trust)


class Block(nn.Module):
    """GPT-2's, as minGPT writes it."""

    def __init__(self, width, heads, tokens, dropout):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width),
                                 nn.Dropout(dropout))
        self.drop = nn.Dropout(dropout)
        self.register_buffer("later", torch.ones(tokens, tokens).triu(1).bool())

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = (t.view(n, tokens, self.heads, -1).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(width, 2))
        p = (q @ k.transpose(2, 3) / (width // self.heads) ** 0.5).masked_fill(self.later, -float("inf")).softmax(3)
        x = x + self.drop(self.out((self.drop(p) @ v).transpose(1, 2).reshape(n, tokens, width)))
        return x + self.mlp(self.norm2(x))


class DT(nn.Module):
    CONTEXT, LAYERS, HEADS, DROPOUT, STEPS = 20, 3, 1, 0.1, 1000

    def __init__(self, o, a, batch, width):
        super().__init__()
        self.batch = batch
        n = TRANSITIONS // self.STEPS
        self.s, self.a = torch.randn(n, self.STEPS, o), (torch.rand(n, self.STEPS, a) * 2 - 1).clamp(-0.999, 0.999)
        self.to_go = torch.randn(n, self.STEPS).flip(1).cumsum(1).flip(1) * 0.001
        self.returns, self.states, self.actions = nn.Linear(1, width), nn.Linear(o, width), nn.Linear(a, width)
        self.time, self.norm = nn.Embedding(self.STEPS, width), nn.LayerNorm(width)
        blocks = [Block(width, self.HEADS, 3 * self.CONTEXT, self.DROPOUT) for _ in range(self.LAYERS)]
        self.blocks = nn.Sequential(*blocks, nn.LayerNorm(width))
        self.mu, self.log_sigma = nn.Linear(width, a), nn.Linear(width, a)
        self.opt = Lamb(self.parameters(), 1e-4, 1e-3)

    def forward(self, s, a, to_go, t):
        e = self.time(t)
        x = torch.stack([self.returns(to_go[..., None]) + e, self.states(s) + e, self.actions(a) + e], 2)
        x = self.blocks(self.norm(x.view(len(s), 3 * self.CONTEXT, -1)))
        y = x.view(len(s), self.CONTEXT, 3, -1)[:, :, 1]
        return torch.distributions.Normal(self.mu(y), (-1.5 + 3.5 * torch.tanh(self.log_sigma(y))).exp())

    def run(self):
        traj = torch.from_numpy(np.random.randint(0, len(self.s), self.batch))[:, None]
        t = torch.from_numpy(np.random.randint(0, self.STEPS - self.CONTEXT, self.batch))[:, None] + torch.arange(self.CONTEXT)
        s, a, to_go = self.s[traj, t], self.a[traj, t], self.to_go[traj, t]
        law = self(s, a, to_go, t)
        nll = -(law.log_prob(torch.atanh(a)) - torch.log(1 - a * a)).sum(2).mean()
        u = law.rsample()
        entropy = -(law.log_prob(u) - 2 * (np.log(2) - u - F.softplus(-2 * u))).sum(2).mean()
        loss = nll - 0.1 * entropy
        self.opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), 0.25)
        self.opt.step()
        loss.item()
        return 1


class Idm:
    def __init__(self, o, a, batch, hidden):
        self.batch = batch
        self.mu, self.y = mlp(2 * o, hidden, a, 0.1), mlp(2 * o, hidden, a, 0.1)
        self.opt = torch.optim.Adam([*self.mu.parameters(), *self.y.parameters()], lr=1e-4)
        self.x, self.a = torch.randn(POOL, 2 * o), torch.rand(POOL, a) * 1.9 - 0.95

    def train(self):
        i = np.random.randint(0, POOL, size=self.batch)
        x, a = self.x[i], self.a[i]
        mu, log_sigma = self.mu(x), -1.5 + 3.5 * torch.tanh(self.y(x))
        law = torch.distributions.Normal(mu, log_sigma.exp())
        loss = -(law.log_prob(torch.atanh(a)) - torch.log(1 - a * a)).sum(1).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        loss.item()
        return 1

    @torch.no_grad()
    def label(self):
        x = self.x[:self.batch]
        torch.tanh(self.mu(x)), self.y(x)
        return self.batch


def make(name, o, a, batch, hidden):
    if name.startswith("td3bc"):
        return TD3BC(o, a, batch, hidden).run
    if name == "iql":
        return IQL(o, a, batch, hidden).run
    if name.startswith("cql"):
        return CQL(o, a, batch, hidden).run
    if name.startswith("dt"):
        return DT(o, a, batch, hidden).run
    idm = Idm(o, a, batch, hidden)
    if name == "idm_train":
        return idm.train
    idm.mu.eval(), idm.y.eval()
    return idm.label


print("ready", torch.__version__, flush=True)
works = {}
for line in sys.stdin:
    name, *numbers, seconds = line.split()
    if name not in works:
        works[name] = make(name, *map(int, numbers))
        works[name]()
    run, units, start = works[name], 0, time.thread_time()
    while time.thread_time() - start < float(seconds):
        units += run()
    print(units / (time.thread_time() - start), flush=True)
