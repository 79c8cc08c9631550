#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What labels of a tenth of the trajectories are worth: a walk from upload to policy, with a plot.

Usage: PYTHONPATH=clients/python clients/python/examples/few_labels.py [FILE] [--env hopper] [--quick]

Nine tenths of the known actions are hidden, so each proxy action can be compared with the action that was really taken.
The plot shows how far they differ where Proxact says that it is certain, and where it says that it is not. With matplotlib it
is written to few_labels.png, without it it is printed.
"""
import argparse
import pathlib

import numpy as np
from proxact import Client, rollout

DEMO = pathlib.Path(__file__).resolve().parents[3] / "deploy/demo/hopper-demo.hdf5"
QUICK = {  # seconds in place of minutes, and worse
    "idm": {"steps": 300, "members": 2, "validate_every": 100}, "policies": [{"algo": "bc", "updates": 500}], "episodes": 3,
}

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file", nargs="?", default=DEMO)
parser.add_argument("--env", default="hopper", help="the simulator that the data is from")
parser.add_argument("--dataset", default="few-labels", help="the dataset's name on the server")
parser.add_argument("--obs-dim", type=int, default=11)
parser.add_argument("--act-dim", type=int, default=3)
parser.add_argument("--quick", action="store_true", help="train for seconds only")
options = parser.parse_args()

# %% Data in. What is there already is left out, so the script can run again.
client = Client()
stored = client.upload(options.dataset, options.file, obs_dim=options.obs_dim, act_dim=options.act_dim, env=options.env,
                       on_duplicate="skip", progress=True)
print(f"{stored.trajectories} trajectories, {stored.steps} steps are new in {stored.dataset.name}")

# %% The whole job: an inverse dynamics model, proxy actions, policies, a report.
fields = QUICK if options.quick else {"policies": ["bc"]}
pipeline = client.pipeline(options.dataset, mask={"protocol": "coupled", "p": 10, "q": 50}, baselines=["labelled_only", "oracle"], **fields)
pipeline.wait(progress=True)
label = pipeline.report["label"]
print(f"proxy actions against the hidden ones: mse {label['mse']:.3f}, R2 {label['r2']:.3f}")
for variant in ("labelled_only", "ss", "oracle"):
    for run in pipeline.runs(variant):
        print(f"{run['policy']:6} {variant:14} return {run['return_mean']:8.1f} over {run['episodes']} episodes")
for warning in pipeline.report["warnings"]:
    print(f"warning: {warning['message']}")

# %% How wrong is a proxy that calls itself certain? Ten groups of equal size, from the most certain to the least.
proxies, true = pipeline.labelled("proxy"), pipeline.labelled("true")
hidden = (proxies["action_source"] >= 2) & (true["action_source"] == 1)
score = proxies["action_score"][hidden]
half_range = (np.max(true["actions"], 0) - np.min(true["actions"], 0)) / 2
error = np.abs((proxies["actions"] - true["actions"])[hidden] / half_range).mean(1)
groups = np.array_split(np.argsort(score), 10)
x, y = [float(score[g].mean()) for g in groups], [float(error[g].mean()) for g in groups]
try:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    pyplot.plot(x, y, "o-")
    pyplot.xlabel("action_score: the standard deviation that Proxact expects, in half ranges")
    pyplot.ylabel("mean distance to the true action, in half ranges")
    pyplot.savefig("few_labels.png", dpi=120)
    print("few_labels.png shows the distance to the true action over action_score")
except ImportError:
    print("action_score   mean distance to the true action, in half ranges of the action")
    for score_of, distance in zip(x, y):
        print(f"{score_of:12.4f}   {distance:.4f} {'#' * round(60 * distance / max(y))}")

# %% Act. `policy` needs nothing but numpy; any environment with Gymnasium's reset and step will do.
policy = pipeline.policy()
print("an action:", policy.act(true["observations"][0]))
try:
    import gymnasium
    played = rollout(gymnasium.make("Hopper-v4"), policy, episodes=3, seed=0)
    print("returns in Gymnasium:", [round(float(np.sum(episode.rewards))) for episode in played])
except Exception as why:  # Gymnasium, or its MuJoCo, is not installed
    print(f"not played in Gymnasium: {why}")
