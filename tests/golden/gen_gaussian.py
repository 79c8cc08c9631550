# SPDX-License-Identifier: Apache-2.0
"""A tanh-squashed Gaussian by torch.distributions: draws, log-densities, gradients.
Run from the repository's root: python3 tests/golden/gen_gaussian.py"""
import numpy as np
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from vectors import single, write

N, TIMES, A, M, B = 40, 3, 5, 1.25, -0.75
rng = np.random.default_rng(5)
y = single(rng, N, 2 * A)
y[:, :A] *= 2
# Beyond both clips of log sigma, and a mean so far out that tanh rounds to 1 in float32.
y[0, A], y[1, A + 1], y[2, A + 2], y[3, 0] = 3, -17, -40, 12
noise, dlog_pi = single(rng, N, TIMES, A), single(rng, N)
da = single(rng, N, A)
given = np.tanh(single(rng, N, A)).astype(np.float32).astype(np.float64)
given[4, 0], given[5, 1] = 1, -1  # kept within the edge
# A given action is (u - mu) / sigma away: with the least sigma it would drown all others.
near = np.maximum(y, -2.5)


class Actor:
    """Leaves of the graph anew, so that each loss has gradients of its own."""

    def __init__(self, outputs):
        self.y = torch.tensor(outputs, requires_grad=True)
        self.mb = torch.tensor([M, B], requires_grad=True)

    def law(self, times=None):
        mu, o = self.y[:, :A], self.y[:, A:]
        sigma = (self.mb[0] * o + self.mb[1]).clamp(-20, 2).exp()
        if times:
            mu, sigma = (x[:, None].expand(N, times, A) for x in (mu, sigma))
        return mu, sigma, TransformedDistribution(Normal(mu, sigma), TanhTransform(cache_size=1))

    def draw(self, eps):
        mu, sigma, law = self.law(eps.shape[1] if eps.ndim == 3 else None)
        # The transform's cache maps the action back to this very u.
        action = law.transforms[0](mu + sigma * eps)
        return action, law.log_prob(action).sum(-1)


actor = Actor(y)
action, log_pi = actor.draw(torch.tensor(noise))
out = {"y": y, "noise": noise, "da": da, "dlog_pi": dlog_pi, "given": given, "near": near, "action": action.detach().numpy(),
       "log_pi": log_pi.detach().numpy()}
first, log_first = actor.draw(torch.tensor(noise[:, 0]))
(first * torch.tensor(da)).sum().add((log_first * torch.tensor(dlog_pi)).sum()).backward()
out.update(sample_dy=actor.y.grad.numpy(), sample_dmb=actor.mb.grad.numpy())
actor = Actor(near)
edge = float(np.float32(1) - np.float32(1e-6))
log_given = actor.law()[2].log_prob(torch.tensor(given).clamp(-edge, edge)).sum(-1)
(log_given * torch.tensor(dlog_pi)).sum().backward()
out.update(log_given=log_given.detach().numpy(), given_dy=actor.y.grad.numpy(), given_dmb=actor.mb.grad.numpy())
write("tests/golden/data/gaussian.safetensors", out)
