# SPDX-License-Identifier: Apache-2.0
"""The Python client with a real server and workers: every operation, and how it fails. Needs PROXACT_URL and PROXACT_TOKEN."""
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import types
import unittest
import urllib.parse
from contextlib import redirect_stderr

import h5py
import lookalikes as like
import numpy as np
import proxact
from proxact import Client, ConflictError, JobCancelled, NotFoundError, ProxactError, UnauthorizedError, ValidationError

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
DEMO = os.path.join(ROOT, "deploy/demo/hopper-demo.hdf5")
SMALL = {
    "idm": {"steps": 60, "members": 2, "hidden": 32, "validate_every": 30}, "episodes": 2,
    "policies": [{"algo": "td3bc", "updates": 100, "hidden": 32},
                 {"algo": "dt", "updates": 20, "warmup": 5, "batch": 16, "hidden": 32, "layers": 2, "heads": 2, "context": 5}],
}


def arrays_of(n, act=2, seed=0):
    rng = np.random.default_rng(seed)
    ends = np.arange(n) % 20 == 19
    return {"observations": rng.normal(size=(n, 3)).astype(np.float32), "actions": rng.uniform(-1, 1, (n, act)).astype(np.float32),
            "rewards": np.ones(n, np.float32), "terminals": np.zeros(n, bool), "timeouts": ends}


class Cutting:
    """A relay to the server that hangs up each connection once it has sent `most` bytes, `times` times."""

    def __init__(self, url, most, times):
        parts = urllib.parse.urlsplit(url)
        self.to, self.most, self.left = (parts.hostname, parts.port), most, times
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.to)
            threading.Thread(target=self.pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, False), daemon=True).start()

    def pump(self, source, target, counted):
        sent = 0
        try:
            while block := source.recv(1 << 16):
                target.sendall(block)
                sent += len(block)
                if counted and self.left and sent > self.most:
                    self.left -= 1
                    break
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = Client()
        cls.client.upload("hopper", DEMO, obs_dim=11, act_dim=3, env="hopper")
        cls.pipeline = cls.client.pipeline("hopper", mask={"protocol": "coupled", "p": 10, "q": 50}, baselines=["labelled_only"], **SMALL)
        cls.said = io.StringIO()
        with redirect_stderr(cls.said):
            cls.pipeline.wait(progress=True)

    def setUp(self):
        self.name = self.id().split(".")[-1]
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    # --- uploads ---

    def test_actions_that_come_later_and_a_segment_less(self):
        data = arrays_of(60)
        truth = data.pop("actions")
        self.client.upload("later", data, act_dim=2)
        self.client.upload("later", arrays_of(20, seed=1), create=False, source="robot-3")
        dataset = self.client.dataset("later")
        first = dataset.document["version"]
        done = dataset.add_actions(truth[:20], 0)
        self.assertEqual((done["steps"], done["replaced"], done["version"]), (20, 0, first + 1))
        with self.assertRaises(ConflictError) as refused:
            dataset.add_actions(truth[:20], 0)
        self.assertEqual(refused.exception.pointer, "trajectory 0, step 0")
        with self.assertRaises(ConflictError) as refused:
            dataset.add_actions(truth[20:21], 1, step=3, version=first)
        self.assertEqual(refused.exception.status, 412)
        self.assertEqual(dataset.add_actions(truth[18:40], np.repeat([0, 1], [2, 20]), np.r_[18:20, 0:20], replace=True)["replaced"], 2)
        self.assertEqual(dataset.add_actions(truth[40:43], 2, step=5)["steps"], 3)
        got = dataset.labelled("true")
        np.testing.assert_array_equal(got["actions"][:40], truth[:40])
        self.assertEqual([v["change"] for v in dataset.versions()], ["actions"] * 3 + ["append"] * 2)
        self.assertEqual([s["trajectories"] for s in dataset.segments()], [3, 1])
        self.assertEqual(dataset.diff(first)["segments_relabelled"], [0])
        dataset.delete_segment(0)
        self.assertEqual([t["n"] for t in dataset.trajectories(source="robot-3")], [0])
        self.assertEqual(dataset.diff(first)["segments_removed"], [0])
        dataset.delete()

    def test_arrays_make_a_dataset_and_come_back(self):
        arrays = arrays_of(400)
        stored = self.client.upload(self.name, arrays, act_low=[-2, -2], act_high=2)
        self.assertEqual((stored.trajectories, stored.steps, stored.labelled_steps), (20, 400, 400))
        self.assertEqual((stored.dataset.document["obs_dim"], stored.dataset.document["act_low"]), (3, [-2, -2]))
        self.assertIn("constant_reward", [finding["code"] for finding in stored.dataset.lint()])
        again = stored.dataset.labelled("true")
        for name in ("observations", "actions", "rewards"):
            np.testing.assert_array_equal(again[name], arrays[name])

    def test_an_unknown_action_stays_unknown(self):
        arrays = arrays_of(40)
        arrays["actions"][:25] = np.nan
        stored = self.client.upload(self.name, arrays)
        self.assertEqual(stored.labelled_steps, 15)
        self.assertEqual(stored.dataset.labelled()["action_source"].sum(), 15)
        self.assertIsNone(stored.dataset.trajectory(0)["actions"][0])

    def test_episodes_survive_a_round_trip(self):
        arrays = self.client.dataset("hopper").labelled("true")
        stored = self.client.upload(self.name, proxact.split_episodes(arrays))
        again = stored.dataset.labelled("true")
        for name, values in arrays.items():
            np.testing.assert_array_equal(again[name], values, name)

    def test_discrete_actions_need_their_number(self):
        arrays = {**arrays_of(40), "actions": np.arange(40) % 3}
        with self.assertRaisesRegex(ProxactError, "dimensions are not known"):
            self.client.upload(self.name, arrays)
        self.assertEqual(self.client.upload(self.name, arrays, act_count=3).dataset.document["class_counts"], [14, 13, 13])

    def test_a_large_file_goes_in_parts_over_a_line_that_breaks(self):
        arrays = arrays_of(400_000, act=3)
        relay = Cutting(self.client.url, 3 << 20, 3)
        with Client(relay.url, os.environ["PROXACT_TOKEN"]) as client:
            client.version()
            said = io.StringIO()
            with redirect_stderr(said):
                stored = client.upload(self.name, arrays, progress=True)
        relay.listener.close()
        self.assertEqual((stored.steps, relay.left), (400_000, 0))
        self.assertIn("100%", said.getvalue())
        np.testing.assert_array_equal(stored.dataset.labelled("true")["observations"], arrays["observations"])

    def test_duplicates_are_left_out_or_refused(self):
        stored = self.client.upload("hopper", DEMO, on_duplicate="skip")
        self.assertEqual((stored.steps, stored.duplicates), (0, 88))
        with self.assertRaises(ConflictError):
            self.client.upload("hopper", DEMO, on_duplicate="refuse")

    def test_lerobot_folders_and_datasets(self):
        folder = os.path.join(self.folder, "robot")
        dataset = self.client.upload(self.name, arrays_of(60)).dataset
        dataset.export(folder, "lerobot")
        os.makedirs(os.path.join(folder, "videos"))
        with open(os.path.join(folder, "videos", "a.mp4"), "wb") as file:
            file.write(os.urandom(1000))
        for i, data in enumerate((folder, types.SimpleNamespace(root=folder))):
            again = self.client.upload(f"{self.name}_{i}", data, obs_dim=3, act_dim=2).dataset
            np.testing.assert_array_equal(again.labelled()["actions"], dataset.labelled()["actions"])
        with self.assertRaisesRegex(ProxactError, "meta/info.json"):
            self.client.upload(self.name, os.path.join(folder, "data"))

    def test_minari_and_d3rlpy_objects(self):
        path = os.path.join(ROOT, "tests/data/minari/hopper-medium-v0/data/main_data.hdf5")
        with h5py.File(path) as file:
            episodes = [like.minari_episode(np.asarray(e["observations"]), np.asarray(e["actions"]), bool(e["terminations"][-1]))
                        for _, e in sorted(file.items(), key=lambda item: int(item[0].split("_")[1]))]
            rewards = [np.asarray(file[f"episode_{i}/rewards"]) for i in range(len(episodes))]
        for episode, reward in zip(episodes, rewards):
            episode.rewards = reward
        one = self.client.upload(self.name + "_minari", like.Minari(episodes, like.Box([-1] * 3, [1] * 3)))
        other = self.client.upload(self.name + "_file", path, obs_dim=11, act_dim=3)
        for name, values in other.dataset.labelled().items():
            np.testing.assert_array_equal(one.dataset.labelled()[name], values, name)
        buffer = like.ReplayBuffer([like.d3rlpy_episode(e.observations[:-1], e.actions, False) for e in episodes],
                                   like.ActionSpace.CONTINUOUS, 3)
        self.assertEqual(self.client.upload(self.name + "_d3rlpy", buffer).steps, one.steps)

    def test_rollouts_can_be_uploaded(self):
        self.client.upload(self.name, {**arrays_of(40, act=1), "observations": np.zeros((40, 1), np.float32)})
        played = proxact.rollout(like.Corridor(), types.SimpleNamespace(act=lambda o, r: [0.5]), 3, seed=0)
        self.assertEqual(self.client.upload(self.name, played, create=False).trajectories, 3)

    def test_bad_data_names_the_place_and_leaves_nothing(self):
        arrays = arrays_of(40)
        arrays["observations"][23, 1] = np.inf
        self.client.create_dataset(self.name, 3, 2)
        with self.assertRaises(ValidationError) as caught:
            self.client.upload(self.name, arrays)
        self.assertRegex(caught.exception.pointer, "trajectory 1, step 3")
        self.assertEqual(self.client.dataset(self.name).document["steps"], 0)
        for wrong, words in (("none.npz", "none.npz"), (object(), "cannot be uploaded"), ({"observations": [[1], [1, 2]]}, "")):
            with self.subTest(words), self.assertRaises((ProxactError, ValueError)):
                self.client.upload(self.name, wrong)

    def test_a_name_is_created_only_if_that_is_wanted(self):
        with self.assertRaises(NotFoundError):
            self.client.upload(self.name, arrays_of(40), create=False)
        self.client.create_dataset(self.name, 3, 2)
        with self.assertRaises(ConflictError):
            self.client.create_dataset(self.name, 3, 2)

    # --- pipelines ---

    def test_the_bar_comes_to_its_end(self):
        self.assertRegex(self.said.getvalue(), r"(?s)pipeline \[[#.]+\] +\d+%.*100%  succeeded")

    def test_a_pipelines_labels(self):
        proxies, true = self.pipeline.labelled("proxy"), self.pipeline.labelled("true")
        hidden = (proxies["action_source"] == 2) & (true["action_source"] == 1)
        mse = np.square(proxies["actions"] - true["actions"])[hidden].mean()
        self.assertGreater(hidden.sum(), 40_000)
        self.assertLess(mse, np.var(true["actions"], axis=0).mean())
        self.assertTrue((proxies["action_std"][hidden] > 0).all())
        self.assertIn(self.pipeline.label_set, [item["id"] for item in self.client.label_sets("hopper")])

    def test_a_policy_acts_as_the_service_does(self):
        policy, obs = self.pipeline.policy(algo="td3bc"), self.pipeline.labelled()["observations"]
        action = policy.act(obs[:100])
        self.assertEqual((action.shape, action.dtype), ((100, 3), np.float32))
        self.assertLessEqual(np.abs(action).max(), 1)
        model = self.pipeline.runs(algo="td3bc")[0]["model"]
        np.testing.assert_allclose(self.client.predict(model, obs[:100])["actions"], action, atol=1e-5)
        dt = self.pipeline.policy(algo="dt", target_return=3000)
        self.assertEqual([dt.act(obs[t], 1.0).shape for t in range(8)], [(3,)] * 8)
        self.assertEqual(self.pipeline.policy("labelled_only", "td3bc", 0).kind, "tanh")
        with self.assertRaisesRegex(ProxactError, "labelled_only td3bc 0"):
            self.pipeline.policy(algo="iql")
        idm = next(m["id"] for m in self.client.models("hopper") if m["role"] != "policy")
        with self.assertRaisesRegex(ProxactError, "holds no policy"):
            self.client.policy(idm)
        guessed = self.client.predict(idm, obs[:9])
        self.assertEqual((guessed["actions"].shape, guessed["action_std"].shape), ((8, 3), (8, 3)))

    def test_jobs_show_what_they_did(self):
        job = self.client.job(self.pipeline.id)
        self.assertIsInstance(job, proxact.Pipeline)
        self.assertEqual(job.report["label"], self.pipeline.report["label"])
        children = list(job.children())
        self.assertGreater(len(children), 8)
        training = next(child for child in children if child.kind == "train_policy")
        self.assertTrue(all(len(curve) > 0 for curve in training.metrics().values()) and training.metrics())
        self.assertEqual(training.events()[-1]["to"], "succeeded")
        self.assertTrue(all(j.state == "succeeded" for j in self.client.jobs(kind="train_policy", parent=job.id, state="succeeded")))

    def test_an_export_job_leaves_a_file(self):
        job = self.client.submit("export", dataset="hopper", format="npz").wait(timeout=120)
        name = job.artifacts()[0]["name"]
        job.download(name, os.path.join(self.folder, name))
        with np.load(os.path.join(self.folder, name)) as arrays:
            self.assertEqual(len(arrays["rewards"]), self.client.dataset("hopper").document["steps"])
        job.delete()
        with self.assertRaises(NotFoundError):
            job.refresh()

    def test_a_plan_starts_nothing(self):
        before = sum(1 for _ in self.client.jobs())
        plan = self.client.plan("hopper", policies=["bc"], seeds=np.arange(2))
        self.assertEqual((len(plan["jobs"]), plan["spec"]["seeds"]), (plan["count"], [0, 1]))
        self.assertEqual(sum(1 for _ in self.client.jobs()), before)

    def test_waiting_ends_at_its_time_and_a_cancelled_job_says_so(self):
        pipeline = self.client.pipeline("hopper", policies=[{"algo": "td3bc", "updates": 1_000_000}], dedupe_key=self.name)
        self.assertEqual(self.client.pipeline("hopper", policies=["bc"], dedupe_key=self.name).id, pipeline.id)
        with self.assertRaises(TimeoutError):
            pipeline.wait(timeout=0.2)
        pipeline.cancel()
        self.assertEqual(pipeline.wait(timeout=60, check=False).state, "cancelled")
        with self.assertRaises(JobCancelled):
            pipeline.wait()
        with self.assertRaisesRegex(ProxactError, "no report"):
            pipeline.report
        fresh = pipeline.retry()
        self.assertNotEqual(fresh.id, pipeline.id)
        fresh.cancel()
        fresh.wait(timeout=60, check=False)

    def test_fields_are_refused_by_name(self):
        with self.assertRaises(ValidationError) as caught:
            self.client.pipeline("hopper", idm={"members": 99})
        self.assertEqual(caught.exception.pointer, "/idm/members")
        self.assertEqual(caught.exception.problem["status"], 422)

    def test_models_and_datasets_are_removed(self):
        dataset = self.client.upload(self.name, arrays_of(40)).dataset
        self.assertEqual([t["length"] for t in dataset.trajectories()], [20, 20])
        dataset.delete()
        with self.assertRaises(NotFoundError):
            dataset.refresh()
        model = self.pipeline.runs("labelled_only", "dt")[0]["model"]
        self.client.delete_model(model)
        self.assertNotIn(model, [m["id"] for m in self.client.models()])
        self.assertNotIn(self.name, [d.name for d in self.client.datasets()])

    def test_a_wrong_token_is_refused(self):
        with self.assertRaises(UnauthorizedError) as caught:
            list(Client(token="pxa_wrong").datasets())
        self.assertEqual((caught.exception.status, caught.exception.code), (401, "unauthorized"))

    def test_threads_share_a_client(self):
        seen = []
        threads = [threading.Thread(target=lambda: seen.append(self.client.dataset("hopper").refresh().name)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(seen, ["hopper"] * 6)
        self.assertEqual(len({worker["id"] for worker in self.client.workers()}), 2)

    def test_the_example_runs(self):
        environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(proxact.__file__))}
        script = os.path.join(ROOT, "clients/python/examples/few_labels.py")
        run = subprocess.run([sys.executable, "-B", script, "--quick", "--dataset", self.name], cwd=self.folder, env=environment,
                             capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, "(?s)R2 .*bc +oracle .*an action: ")


if __name__ == "__main__":
    unittest.main()
