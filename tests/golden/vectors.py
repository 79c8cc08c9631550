# SPDX-License-Identifier: Apache-2.0
"""What the generators of golden vectors share: a safetensors writer and float64 nets."""
import json
import platform
import struct
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def write(path, tensors):
    """tensors: {name: float array}; written as F64, with the generator, command and versions in the header."""
    header = {"__metadata__": {"generator": sys.argv[0], "command": "python3 " + " ".join(sys.argv),
                               "versions": f"python {platform.python_version()}, torch {torch.__version__}, "
                                           f"numpy {np.__version__}, float64"}}
    blobs, at = [], 0
    for name, value in tensors.items():
        data = np.ascontiguousarray(value, dtype="<f8")
        header[name] = {"dtype": "F64", "shape": list(data.shape), "data_offsets": [at, at + data.nbytes]}
        blobs.append(data.tobytes())
        at += data.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def single(rng, *shape):
    """Normal numbers that float32 holds exactly, so that both sides start from the same."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


def mlp(rng, sizes, layer_norm=False):
    """Linear-ReLU-(LayerNorm)-...-Linear with exactly representable parameters: weights in +-1/sqrt(in), gains near 1."""
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        linear = torch.nn.Linear(a, b)
        with torch.no_grad():
            for p in linear.parameters():
                p.copy_(torch.tensor((rng.uniform(-1, 1, p.shape) / a ** 0.5).astype(np.float32)))
        layers += [linear] + ([torch.nn.ReLU()] if i + 2 < len(sizes) else [])
        if layer_norm and i + 2 < len(sizes):
            layers.append(torch.nn.LayerNorm(b))
            with torch.no_grad():
                for p, middle in zip(layers[-1].parameters(), (1, 0)):
                    p.copy_(torch.tensor((middle + rng.uniform(-0.25, 0.25, p.shape)).astype(np.float32)))
    return torch.nn.Sequential(*layers)


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors]).numpy().copy()


def params(net):
    return flat(net.parameters())


def grads(net):
    return flat(p.grad for p in net.parameters())
