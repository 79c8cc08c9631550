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


def mlp(i, hidden, o, dropout=0.0):
    layers = [nn.Linear(i, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
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
