# SPDX-License-Identifier: Apache-2.0
"""Client of Proxact: trajectories with few action labels in; labelled data, policies and reports out.

    from proxact import Client

    with Client() as client:                                  # PROXACT_URL and PROXACT_TOKEN
        client.upload("hopper", {"observations": ..., "actions": ..., "rewards": ..., "terminals": ...})
        pipeline = client.pipeline("hopper", policies=["bc"]).wait(progress=True)
        arrays = pipeline.labelled()                          # true actions, and proxy actions for the other steps
        policy = pipeline.policy()
        action = policy.act(observation)                      # numpy, without the service

It needs Python 3.9 and numpy. Objects are not shared between threads, except a `Client`.
"""

from ._version import VERSION as __version__
from .client import Client, Dataset, Upload
from .convert import Episode, from_d3rlpy, from_minari, rollout, split_episodes, to_d3rlpy
from .errors import (
    ApiError,
    ConflictError,
    ConnectionFailed,
    JobCancelled,
    JobFailed,
    NotFoundError,
    ProxactError,
    UnauthorizedError,
    ValidationError,
)
from .jobs import Job, Pipeline
from .policy import Policy
from .safetensors import read_safetensors

__all__ = [
    "ApiError", "Client", "ConflictError", "ConnectionFailed", "Dataset", "Episode", "Job", "JobCancelled", "JobFailed",
    "NotFoundError", "Pipeline", "Policy", "ProxactError", "UnauthorizedError", "Upload", "ValidationError",
    "__version__", "from_d3rlpy", "from_minari", "read_safetensors", "rollout", "split_episodes", "to_d3rlpy",
]
