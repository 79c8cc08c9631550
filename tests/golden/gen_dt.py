# SPDX-License-Identifier: Apache-2.0
"""Ten updates of a Decision Transformer (Chen et al. 2021; head and objective of Zheng et al. 2022; LAMB of You et al.
2020), written from the papers' equations: sequences are padded on the left and the padding is masked, as there.
Run from the repository's root: python3 tests/golden/gen_dt.py"""
import math

import numpy as np
import torch
import torch.nn.functional as F

from vectors import flat, write

STEPS, B, K, O, A, D, HEADS, LAYERS, TIMES = 10, 5, 6, 7, 3, 32, 2, 2, 20
LR, WARMUP, DECAY, CLIP, TEMPERATURE = 0.01, 4, 0.001, 0.25, 0.1


def numbers(rng, *shape, scale=1.0):
    """Normal numbers that float32 holds exactly."""
    return (rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64)


def parameters(rng, heads):
    """In the order of the C net's one array: {name: tensor}."""
    shapes = {"return.weight": (D, 1), "return.bias": (D,), "state.weight": (D, O), "state.bias": (D,),
              "action.weight": (D, A), "action.bias": (D,), "time.weight": (TIMES, D),
              "embedding_norm.weight": (D,), "embedding_norm.bias": (D,)}
    for layer in range(LAYERS):
        shapes.update({f"layer{layer}.{k}": v for k, v in {
            "norm1.weight": (D,), "norm1.bias": (D,), "in.weight": (3 * D, D), "in.bias": (3 * D,),
            "out.weight": (D, D), "out.bias": (D,), "norm2.weight": (D,), "norm2.bias": (D,),
            "up.weight": (4 * D, D), "up.bias": (4 * D,), "down.weight": (D, 4 * D), "down.bias": (D,)}.items()})
    shapes.update({"norm.weight": (D,), "norm.bias": (D,)})
    for head in heads:
        shapes.update({f"{head}.weight": (A, D), f"{head}.bias": (A,)})
    scale = {k: 0.05 if k.startswith("log_sigma") else 0.2 for k in shapes}
    return {k: torch.tensor(numbers(rng, *s, scale=scale[k]) + ("norm" in k and k.endswith("weight")), requires_grad=True)
            for k, s in shapes.items()}


def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p[name + ".bias"])


def norm(p, name, x):
    return F.layer_norm(x, (D,), p[name + ".weight"], p[name + ".bias"])


def attention(p, layer, x, allowed):
    n, tokens, _ = x.shape
    q, k, v = (t.view(n, tokens, HEADS, D // HEADS).transpose(1, 2) for t in linear(p, f"layer{layer}.in", x).split(D, 2))
    scores = (q @ k.transpose(2, 3) / math.sqrt(D // HEADS)).masked_fill(~allowed[:, None], -math.inf)
    return linear(p, f"layer{layer}.out", (scores.softmax(3) @ v).transpose(1, 2).reshape(n, tokens, D))


def outputs(p, heads, real, to_go, state, action, time):
    """real [B, K] says what is not padding; all else is padded on the left. -> {head: [B, K, A]}"""
    e = p["time.weight"][time.clamp(max=TIMES - 1)]
    x = torch.stack([linear(p, "return", to_go[..., None]) + e, linear(p, "state", state) + e,
                     linear(p, "action", action) + e], 2).reshape(B, 3 * K, D)
    x = norm(p, "embedding_norm", x)
    seen = real.repeat_interleave(3, 1)
    allowed = torch.ones(3 * K, 3 * K).tril().bool()[None] & seen[:, None, :]
    allowed = allowed | torch.eye(3 * K).bool()[None]  # padding looks at itself, so that its softmax exists
    for layer in range(LAYERS):
        x = x + attention(p, layer, norm(p, f"layer{layer}.norm1", x), allowed)
        hidden = F.gelu(linear(p, f"layer{layer}.up", norm(p, f"layer{layer}.norm2", x)), approximate="tanh")
        x = x + linear(p, f"layer{layer}.down", hidden)
    y = norm(p, "norm", x).view(B, K, 3, D)[:, :, 1]
    return {h: linear(p, h, y) for h in heads}


def sigma_of(y):
    return (-1.5 + 3.5 * torch.tanh(y["log_sigma"])).exp()


def log_density(y, u):
    """Of tanh(u); log(1 - tanh(u)^2) in the form that stays exact where tanh(u) rounds to 1."""
    return torch.distributions.Normal(y["mu"], sigma_of(y)).log_prob(u) - 2 * (math.log(2) - u - F.softplus(-2 * u))


def loss_of(y, b, discrete):
    w = b["weight"] / (b["weight"] > 0).sum()
    if discrete:
        nll = (w * F.cross_entropy(y["logits"].transpose(1, 2), b["chosen"].long(), reduction="none")).sum()
        return nll, nll, torch.tensor(0.0)
    nll = -(w[..., None] * log_density(y, torch.atanh(b["action"]))).sum()
    entropy = -(w[..., None] * log_density(y, y["mu"] + sigma_of(y) * b["noise"])).sum()
    return nll - TEMPERATURE * entropy, nll, entropy


def lamb(p, moments, t, lr):
    """-> the gradient's norm before it is cut."""
    total = torch.sqrt(sum((x.grad ** 2).sum() for x in p.values()))
    with torch.no_grad():
        for name, x in p.items():
            g = x.grad * min(1.0, CLIP / total.item())
            m, v = moments.setdefault(name, (torch.zeros_like(x), torch.zeros_like(x)))
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g * g)
            r = (m / (1 - 0.9 ** t)) / ((v / (1 - 0.999 ** t)).sqrt() + 1e-6) + DECAY * x
            trust = min(x.norm().item(), 10.0) / r.norm().item() if x.norm() > 0 and r.norm() > 0 else 1.0
            x -= lr * trust * r
    return total.item()


def packed_batch(rng, discrete):
    """What the C side gets: steps of all sequences, one after another."""
    lengths = np.array([K, 2, 1, K, 4])
    n = lengths.sum()
    unknown = rng.uniform(size=n) < 0.25
    action = np.tanh(rng.standard_normal((n, A))).astype(np.float32).astype(np.float64)
    chosen = rng.integers(0, A, n).astype(np.float64)
    if discrete:
        action = np.eye(A)[chosen.astype(int)]
    action[unknown] = 0
    weight = rng.uniform(0.2, 1.5, n).astype(np.float32).astype(np.float64)
    weight[unknown] = 0
    first = rng.integers(0, TIMES, B)  # some steps lie beyond the last embedding
    return lengths, {"to_go": numbers(rng, n), "state": numbers(rng, n, O), "action": action, "weight": weight,
                     "time": np.concatenate([f + np.arange(k) for f, k in zip(first, lengths)]).astype(np.float64),
                     "chosen": chosen, "noise": numbers(rng, n, A)}


def padded(lengths, packed):
    """The same, padded on the left by zeros: {name: [B, K, ...]}, and which places are real."""
    out, ends = {}, lengths.cumsum()
    for k, v in packed.items():
        rows = [np.concatenate([np.zeros((K - n,) + v.shape[1:]), v[e - n:e]]) for n, e in zip(lengths, ends)]
        out[k] = torch.tensor(np.stack(rows))
    return torch.arange(K)[None] >= K - torch.tensor(lengths)[:, None], out


def run(name, seed, discrete):
    rng = np.random.default_rng(seed)
    heads = ["logits"] if discrete else ["mu", "log_sigma"]
    p, moments, out = parameters(rng, heads), {}, {}
    out["params"] = flat(p.values())
    batches = [packed_batch(rng, discrete) for _ in range(STEPS)]
    out["lengths"] = batches[0][0].astype(np.float64)
    for k in batches[0][1]:
        out[k] = np.stack([b[1][k] for b in batches])
    losses = np.zeros((STEPS, 4))
    for step, (lengths, packed) in enumerate(batches):
        real, b = padded(lengths, packed)
        y = outputs(p, heads, real, b["to_go"], b["state"], b["action"], b["time"].long())
        loss, nll, entropy = loss_of(y, b, discrete)
        for x in p.values():
            x.grad = None
        loss.backward()
        if step == 0:
            out.update({h: y[h][real].detach().numpy() for h in heads})
            out["grads"] = flat(x.grad for x in p.values())
        total = lamb(p, moments, step + 1, LR * min((step + 1) / WARMUP, 1))
        losses[step] = loss.item(), nll.item(), entropy.item(), total
    out.update(losses=losses, params_after=flat(p.values()))
    write(f"tests/golden/data/{name}.safetensors", out)


run("dt", 5, False)
run("dt_discrete", 6, True)
