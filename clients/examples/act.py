#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Acting with a policy that was downloaded (GET /v1/models/{id}/weights), in Python with numpy alone.

    from act import Policy
    policy = Policy("policy.safetensors")
    action = policy.act(observation)                  # at the start of an episode: policy.reset()
    action = policy.act(observation, reward)          # the reward of the step before; only kind transformer looks at it

Every step is an operation that ONNX has (Gemm, Clip, Relu, Tanh, ArgMax, LayerNormalization, Softmax), so what is below is also
the recipe for another runtime. Tensors and metadata are described in docs/policies.md.
"""
import json
import struct

import numpy as np


def read_safetensors(path):
    """The tensors, as float32 arrays, and the metadata of a file."""
    with open(path, "rb") as file:
        raw = file.read()
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + n])
    meta = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        tensors[name] = np.frombuffer(raw[8 + n + begin : 8 + n + end], "<f4").reshape(t["shape"])
    return tensors, meta


def layer_norm(x, gain, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + shift


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


class Policy:
    def __init__(self, path, target_return=None):
        self.t, self.meta = read_safetensors(path)
        self.kind = self.meta["kind"]
        self.clip = float(self.meta.get("obs_clip", "inf"))  # files of older versions have none
        if self.kind == "transformer":
            self.heads = int(self.meta["transformer_heads"])
            self.context = int(self.meta["transformer_context"])
            self.return_scale = float(self.meta["transformer_return_scale"])
            self.target = float(self.meta["transformer_target_return"] if target_return is None else target_return)
        self.reset()

    def reset(self):
        """Before the first step of an episode."""
        self.history = []

    def act(self, observation, reward=0.0):
        """An action in the dataset's units, or the index of a discrete one."""
        s = (np.asarray(observation, "f4") - self.t["obs_mean"]) / self.t["obs_scale"]  # scale inf: left out, always 0
        s = np.clip(s, -self.clip, self.clip)
        y = self.transformer(s, reward) if self.kind == "transformer" else self.mlp("actor", s)
        discrete = "act_count" in self.meta
        action = np.argmax(y) if discrete else np.tanh(y[: len(self.t["act_low"])])
        if self.history:
            self.history[-1]["action"] = np.eye(len(y), dtype="f4")[action] if discrete else action
        if discrete:
            return int(action)
        low, high = self.t["act_low"], self.t["act_high"]
        return (low + high) / 2 + (high - low) / 2 * action

    def mlp(self, net, x):
        """Linear-ReLU-...-Linear, with a layer normalisation behind each ReLU where the file has its gain."""
        layer = 0
        while True:
            x = x @ self.t[f"{net}.{layer}.weight"].T + self.t[f"{net}.{layer}.bias"]
            if f"{net}.{layer + 1}.weight" not in self.t:
                return x
            x = np.maximum(x, 0)
            if f"{net}.{layer}.gain" in self.t:
                x = layer_norm(x, self.t[f"{net}.{layer}.gain"], self.t[f"{net}.{layer}.shift"])
            layer += 1

    def transformer(self, s, reward):
        """The Decision Transformer: a return-to-go, a state and an action token for each of the last steps."""
        p = {name.removeprefix("transformer."): t for name, t in self.t.items()}

        def linear(name, x):
            return x @ p[name + ".weight"].T + p[name + ".bias"]

        def norm(name, x):
            return layer_norm(x, p[name + ".weight"], p[name + ".bias"])

        last = self.history[-1] if self.history else None
        to_go = last["to_go"] - reward * self.return_scale if last else self.target * self.return_scale
        time = last["time"] + 1 if last else 0
        width = p["action.weight"].shape[1]
        self.history.append({"to_go": to_go, "time": time, "state": s, "action": np.zeros(width, "f4")})
        self.history = self.history[-self.context :]
        tokens = []
        for step in self.history:
            at = p["time.weight"][min(step["time"], len(p["time.weight"]) - 1)]
            for name, value in (("return", [step["to_go"]]), ("state", step["state"]), ("action", step["action"])):
                tokens.append(linear(name, np.asarray(value, "f4")) + at)
        x = norm("embedding_norm", np.stack(tokens[:-1]))  # the newest action is what is asked for
        n, d = x.shape
        later = np.triu(np.full((n, n), -np.inf), 1)
        layer = 0
        while f"layer{layer}.norm1.weight" in p:
            at = f"layer{layer}."
            q, k, v = (part.reshape(n, self.heads, -1).swapaxes(0, 1)
                       for part in np.split(linear(at + "attention_in", norm(at + "norm1", x)), 3, axis=1))
            score = q @ k.swapaxes(1, 2) / np.sqrt(d / self.heads) + later
            weight = np.exp(score - score.max(-1, keepdims=True))
            weight /= weight.sum(-1, keepdims=True)
            x = x + linear(at + "attention_out", (weight @ v).swapaxes(0, 1).reshape(n, d))
            x = x + linear(at + "mlp_out", gelu(linear(at + "mlp_in", norm(at + "norm2", x))))
            layer += 1
        y = norm("norm", x[-1])
        return linear("logits" if "logits.weight" in p else "mu", y)
