# SPDX-License-Identifier: Apache-2.0
"""Trajectories as arrays, and from and to the objects of other packages. None of these packages is imported but by `to_d3rlpy`.

The flat layout, N steps in all, is what an upload sends and an export gives (D4RL's, with two more arrays):

    observations [N, O], actions [N, A] (discrete: int [N]), rewards [N], terminals [N] bool, timeouts [N] bool,
    next_observations [N, O], next_known [N] (0: that next observation is not real), action_mask [N] (1: the action is known)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from .errors import ProxactError


@dataclass
class Episode:
    """One trajectory of T steps.

    observations: [T, O], or [T + 1, O] with the state after the last action
    actions: [T, A], or int [T] if discrete; None, and rows of NaN: unknown
    rewards: [T]; None: there are none
    terminated, truncated: how it ended
    """

    observations: Any
    actions: Any = None
    rewards: Any = None
    terminated: bool = False
    truncated: bool = False

    @property
    def steps(self) -> int:
        """T."""
        for array in (self.actions, self.rewards):
            if array is not None:
                return len(array)
        return len(self.observations)


@dataclass
class Spaces:
    """Lengths and ranges of a dataset, as far as they are known."""

    obs_dim: Optional[int] = None
    act_dim: Optional[int] = None
    act_count: Optional[int] = None
    act_low: Optional[List[float]] = None
    act_high: Optional[List[float]] = None


def to_arrays(episodes: Iterable[Any]) -> Dict[str, Any]:
    """The flat layout of episodes: `Episode` objects, or dicts with the same names.

    Raises ProxactError naming the episode if lengths or widths differ, or if only some episodes have rewards.
    """
    items = [_episode(item, i) for i, item in enumerate(episodes)]
    if not items:
        raise ProxactError("there are no episodes")
    with_rewards = {item.rewards is not None for item in items}
    if len(with_rewards) == 2:
        lacking = next(i for i, item in enumerate(items) if item.rewards is None)
        raise ProxactError(f"episode {lacking} has no rewards, and others have some")
    known = next((np.asarray(item.actions) for item in items if item.actions is not None), None)
    columns: Dict[str, List[Any]] = {}
    for i, item in enumerate(items):
        for name, column in _columns(item, i, known).items():
            columns.setdefault(name, []).append(column)
    try:
        return {name: np.concatenate(parts) for name, parts in columns.items()}
    except ValueError as why:
        raise ProxactError(f"the episodes have different widths: {why}") from why


def _episode(item: Any, i: int) -> Episode:
    if isinstance(item, Episode):
        return item
    if isinstance(item, Mapping):
        unknown = set(item) - set(Episode.__dataclass_fields__)
        if unknown:
            raise ProxactError(
                f"episode {i} has a field '{sorted(unknown)[0]}'", f"It may have {', '.join(Episode.__dataclass_fields__)}."
            )
        return Episode(**item)
    raise ProxactError(f"episode {i} is a {type(item).__name__}", "Give Episode objects, or dicts with the same names.")


def _columns(item: Episode, i: int, known: Any) -> Dict[str, Any]:
    obs, steps = np.asarray(item.observations), item.steps
    if obs.ndim != 2 or len(obs) not in (steps, steps + 1) or steps == 0:
        raise ProxactError(
            f"episode {i}: observations have shape {list(obs.shape)}, with {steps} steps", "They are [T, O] or [T + 1, O]."
        )
    last = np.arange(steps) == steps - 1
    has_final = len(obs) == steps + 1
    columns: Dict[str, Any] = {
        "observations": obs[:steps],
        "next_observations": obs[1:] if has_final else np.concatenate([obs[1:], obs[-1:]]),
        "next_known": (~last | has_final).astype(np.uint8),
        "terminals": last & item.terminated,
        "timeouts": last & (not item.terminated),
    }
    if item.rewards is not None:
        columns["rewards"] = np.asarray(item.rewards).reshape(-1)
        if len(columns["rewards"]) != steps:
            raise ProxactError(f"episode {i}: {len(columns['rewards'])} rewards, with {steps} steps")
    if known is not None:
        actions = np.zeros((steps,) + known.shape[1:], known.dtype) if item.actions is None else np.asarray(item.actions)
        if len(actions) != steps:
            raise ProxactError(f"episode {i}: {len(actions)} actions, with {steps} steps")
        columns["action_mask"] = _known(actions) & (item.actions is not None)
        columns["actions"] = np.nan_to_num(actions) if actions.dtype.kind == "f" else actions
    return columns


def _known(actions: Any) -> Any:
    """[T]: whether a step has an action; one of nothing but NaN is unknown."""
    if actions.dtype.kind != "f":
        return np.ones(len(actions), bool)
    return ~np.isnan(actions.reshape(len(actions), -1)).all(1)


def split_episodes(arrays: Mapping[str, Any]) -> List[Episode]:
    """The episodes of a flat layout: of `labelled()`, or of a D4RL dataset. Steps without an action get NaN (floats only)."""
    ends = np.asarray(arrays["terminals"], bool)
    if "timeouts" in arrays:
        ends = ends | np.asarray(arrays["timeouts"], bool)
    stops = list(np.flatnonzero(ends) + 1)
    if not stops or stops[-1] != len(ends):
        stops.append(len(ends))
    episodes, start = [], 0
    for stop in stops:
        obs = np.asarray(arrays["observations"][start:stop])
        if "next_observations" in arrays and bool(arrays["next_known"][stop - 1] if "next_known" in arrays else True):
            obs = np.concatenate([obs, np.asarray(arrays["next_observations"][stop - 1 : stop])])
        actions = None
        if "actions" in arrays:
            actions = np.array(arrays["actions"][start:stop])
            if "action_source" in arrays and actions.dtype.kind == "f":
                actions[np.asarray(arrays["action_source"][start:stop]) == 0] = np.nan
        rewards = np.asarray(arrays["rewards"][start:stop]) if "rewards" in arrays else None
        terminated = bool(arrays["terminals"][stop - 1])
        episodes.append(Episode(obs, actions, rewards, terminated, not terminated))
        start = int(stop)
    return episodes


def spaces_of(arrays: Mapping[str, Any]) -> Spaces:
    """Lengths from a flat layout. Integers [N] as actions are discrete, and how many there are cannot be seen."""
    obs = np.asarray(arrays["observations"]) if "observations" in arrays else np.asarray(arrays.get("obs", []))
    actions = arrays.get("actions", arrays.get("acts"))
    spaces = Spaces(obs_dim=obs.shape[1] if obs.ndim == 2 else None)
    if actions is not None:
        shape, kind = np.asarray(actions).shape, np.asarray(actions).dtype.kind
        spaces.act_dim = shape[1] if len(shape) == 2 and kind == "f" else None
    return spaces


def _flat(value: Any) -> Any:
    """Observations or actions of a Dict or Tuple space, side by side: keys in sorted order, as the service does."""
    if isinstance(value, Mapping):
        return np.concatenate([_flat(value[key]) for key in sorted(value)], axis=1)
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], (np.ndarray, Mapping, tuple)):
        return np.concatenate([_flat(part) for part in value], axis=1)
    array = np.asarray(value)
    return array.reshape(len(array), -1)


def _spaces_of_space(space: Any) -> Spaces:
    """From a Gymnasium action space: Discrete has `n`, Box has `low` and `high`."""
    if hasattr(space, "n"):
        return Spaces(act_count=int(space.n))
    if hasattr(space, "low") and hasattr(space, "high"):
        low, high = np.ravel(space.low).astype(float), np.ravel(space.high).astype(float)
        if np.isfinite(low).all() and np.isfinite(high).all():
            return Spaces(act_low=low.tolist(), act_high=high.tolist())
    return Spaces()


def from_minari(dataset: Any) -> Tuple[List[Episode], Spaces]:
    """Episodes and spaces of a `minari.MinariDataset`: of its `iterate_episodes()` and `action_space`."""
    spaces = _spaces_of_space(getattr(dataset, "action_space", None) or getattr(dataset.spec, "action_space", None))
    episodes = []
    for episode in dataset.iterate_episodes():
        actions = np.asarray(episode.actions).reshape(-1) if spaces.act_count else _flat(episode.actions)
        terminated = bool(np.asarray(episode.terminations)[-1])
        episodes.append(Episode(
            _flat(episode.observations), actions, np.asarray(episode.rewards).reshape(-1), terminated, not terminated
        ))
    return episodes, _with_lengths(spaces, episodes)


def from_d3rlpy(dataset: Any) -> Tuple[List[Episode], Spaces]:
    """Episodes and spaces of d3rlpy's `ReplayBuffer` or `MDPDataset`, of version 1 or 2: of its `episodes`.

    The state after an episode's last action is not in these objects.
    """
    spaces = _d3rlpy_spaces(dataset)
    episodes = []
    for episode in dataset.episodes:
        actions = np.asarray(episode.actions)
        terminated = bool(episode.terminated if hasattr(episode, "terminated") else episode.terminal)
        episodes.append(Episode(
            _flat(episode.observations), actions.reshape(-1).astype(np.int64) if spaces.act_count else actions,
            np.asarray(episode.rewards).reshape(-1), terminated, not terminated,
        ))
    return episodes, _with_lengths(spaces, episodes)


def _d3rlpy_spaces(dataset: Any) -> Spaces:
    info = getattr(dataset, "dataset_info", None)
    if info is not None:  # version 2
        discrete = "DISCRETE" in str(info.action_space).upper()
        return Spaces(act_count=int(info.action_size)) if discrete else Spaces()
    if hasattr(dataset, "is_action_discrete") and dataset.is_action_discrete():
        return Spaces(act_count=int(dataset.get_action_size()))
    return Spaces()


def _with_lengths(spaces: Spaces, episodes: Sequence[Episode]) -> Spaces:
    if not episodes:
        raise ProxactError("the dataset has no episodes")
    spaces.obs_dim = np.asarray(episodes[0].observations).shape[1]
    if not spaces.act_count:
        spaces.act_dim = np.asarray(episodes[0].actions).shape[1]
    return spaces


def to_d3rlpy(arrays: Mapping[str, Any]) -> Any:
    """A `d3rlpy.dataset.MDPDataset` of the steps that have an action. Needs d3rlpy.

    arrays: of `labelled()`. An episode ends, truncated, before a step without one.
    """
    try:
        from d3rlpy.dataset import MDPDataset  # type: ignore[import]
    except ImportError as why:
        raise ProxactError("d3rlpy is not installed", "pip install d3rlpy") from why
    return MDPDataset(**known_steps(arrays))


def known_steps(arrays: Mapping[str, Any]) -> Dict[str, Any]:
    """observations, actions, rewards, terminals, timeouts of the steps that have an action; gaps end episodes."""
    source = np.asarray(arrays.get("action_source", np.ones(len(arrays["terminals"]))))
    keep = source != 0
    gap = np.append(~keep[1:], False)  # the next step has no action
    timeouts = (np.asarray(arrays["timeouts"], bool) | gap) & ~np.asarray(arrays["terminals"], bool)
    columns = {name: np.asarray(arrays[name])[keep] for name in ("observations", "actions", "rewards")}
    terminals = np.asarray(arrays["terminals"])[keep].astype(np.float32)
    return {**columns, "terminals": terminals, "timeouts": timeouts[keep].astype(np.float32)}


def rollout(env: Any, policy: Any, episodes: int = 1, seed: Optional[int] = None, max_steps: int = 100_000) -> List[Episode]:
    """Plays a policy in a Gymnasium environment, or one with the same `reset` and `step`.

    policy: a `Policy`, or anything with `act(observation, reward)`; its `reset` is called before each episode if it has one.
    seed: of the first episode; the next ones get the numbers after it.
    Returns episodes with the state after the last action. `Client.upload` takes them.
    """
    played = []
    for i in range(episodes):
        obs, _ = env.reset(seed=None if seed is None else seed + i)
        getattr(policy, "reset", lambda: None)()
        observations, actions = [np.asarray(obs)], []
        rewards: List[float] = []
        terminated = truncated = False
        while not (terminated or truncated) and len(rewards) < max_steps:
            action = policy.act(observations[-1], rewards[-1] if rewards else 0.0)
            obs, reward, terminated, truncated, _ = env.step(action)
            observations.append(np.asarray(obs))
            actions.append(action)
            rewards.append(float(reward))
        played.append(Episode(
            np.stack(observations), np.asarray(actions), np.asarray(rewards), bool(terminated), not terminated
        ))
    return played
