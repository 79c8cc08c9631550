# SPDX-License-Identifier: Apache-2.0
"""Forward, loss and gradients of one net, ten Adam steps, and the squashed Gaussian likelihood.
Run from the repository's root: python3 tests/golden/gen_mlp.py"""
import math

import numpy as np
import torch

from vectors import flat, grads, mlp, params, single, write

B, I, O, H = 20, 7, 3, 24
rng = np.random.default_rng(1)
net = mlp(rng, [I, H, H, H, O])
x, target = single(rng, B, I), single(rng, B, O)
out = {"params": params(net), "x": x, "target": target}
optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
losses = []
for step in range(10):
    inputs = torch.tensor(x, requires_grad=True)
    y = net(inputs)
    loss = ((y - torch.tensor(target)) ** 2).mean()
    optimiser.zero_grad()
    loss.backward()
    if step == 0:
        out.update(y=y.detach().numpy(), grads=grads(net), dx=inputs.grad.numpy())
    optimiser.step()
    losses.append(loss.item())
out.update(losses=np.array(losses), params_after=params(net))

# L = mean_B sum_j [ z^2/2 + log sigma + log(2 pi)/2 + log(1 - a^2) ], u = atanh(a), z = (u - mu)/sigma
mu = torch.tensor(single(rng, B, O), requires_grad=True)
raw = torch.tensor(single(rng, B, O), requires_grad=True)
action = np.tanh(rng.standard_normal((B, O))).astype(np.float32).astype(np.float64)
a = torch.tensor(action)
log_sigma = -1.5 + 3.5 * torch.tanh(raw)
z = (torch.atanh(a) - mu) / torch.exp(log_sigma)
nll = (z ** 2 / 2 + log_sigma + math.log(2 * math.pi) / 2 + torch.log(1 - a ** 2)).sum(1).mean()
nll.backward()
# The same from torch's own distributions, as a check of this generator.
law = torch.distributions.TransformedDistribution(torch.distributions.Normal(mu, torch.exp(log_sigma)),
                                                  torch.distributions.TanhTransform())
assert abs(nll.item() + law.log_prob(a).sum(1).mean().item()) < 1e-9
out.update(mu=mu.detach().numpy(), raw=raw.detach().numpy(), action=action, nll=np.array([nll.item()]),
           dmu=mu.grad.numpy(), draw=raw.grad.numpy())
write("tests/golden/data/mlp.safetensors", out)
