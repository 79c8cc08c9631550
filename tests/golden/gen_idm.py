"""Windows, loss, gradients and ten Adam steps of inverse dynamics models, for each head and loss.
Run from the repository's root: python3 tests/golden/gen_idm.py"""
import math

import numpy as np
import torch

from vectors import grads, mlp, params, single, write

O, A, H, LAYERS, EDGE = 4, 2, 16, 2, np.float32(1 - 1e-6).astype(np.float64)
LOW, HIGH = np.array([-2.0, 0.5]), np.array([1.0, 0.75])
LENGTHS, FINAL = [7, 1, 5, 9], [1, 1, 0, 1]  # steps; whether the state after the last one is known
rng = np.random.default_rng(3)
observations = [3 + 2 * single(rng, t + f, O) for t, f in zip(LENGTHS, FINAL)]
actions = [(LOW + (HIGH - LOW) * rng.uniform(0, 1, (t, A))).astype(np.float32).astype(np.float64) for t in LENGTHS]
actions[0][0] = HIGH  # an action at the edge
rows = [(i, t) for i, n in enumerate(LENGTHS) for t in range(n) if FINAL[i] or t + 1 < n]
states = np.concatenate(observations)
changes = np.concatenate([np.diff(s, axis=0) for s in observations])
norm = [states.mean(0), states.std(0) + 1e-6, changes.mean(0), changes.std(0) + 1e-6]


def window(i, t, k, f, difference):
    s, last = observations[i], len(observations[i]) - 1
    state = lambda at: s[min(at, last)]
    places, masks = [], []
    for place in range(-k, f + 2):
        at = t + place
        if at < 0:
            places.append(np.zeros(O))
        elif not difference or place == 0:
            places.append((state(at) - norm[0]) / norm[1])
        else:
            change = state(at + 1) - state(at) if place < 0 else state(at) - state(at - 1)
            places.append((change - norm[2]) / norm[3])
        if place > 1:
            masks.append(float(at > last))
    return np.concatenate(places + [np.array(masks)])


out = {"observations": states, "actions": np.concatenate(actions), "low": LOW, "high": HIGH}
target = np.stack([2 * (actions[i][t] - LOW) / (HIGH - LOW) - 1 for i, t in rows])
a = torch.tensor(np.clip(target, -EDGE, EDGE))
for name, k, f, difference, head, mean_loss, linear in [
        ("nll", 1, 0, False, "squashed", "nll", False), ("squared", 2, 1, True, "gaussian", "squared", True),
        ("beta", 0, 2, True, "squashed", "beta_nll", False), ("tanh", 1, 0, True, "squashed", "squared", True),
        ("gaussian", 1, 0, False, "gaussian", "nll", True),
        ("deterministic", 1, 1, True, "deterministic", "squared", True)]:
    squashed, spread = head == "squashed", head != "deterministic"
    x = np.stack([window(i, t, k, f, difference) for i, t in rows])
    inputs, inner = x.shape[1], [H] * LAYERS
    mu_net, y_net = mlp(rng, [inputs] + inner + [A]), mlp(rng, [inputs] + inner + [A])
    skip = mlp(rng, [inputs, A])
    out.update({f"{name}.x": x, f"{name}.mu": params(mu_net), f"{name}.y": params(y_net), f"{name}.linear": params(skip)})
    every = [*mu_net.parameters(), *(y_net.parameters() if spread else []), *(skip.parameters() if linear else [])]
    optimiser = torch.optim.Adam(every, lr=1e-3)
    data, losses = torch.tensor(x), []
    for step in range(10):
        mu = mu_net(data) + (skip(data) if linear else 0)
        log_sigma = -1.5 + 3.5 * torch.tanh(y_net(data))
        free = mu.detach() if mean_loss == "squared" else mu
        z = ((torch.atanh(a) if squashed else a) - free) / torch.exp(log_sigma)
        nll = z ** 2 / 2 + log_sigma + math.log(2 * math.pi) / 2 + (torch.log(1 - a ** 2) if squashed else 0)
        label = torch.tanh(mu) if squashed else mu
        if step == 0:
            out[f"{name}.label"] = torch.clamp(label, -EDGE, EDGE).detach().numpy()
        loss = nll
        if mean_loss == "squared":
            loss = (nll if spread else 0) + (label - a) ** 2
        if mean_loss == "beta_nll":
            loss = nll * torch.exp(2 * 0.5 * log_sigma).detach()
        optimiser.zero_grad()
        loss.sum(1).mean().backward()
        if step == 0:
            out[f"{name}.mu_grads"] = grads(mu_net)
            if spread:
                out[f"{name}.y_grads"] = grads(y_net)
            if linear:
                out[f"{name}.linear_grads"] = grads(skip)
        optimiser.step()
        losses.append((nll if mean_loss == "beta_nll" else loss).sum(1).mean().item())
    out.update({f"{name}.losses": np.array(losses), f"{name}.mu_after": params(mu_net), f"{name}.y_after": params(y_net),
                f"{name}.linear_after": params(skip)})
write("tests/golden/data/idm.safetensors", out)

# Discrete actions: the softmax head, on the same observations. Numbers of its own, so that the above stays as it is.
C, rng = 5, np.random.default_rng(4)
classes = np.concatenate([rng.integers(0, C, t) for t in LENGTHS])
first = np.concatenate([[0], np.cumsum(LENGTHS)])
true = torch.tensor([int(classes[first[i] + t]) for i, t in rows])
x = np.stack([window(i, t, 1, 0, True) for i, t in rows])
mu_net, skip, data = mlp(rng, [x.shape[1]] + [H] * LAYERS + [C]), mlp(rng, [x.shape[1], C]), torch.tensor(x)
out = {"observations": states, "actions": classes.astype(float), "softmax.x": x, "softmax.mu": params(mu_net),
       "softmax.linear": params(skip)}
optimiser, losses = torch.optim.Adam([*mu_net.parameters(), *skip.parameters()], lr=1e-3), []
for step in range(10):
    logits = mu_net(data) + skip(data)
    loss = torch.nn.functional.cross_entropy(logits, true)
    optimiser.zero_grad()
    loss.backward()
    if step == 0:
        p = torch.softmax(logits, 1).detach()
        out.update({"softmax.label": p.argmax(1).double().numpy(), "softmax.mu_grads": grads(mu_net),
                    "softmax.linear_grads": grads(skip), "softmax.p": p.numpy(),
                    "softmax.entropy": -(p * torch.log(p)).sum(1).numpy()})
    optimiser.step()
    losses.append(loss.item())
out.update({"softmax.losses": np.array(losses), "softmax.mu_after": params(mu_net), "softmax.linear_after": params(skip)})
write("tests/golden/data/idm_softmax.safetensors", out)
