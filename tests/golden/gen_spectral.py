# SPDX-License-Identifier: Apache-2.0
"""Spectral normalisation: forward, gradients and ten Adam steps of torch.nn.utils.spectral_norm on the hidden layers.
Run from the repository's root: python3 tests/golden/gen_spectral.py"""
import numpy as np
import torch

from vectors import flat, mlp, params, single, write

B, I, O, H, LAYERS = 20, 7, 3, 24, 3
rng = np.random.default_rng(11)
net = mlp(rng, [I] + [H] * LAYERS + [O])
x, target = single(rng, B, I), single(rng, B, O)
out = {"params": params(net), "x": x, "target": target}
hidden = [layer for layer in net if isinstance(layer, torch.nn.Linear)][:-1]
for layer in hidden:
    torch.nn.utils.spectral_norm(layer)
    u = single(rng, H)
    layer.weight_u.copy_(torch.tensor((u / np.linalg.norm(u)).astype(np.float32)))
out["u"] = flat([layer.weight_u for layer in hidden])


def raw():
    """The parameters that the optimiser moves, in the order of a net without normalisation."""
    linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    return [p for layer in linear for p in (getattr(layer, "weight_orig", layer.weight), layer.bias)]


optimiser = torch.optim.Adam(raw(), lr=1e-3)
losses = []
for step in range(10):
    y = net(torch.tensor(x))  # one power iteration of each layer
    loss = ((y - torch.tensor(target)) ** 2).mean()
    optimiser.zero_grad()
    loss.backward()
    if step == 0:
        out.update(y=y.detach().numpy(), grads=flat([p.grad for p in raw()]))
    optimiser.step()
    losses.append(loss.item())
net.eval()  # no more iterations: sigma = u^T W v of the moved weights
out.update(losses=np.array(losses), raw_after=flat(raw()), u_after=flat([layer.weight_u for layer in hidden]),
           v_after=flat([layer.weight_v for layer in hidden]), y_after=net(torch.tensor(x)).detach().numpy())
write("tests/golden/data/spectral.safetensors", out)
