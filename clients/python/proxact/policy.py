# SPDX-License-Identifier: Apache-2.0
"""Acting with a policy in numpy alone, without the service.

Each step is an operation that ONNX has (Gemm, Clip, Relu, Tanh, ArgMax, LayerNormalization, Softmax), so this file is also the
recipe for another runtime. docs/policies.md describes the tensors and the metadata of a policy's file.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Union

import numpy as np

from .errors import ProxactError
from .safetensors import read_safetensors


class Policy:
    """A policy from its weights: of `Client.policy`, `Pipeline.policy` or `Policy(path)`. All algorithms.

        policy = Policy("policy.safetensors")
        policy.reset()                               # before each episode
        action = policy.act(observation, reward)     # the reward of the step before; only dt looks at it

    source: a safetensors file's path, or its bytes.
    target_return: what `dt` aims at, in units of the dataset's rewards; None: what the training chose.

    obs_dim, act_dim     numbers of an observation and of an action (1 if discrete)
    act_count            how many discrete actions there are; 0: actions are continuous
    act_low, act_high    [act_dim] the range of continuous actions, in the dataset's units; None if discrete
    kind                 "tanh", "argmax" or "transformer"
    meta                 the file's metadata: environment, algorithm and others

    Not for several threads at once: `dt` keeps the episode's history in it.
    """

    def __init__(self, source: Union[str, "os.PathLike[str]", bytes], target_return: Optional[float] = None) -> None:
        self._t, self.meta = read_safetensors(source)
        self.kind = self.meta.get("kind", "")
        if self.kind not in ("tanh", "argmax", "transformer") or "obs_mean" not in self._t:
            raise ProxactError(
                "this file holds no policy" + (f": its kind is '{self.kind}'" if self.kind else ""),
                "Inverse dynamics models do not act; a model's document has role 'policy' if it is one.",
            )
        self.act_count = int(self.meta.get("act_count", 0))
        self.obs_dim = len(self._t["obs_mean"])
        self.act_low, self.act_high = (None, None) if self.act_count else (self._t["act_low"], self._t["act_high"])
        self.act_dim = 1 if self.act_count else len(self._t["act_low"])
        self._clip = float(self.meta.get("obs_clip", "inf"))  # files of older versions have none
        if self.kind == "transformer":
            self._heads = int(self.meta["transformer_heads"])
            self._context = int(self.meta["transformer_context"])
            self._return_scale = float(self.meta["transformer_return_scale"])
            chosen = float(self.meta["transformer_target_return"])
            self._target = chosen if target_return is None else float(target_return)
        elif target_return is not None:
            raise ProxactError("target_return is for 'dt' alone", "Leave it out.")
        self.reset()

    def reset(self) -> None:
        """Forgets the episode so far; call it before each episode's first step."""
        self._history: List[Dict[str, Any]] = []

    def act(self, observation: Any, reward: float = 0.0) -> Any:
        """The action that the policy would take.

        observation: [obs_dim] in the dataset's units; or [B, obs_dim], except with `dt`, whose steps depend on each other.
        reward: of the step before; only `dt` uses it.
        Returns float32 [act_dim] or [B, act_dim] in the dataset's units; if actions are discrete an int, or int64 [B].
        Raises ProxactError if the shape does not fit.
        """
        obs = np.asarray(observation, np.float32)
        if obs.shape[-1:] != (self.obs_dim,) or obs.ndim > (1 if self.kind == "transformer" else 2):
            raise ProxactError(
                f"an observation has shape {list(obs.shape)}; this policy takes [{self.obs_dim}]",
                "dt acts step by step: give it one observation at a time." if obs.ndim == 2 else "",
            )
        s = np.clip((obs - self._t["obs_mean"]) / self._t["obs_scale"], -self._clip, self._clip)  # scale inf: always 0
        y = self._transformer(s, reward) if self.kind == "transformer" else self._mlp("actor", s)
        action: Any = np.argmax(y, -1) if self.act_count else np.tanh(y[..., : self.act_dim])
        if self._history:
            self._history[-1]["action"] = np.eye(y.shape[-1], dtype=np.float32)[action] if self.act_count else action
        if self.act_low is None or self.act_high is None:
            return int(action) if obs.ndim == 1 else action
        scaled = (self.act_low + self.act_high) / 2 + (self.act_high - self.act_low) / 2 * action
        return scaled.astype(np.float32)

    def _mlp(self, net: str, x: Any) -> Any:
        """Linear-ReLU-...-Linear, with a layer normalisation behind each ReLU where the file has its gain."""
        layer = 0
        while True:
            x = x @ self._t[f"{net}.{layer}.weight"].T + self._t[f"{net}.{layer}.bias"]
            if f"{net}.{layer + 1}.weight" not in self._t:
                return x
            x = np.maximum(x, 0)
            if f"{net}.{layer}.gain" in self._t:
                x = _layer_norm(x, self._t[f"{net}.{layer}.gain"], self._t[f"{net}.{layer}.shift"])
            layer += 1

    def _linear(self, name: str, x: Any) -> Any:
        return x @ self._t[f"transformer.{name}.weight"].T + self._t[f"transformer.{name}.bias"]

    def _norm(self, name: str, x: Any) -> Any:
        return _layer_norm(x, self._t[f"transformer.{name}.weight"], self._t[f"transformer.{name}.bias"])

    def _remember(self, s: Any, reward: float) -> None:
        """Adds the present step to the history, which holds the last `context` steps."""
        last = self._history[-1] if self._history else None
        to_go = last["to_go"] - reward * self._return_scale if last else self._target * self._return_scale
        width = self._t["transformer.action.weight"].shape[1]
        self._history.append({
            "to_go": to_go, "time": last["time"] + 1 if last else 0, "state": s, "action": np.zeros(width, np.float32),
        })
        self._history = self._history[-self._context :]

    def _transformer(self, s: Any, reward: float) -> Any:
        """The Decision Transformer: a return-to-go, a state and an action token for each of the last steps."""
        self._remember(s, reward)
        times = self._t["transformer.time.weight"]
        tokens = []
        for step in self._history:
            at = times[min(step["time"], len(times) - 1)]
            for name, value in (("return", [step["to_go"]]), ("state", step["state"]), ("action", step["action"])):
                tokens.append(self._linear(name, np.asarray(value, np.float32)) + at)
        x = self._norm("embedding_norm", np.stack(tokens[:-1]))  # the newest action is what is asked for
        layer = 0
        while f"transformer.layer{layer}.norm1.weight" in self._t:
            x = self._block(f"layer{layer}.", x)
            layer += 1
        return self._linear("logits" if "transformer.logits.weight" in self._t else "mu", self._norm("norm", x[-1]))

    def _block(self, at: str, x: Any) -> Any:
        """Causal self-attention and a feed-forward part. x: [n, d]; the result has the same shape."""
        n, d = x.shape
        later = np.triu(np.full((n, n), -np.inf), 1)
        parts = np.split(self._linear(at + "attention_in", self._norm(at + "norm1", x)), 3, axis=1)
        q, k, v = (part.reshape(n, self._heads, -1).swapaxes(0, 1) for part in parts)
        score = q @ k.swapaxes(1, 2) / np.sqrt(d / self._heads) + later
        weight = np.exp(score - score.max(-1, keepdims=True))
        weight /= weight.sum(-1, keepdims=True)
        x = x + self._linear(at + "attention_out", (weight @ v).swapaxes(0, 1).reshape(n, d))
        return x + self._linear(at + "mlp_out", _gelu(self._linear(at + "mlp_in", self._norm(at + "norm2", x))))


def _layer_norm(x: Any, gain: Any, shift: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + shift


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
