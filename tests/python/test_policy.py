# SPDX-License-Identifier: Apache-2.0
"""Policies' files and their forward pass. tests/integration/test_policy_peers compares every algorithm with the service's own."""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from proxact import Policy, ProxactError, read_safetensors
from proxact.safetensors import write_safetensors


def safetensors(tensors, **meta):
    header, body = {"__metadata__": {k: str(v) for k, v in meta.items()}}, b""
    for name, value in tensors.items():
        raw = np.asarray(value, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(np.shape(value)), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + body


def linear_policy(**meta):
    return safetensors({
        "obs_mean": [1, 0], "obs_scale": [2, np.inf], "act_low": [-2], "act_high": [4],
        "actor.0.weight": [[1, 1], [-1, 0]], "actor.0.bias": [0, 0], "actor.1.weight": [[1, -1]], "actor.1.bias": [0],
    }, **{"kind": "tanh", "obs_clip": 3, **meta})


class Acting(unittest.TestCase):
    def test_inputs_are_scaled_and_clipped_and_outputs_have_the_datasets_units(self):
        policy = Policy(linear_policy())
        for x, scaled in ((1, 0), (3, 1), (101, 3), (-99, -3)):
            self.assertAlmostEqual(policy.act([x, 50])[0], 1 + 3 * np.tanh(scaled), places=5)
        self.assertEqual((policy.obs_dim, policy.act_dim, policy.act_count), (2, 1, 0))

    def test_a_batch_gives_the_same_as_its_rows(self):
        policy, obs = Policy(linear_policy()), np.random.default_rng(0).normal(size=(7, 2))
        np.testing.assert_allclose(policy.act(obs), [policy.act(row) for row in obs], atol=1e-6)

    def test_discrete_actions_are_indices(self):
        file = safetensors({"obs_mean": [0], "obs_scale": [1], "actor.0.weight": [[-1], [1], [0]], "actor.0.bias": [0, 0, 0]},
                           kind="argmax", act_count=3)
        self.assertEqual(Policy(file).act([2.0]), 1)
        self.assertIsInstance(Policy(file).act([2.0]), int)
        self.assertEqual(Policy(file).act([[2.0], [-2.0]]).tolist(), [1, 0])

    def test_another_shape_is_refused(self):
        for wrong in ([1, 2, 3], 5.0, np.zeros((2, 2, 2))):
            with self.subTest(wrong), self.assertRaisesRegex(ProxactError, r"takes \[2\]"):
                Policy(linear_policy()).act(wrong)

    def test_what_is_no_policy_is_refused(self):
        with self.assertRaisesRegex(ProxactError, "holds no policy: its kind is 'ensemble'"):
            Policy(linear_policy(kind="ensemble"))
        with self.assertRaisesRegex(ProxactError, "for 'dt' alone"):
            Policy(linear_policy(), target_return=5)


class Example(unittest.TestCase):
    def test_the_script_acts_on_lines(self):
        script = pathlib.Path(__file__).resolve().parents[2] / "clients/examples/act.py"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "policy.safetensors")
            path.write_bytes(linear_policy())
            out = subprocess.run([sys.executable, script, path], input="1 50\n\n3 50\n", capture_output=True, text=True, check=True)
        np.testing.assert_allclose([float(line) for line in out.stdout.splitlines()], [1, 1 + 3 * np.tanh(1)], atol=1e-5)


class Files(unittest.TestCase):
    def test_a_damaged_file_is_refused(self):
        whole = linear_policy()
        for damaged in (b"", whole[:5], whole[:40], whole[:-1], b"\xff" * 64, whole.replace(b'"shape": [2]', b'"shape": [9]')):
            with self.subTest(len(damaged)), self.assertRaisesRegex(ProxactError, "not a safetensors file"):
                read_safetensors(damaged)

    def test_what_is_written_is_read(self):
        arrays = {"observations": np.arange(6.0).reshape(2, 3), "one": 5}
        again, _ = read_safetensors(write_safetensors(arrays))
        self.assertEqual({k: v.tolist() for k, v in again.items()}, {"observations": [[0, 1, 2], [3, 4, 5]], "one": 5})

    def test_arrays_and_metadata_come_back(self):
        tensors, meta = read_safetensors(safetensors({"a": [[1, 2], [3, 4]], "b": 7.0}, word="x"))
        self.assertEqual((tensors["a"].tolist(), float(tensors["b"]), meta), ([[1, 2], [3, 4]], 7.0, {"word": "x"}))


if __name__ == "__main__":
    unittest.main()
