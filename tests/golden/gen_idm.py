# SPDX-License-Identifier: Apache-2.0
"""Windows, loss, gradients and ten Adam steps of inverse dynamics models, for each head and loss.
Run from the repository's root: python3 tests/golden/gen_idm.py"""
import math

import numpy as np
import torch

from vectors import flat, grads, mlp, params, single, write

O, A, H, LAYERS, EDGE = 4, 2, 16, 2, np.float32(1 - 1e-6).astype(np.float64)
LOW, HIGH = np.array([-2.0, 0.5]), np.array([1.0, 0.75])
LENGTHS, FINAL = [7, 1, 5, 9], [1, 1, 0, 1]  # steps; whether the state after the last one is known
rng = np.random.default_rng(3)
observations = [3 + 2 * single(rng, t + f, O) for t, f in zip(LENGTHS, FINAL)]
actions = [(LOW + (HIGH - LOW) * rng.uniform(0, 1, (t, A))).astype(np.float32).astype(np.float64) for t in LENGTHS]
actions[0][0] = HIGH  # an action at the edge
every_step = [(i, t) for i, n in enumerate(LENGTHS) for t in range(n)]
usable = [(i, t) for i, t in every_step if FINAL[i] or t + 1 < LENGTHS[i]]
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


def reference_window(i, t, k):
    """As SS-ORL's public code has it for k > 0: observations without the final one, padded before normalising."""
    s = observations[i][:LENGTHS[i]]
    seen = s[max(0, t - k):t + 2]
    return ((np.concatenate([np.zeros((k + 2 - len(seen), O)), seen]) - norm[0]) / norm[1]).reshape(-1)


def normalised(net):
    """Spectral normalisation of the hidden layers, from u's that float32 holds nearly; returns those."""
    hidden = [layer for layer in net if isinstance(layer, torch.nn.Linear)][:-1]
    for layer in hidden:
        torch.nn.utils.spectral_norm(layer)
        u = single(rng, H)
        layer.weight_u.copy_(torch.tensor((u / np.linalg.norm(u)).astype(np.float32)))
    return flat([layer.weight_u for layer in hidden])


def moved(net):
    """What the optimiser moves, in the order of a net without normalisation."""
    linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    return [p for layer in linear for p in (getattr(layer, "weight_orig", layer.weight), layer.bias)]


out = {"observations": states, "actions": np.concatenate(actions), "low": LOW, "high": HIGH}
for name, k, f, difference, head, mean_loss, linear, special in [
        ("nll", 1, 0, False, "squashed", "nll", False, None), ("squared", 2, 1, True, "gaussian", "squared", True, None),
        ("beta", 0, 2, True, "squashed", "beta_nll", False, None), ("tanh", 1, 0, True, "squashed", "squared", True, None),
        ("gaussian", 1, 0, False, "gaussian", "nll", True, None),
        ("gaussian_beta", 1, 0, True, "gaussian", "beta_nll", False, None),
        ("deterministic", 1, 1, True, "deterministic", "squared", True, None),
        ("spectral_nll", 1, 0, False, "squashed", "nll", False, "spectral"),
        ("spectral_squared", 1, 0, True, "gaussian", "squared", True, "spectral"),
        ("reference", 2, 0, False, "squashed", "nll", False, "reference")]:
    squashed, spread = head == "squashed", head != "deterministic"
    rows = every_step if special == "reference" else usable
    target = np.stack([2 * (actions[i][t] - LOW) / (HIGH - LOW) - 1 for i, t in rows])
    a = torch.tensor(np.clip(target, -EDGE, EDGE))
    x = np.stack([reference_window(i, t, k) if special == "reference" else window(i, t, k, f, difference)
                  for i, t in rows])
    inputs, inner = x.shape[1], [H] * LAYERS
    mu_net, y_net = mlp(rng, [inputs] + inner + [A]), mlp(rng, [inputs] + inner + [A])
    skip = mlp(rng, [inputs, A])
    out.update({f"{name}.x": x, f"{name}.mu": params(mu_net), f"{name}.y": params(y_net), f"{name}.linear": params(skip)})
    if special == "spectral":
        out.update({f"{name}.mu_u": normalised(mu_net), f"{name}.y_u": normalised(y_net)})
    every = [*moved(mu_net), *(moved(y_net) if spread else []), *(skip.parameters() if linear else [])]
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
            out[f"{name}.mu_grads"] = flat(p.grad for p in moved(mu_net))
            if spread:
                out[f"{name}.y_grads"] = flat(p.grad for p in moved(y_net))
            if linear:
                out[f"{name}.linear_grads"] = grads(skip)
        optimiser.step()
        losses.append((nll if mean_loss == "beta_nll" else loss).sum(1).mean().item())
    out.update({f"{name}.losses": np.array(losses), f"{name}.mu_after": flat(moved(mu_net)), f"{name}.y_after": flat(moved(y_net)),
                f"{name}.linear_after": params(skip)})
write("tests/golden/data/idm.safetensors", out)

# Discrete actions: the softmax head, on the same observations. Numbers of its own, so that the above stays as it is.
C, rng = 5, np.random.default_rng(4)
classes = np.concatenate([rng.integers(0, C, t) for t in LENGTHS])
first = np.concatenate([[0], np.cumsum(LENGTHS)])
true = torch.tensor([int(classes[first[i] + t]) for i, t in usable])
x = np.stack([window(i, t, 1, 0, True) for i, t in usable])
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
