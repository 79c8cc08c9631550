# SPDX-License-Identifier: Apache-2.0
"""Small objects with the public interface of Minari, d3rlpy, LeRobot and Gymnasium, as their documents describe it."""
import enum
import types

import numpy as np


class Box:
    def __init__(self, low, high):
        self.low, self.high = np.asarray(low, np.float32), np.asarray(high, np.float32)


class Discrete:
    def __init__(self, n):
        self.n = n


class Minari:
    """minari.MinariDataset: iterate_episodes(), action_space; an episode's observations have T + 1 rows."""

    def __init__(self, episodes, action_space):
        self.action_space = action_space
        self._episodes = episodes

    def iterate_episodes(self, episode_indices=None):
        return iter(self._episodes)


def minari_episode(observations, actions, terminated):
    n = len(actions)
    last = np.arange(n) == n - 1
    return types.SimpleNamespace(
        id=0, observations=observations, actions=actions, rewards=np.ones(n), terminations=last & terminated,
        truncations=last & (not terminated), infos={},
    )


class ActionSpace(enum.Enum):
    """d3rlpy.constants.ActionSpace."""

    CONTINUOUS = 1
    DISCRETE = 2


class ReplayBuffer:
    """d3rlpy 2: episodes, dataset_info; rewards are [T, 1]."""

    def __init__(self, episodes, action_space, action_size):
        self.episodes = episodes
        self.dataset_info = types.SimpleNamespace(action_space=action_space, action_size=action_size)


def d3rlpy_episode(observations, actions, terminated):
    return types.SimpleNamespace(
        observations=observations, actions=actions, rewards=np.ones((len(actions), 1), np.float32), terminated=terminated
    )


class MDPDataset:
    """d3rlpy 1: episodes with `terminal`, is_action_discrete(), get_action_size()."""

    def __init__(self, episodes, discrete, size):
        self.episodes, self._discrete, self._size = episodes, discrete, size

    def is_action_discrete(self):
        return self._discrete

    def get_action_size(self):
        return self._size


class Corridor:
    """A gymnasium.Env: walk to the right end (terminated), or run out of steps (truncated)."""

    observation_space, action_space = Box([-9], [9]), Box([-1], [1])

    def __init__(self, steps=50):
        self._steps = steps

    def reset(self, *, seed=None, options=None):
        self._x, self._n = np.array([(seed or 0) % 3], np.float32), 0
        return self._x.copy(), {}

    def step(self, action):
        self._x = self._x + np.clip(np.asarray(action, np.float32), -1, 1)
        self._n += 1
        return self._x.copy(), float(self._x[0]), bool(self._x[0] >= 9), self._n >= self._steps, {}
