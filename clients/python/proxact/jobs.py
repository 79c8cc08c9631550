# SPDX-License-Identifier: Apache-2.0
"""Jobs, and pipelines, which are jobs of jobs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Union

from .errors import ApiError, ConnectionFailed, JobCancelled, JobFailed, ProxactError
from .policy import Policy
from .progress import JobBar
from .transport import quote, with_query

if TYPE_CHECKING:
    from .client import Client

LOST_FOR_S = 60.0  # a server that has been away for so long is given up
Progress = Union[bool, Callable[[Dict[str, Any]], None]]


class Job:
    """A handle on a job. What it shows is as of the last `refresh` or `wait`.

    document: the whole document that the server gave
    """

    def __init__(self, client: "Client", document: Dict[str, Any]) -> None:
        self._client = client
        self.document = document
        self._etag: Optional[str] = None

    @property
    def id(self) -> str:
        """Such as "job_8bcb24276ecc9eb3ce7f"."""
        return str(self.document["id"])

    @property
    def kind(self) -> str:
        """Such as "train_policy"; GET /openapi.json lists all."""
        return str(self.document["kind"])

    @property
    def state(self) -> str:
        """"blocked", "queued", "running", "succeeded", "failed" or "cancelled"."""
        return str(self.document["state"])

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def result(self) -> Dict[str, Any]:
        """What came out; {} before its end. Its `warnings` name doubtful figures."""
        return self.document.get("result") or {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.kind} {self.state}>"

    def refresh(self, wait_s: float = 0.0) -> "Job":
        """Reads its document again, and waits up to wait_s seconds (60 at most) for a change."""
        headers = {"If-None-Match": self._etag} if self._etag and wait_s else {}
        path = with_query(f"/v1/jobs/{quote(self.id)}", wait=f"{int(min(wait_s, 60) * 1000)}ms" if wait_s else None)
        reply = self._client.transport.request("GET", path, headers=headers)
        if reply.status != 304:
            self.document, self._etag = reply.json(), reply.headers.get("etag")
        return self

    def wait(self, timeout: Optional[float] = None, progress: Progress = False, check: bool = True) -> "Job":
        """Returns at the job's end. An interrupt ends the waiting, not the job.

        timeout: seconds; TimeoutError after them
        progress: True for a bar with an estimate on standard error; or a function that gets each document
        check: whether a job that failed or was cancelled raises JobFailed or JobCancelled
        A server that restarts is waited for, a minute at most.
        """
        until = None if timeout is None else time.monotonic() + timeout
        bar = JobBar(self.document) if progress is True else None
        show = bar.show if bar else progress if callable(progress) else lambda job: None
        try:
            self._follow(until, show)
        finally:
            if bar:
                bar.end()
        if check and self.state == "failed":
            raise JobFailed(self.document)
        if check and self.state == "cancelled":
            raise JobCancelled(self.document)
        return self

    def _follow(self, until: Optional[float], show: Callable[[Dict[str, Any]], None]) -> None:
        answered, wait_s = time.monotonic(), 0.0
        while True:
            try:
                self.refresh(wait_s)
                answered = time.monotonic()
                show(self.document)
            except (ApiError, ConnectionFailed) as error:
                if not self._client.transport.may_pass(error) or time.monotonic() - answered > LOST_FOR_S:
                    raise
            if self.done:
                return
            left = 20.0 if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"job {self.id} has not ended: it is {self.state}")
            wait_s = max(min(left, 20.0), 0.001)

    def cancel(self) -> "Job":
        """Asks for its end; a running job ends at its next heartbeat."""
        self.document = self._client.post(f"/v1/jobs/{quote(self.id)}:cancel")
        return self

    def retry(self) -> "Job":
        """A fresh copy of this job, which has ended."""
        return self._client.job_of(self._client.post(f"/v1/jobs/{quote(self.id)}:retry"))

    def delete(self) -> None:
        """Removes the job with what it left: its models, label sets and files; a pipeline with its jobs."""
        self._client.transport.request("DELETE", f"/v1/jobs/{quote(self.id)}")

    def events(self) -> List[Dict[str, Any]]:
        """Each change of state: at, from, to, reason, worker."""
        return list(self._client.get(f"/v1/jobs/{quote(self.id)}/events")["items"])

    def metrics(self) -> Dict[str, List[Any]]:
        """Its curves: for each name a list of (step, value)."""
        curves: Dict[str, List[Any]] = {}
        for point in self._client.get(f"/v1/jobs/{quote(self.id)}/metrics")["items"]:
            curves.setdefault(point["name"], []).append((point["step"], point["value"]))
        return curves

    def artifacts(self) -> List[Dict[str, Any]]:
        """Files that it left: name, media_type, size_bytes, sha256."""
        return list(self._client.get(f"/v1/jobs/{quote(self.id)}/artifacts")["items"])

    def download(self, name: str, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes one of `artifacts` to a file, whole or not at all."""
        self._client.download(f"/v1/jobs/{quote(self.id)}/artifacts/{quote(name)}", path)

    def children(self) -> Iterator["Job"]:
        """Jobs of a pipeline."""
        return self._client.jobs(parent=self.id)


class Pipeline(Job):
    """A handle on a pipeline: inverse dynamics model, labels, policies, evaluations and report."""

    def wait(self, timeout: Optional[float] = None, progress: Progress = False, check: bool = True) -> "Pipeline":
        super().wait(timeout, progress, check)
        return self

    @property
    def report(self) -> Dict[str, Any]:
        """The report (docs/evaluation.md): label, policies, runs, warnings. Raises ProxactError before the end."""
        if not self.result:
            raise ProxactError(f"pipeline {self.id} has no report: it is {self.state}", "Call wait() first.")
        return self.result

    @property
    def label_set(self) -> Optional[str]:
        """Id of the label set with its proxy actions; None if there was nothing to label."""
        found = (self.report.get("label") or {}).get("label_set")
        return str(found) if found else None

    def labelled(self, actions: str = "both") -> Dict[str, Any]:
        """The dataset with this pipeline's labels: `Dataset.labelled`."""
        return self._client.dataset(str(self.document["dataset_id"])).labelled(actions, self.label_set)

    def runs(self, variant: str = "ss", algo: Optional[str] = None, seed: Optional[int] = None) -> List[Dict[str, Any]]:
        """Trained policies in the report, in the order of the request.

        variant: "ss" (true and proxy actions), "labelled_only" or "oracle"; of `ss` those whose labels were chosen
        algo: the algorithm, or the name that the request gave it
        """
        return [
            run for run in self.report.get("runs", [])
            if run["variant"] == variant and run.get("chosen", True)
            and algo in (None, run["policy"]) and seed in (None, run["seed"])
        ]

    def policy(self, variant: str = "ss", algo: Optional[str] = None, seed: Optional[int] = None,
               target_return: Optional[float] = None) -> Policy:
        """The first of `runs`, to act with. Raises ProxactError if there is none."""
        runs = self.runs(variant, algo, seed)
        if not runs:
            known = sorted({f"{r['variant']} {r['policy']} {r['seed']}" for r in self.report.get("runs", [])})
            raise ProxactError("there is no such policy in the report", f"Variant, algorithm and seed: {', '.join(known)}.")
        return self._client.policy(runs[0]["model"], target_return)
