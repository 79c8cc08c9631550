# SPDX-License-Identifier: Apache-2.0
"""Trajectories as arrays: lengths, ends, unknown actions, and objects of other packages."""
import unittest

import lookalikes as like
import numpy as np
from proxact import Episode, ProxactError, from_d3rlpy, from_minari, rollout, split_episodes
from proxact.convert import known_steps, to_arrays


def episode(steps, final=True, terminated=False, **fields):
    obs = np.arange((steps + final) * 2, dtype=np.float32).reshape(-1, 2)
    given = {"actions": np.full((steps, 1), 0.5), "rewards": np.arange(steps, dtype=np.float32), **fields}
    return Episode(obs, terminated=terminated, truncated=not terminated, **given)


class Flat(unittest.TestCase):
    def test_final_state_is_the_last_next_observation(self):
        arrays = to_arrays([episode(3), episode(2, final=False, terminated=True)])
        self.assertEqual(arrays["next_observations"][2].tolist(), [6, 7])
        self.assertEqual(arrays["next_known"].tolist(), [1, 1, 1, 1, 0])
        self.assertEqual(arrays["terminals"].tolist(), [0, 0, 0, 0, 1])
        self.assertEqual(arrays["timeouts"].tolist(), [0, 0, 1, 0, 0])

    def test_unknown_actions_are_masked(self):
        half = np.array([[np.nan], [0.25]])
        arrays = to_arrays([episode(2, actions=half), episode(2, actions=None)])
        self.assertEqual(arrays["action_mask"].tolist(), [0, 1, 0, 0])
        self.assertEqual(arrays["actions"][1, 0], 0.25)
        self.assertFalse(np.isnan(arrays["actions"]).any())

    def test_episodes_without_any_action_or_reward_have_no_such_array(self):
        arrays = to_arrays([episode(2, actions=None, rewards=None, final=False)])
        self.assertNotIn("actions", arrays)
        self.assertNotIn("rewards", arrays)

    def test_dicts_are_episodes_too(self):
        self.assertEqual(len(to_arrays([{"observations": np.zeros((4, 2)), "rewards": np.zeros(3)}])["rewards"]), 3)

    def test_faults_name_the_episode(self):
        wrong = {
            "episode 1: observations": [episode(3), Episode(np.zeros((5, 2)), np.zeros((3, 1)), np.zeros(3))],
            "episode 0: 2 rewards": [episode(3, rewards=np.zeros(2))],
            "episode 1 has no rewards": [episode(3), episode(3, rewards=None)],
            "episode 0 has a field 'obs'": [{"obs": np.zeros((2, 2))}],
            "different widths": [episode(3), Episode(np.zeros((3, 5)), np.zeros((3, 1)), np.zeros(3))],
            "there are no episodes": [],
        }
        for words, episodes in wrong.items():
            with self.subTest(words), self.assertRaisesRegex(ProxactError, words):
                to_arrays(episodes)

    def test_splitting_undoes_it(self):
        episodes = [episode(3), episode(2, final=False, terminated=True), episode(4)]
        again = split_episodes(to_arrays(episodes))
        self.assertEqual([len(e.observations) for e in again], [4, 2, 5])
        self.assertEqual([e.terminated for e in again], [False, True, False])
        for one, other in zip(episodes, again):
            np.testing.assert_array_equal(one.observations, other.observations)
            np.testing.assert_array_equal(one.actions, other.actions)

    def test_splitting_tells_absent_actions(self):
        arrays = {**to_arrays([episode(3)]), "action_source": np.array([1, 0, 2])}
        self.assertEqual(np.isnan(split_episodes(arrays)[0].actions[:, 0]).tolist(), [False, True, False])

    def test_gaps_end_episodes_of_known_steps(self):
        arrays = {**to_arrays([episode(5, terminated=True)]), "action_source": np.array([1, 0, 2, 2, 1])}
        steps = known_steps(arrays)
        self.assertEqual(steps["timeouts"].tolist(), [1, 0, 0, 0])
        self.assertEqual(steps["terminals"].tolist(), [0, 0, 0, 1])
        self.assertEqual(steps["rewards"].tolist(), [0, 2, 3, 4])


class Minari(unittest.TestCase):
    def test_box(self):
        obs, act = np.random.default_rng(0).normal(size=(5, 3)), np.zeros((4, 2))
        episodes, spaces = from_minari(like.Minari([like.minari_episode(obs, act, True)], like.Box([-2, -1], [2, 1])))
        self.assertEqual((spaces.obs_dim, spaces.act_dim, spaces.act_low, spaces.act_high), (3, 2, [-2, -1], [2, 1]))
        self.assertTrue(episodes[0].terminated)
        np.testing.assert_array_equal(episodes[0].observations, obs)

    def test_dict_observations_lie_side_by_side_in_sorted_order(self):
        obs = {"b": np.full((3, 1), 2.0), "a": {"z": np.full((3, 2), 1.0)}}
        episodes, spaces = from_minari(like.Minari([like.minari_episode(obs, np.zeros((2, 1)), False)], like.Box([-1], [1])))
        self.assertEqual(episodes[0].observations[0].tolist(), [1, 1, 2])
        self.assertEqual(spaces.obs_dim, 3)

    def test_discrete_actions_and_unbounded_ones(self):
        one = like.minari_episode(np.zeros((4, 2)), np.array([0, 2, 1]), False)
        self.assertEqual(from_minari(like.Minari([one], like.Discrete(3)))[1].act_count, 3)
        one = like.minari_episode(np.zeros((4, 2)), np.zeros((3, 1)), False)
        self.assertIsNone(from_minari(like.Minari([one], like.Box([-np.inf], [np.inf])))[1].act_low)


class D3rlpy(unittest.TestCase):
    def test_version_2(self):
        one = like.d3rlpy_episode(np.zeros((4, 2)), np.array([[0], [1], [1], [0]]), True)
        episodes, spaces = from_d3rlpy(like.ReplayBuffer([one], like.ActionSpace.DISCRETE, 2))
        self.assertEqual((spaces.act_count, episodes[0].actions.tolist()), (2, [0, 1, 1, 0]))
        self.assertEqual((episodes[0].rewards.shape, episodes[0].terminated), ((4,), True))
        one = like.d3rlpy_episode(np.zeros((4, 2)), np.zeros((4, 3)), False)
        spaces = from_d3rlpy(like.ReplayBuffer([one], like.ActionSpace.CONTINUOUS, 3))[1]
        self.assertEqual((spaces.act_dim, spaces.act_count), (3, None))

    def test_version_1(self):
        one = like.d3rlpy_episode(np.zeros((4, 2)), np.zeros((4, 1)), None)
        one.rewards, one.terminal = np.ones(4), 1.0
        del one.terminated
        episodes, spaces = from_d3rlpy(like.MDPDataset([one], False, 1))
        self.assertTrue(episodes[0].terminated)
        self.assertEqual(spaces.act_dim, 1)


class Right:
    def act(self, observation, reward=0.0):
        return np.array([1.0], np.float32)


class Rollout(unittest.TestCase):
    def test_episodes_have_the_final_state_and_their_end(self):
        played = rollout(like.Corridor(), Right(), episodes=2, seed=1)
        self.assertEqual([(e.steps, len(e.observations), e.terminated) for e in played], [(8, 9, True), (7, 8, True)])
        played = rollout(like.Corridor(steps=4), Right(), seed=0)
        self.assertEqual((played[0].steps, played[0].truncated), (4, True))
        self.assertEqual(to_arrays(played)["timeouts"].tolist(), [0, 0, 0, 1])


if __name__ == "__main__":
    unittest.main()
