# SPDX-License-Identifier: Apache-2.0
"""The client: datasets, uploads, jobs, models and reports of one server."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type, Union

import numpy as np

from .errors import NotFoundError, ProxactError
from .jobs import Job, Pipeline
from .policy import Policy
from .progress import Bar
from .safetensors import read_safetensors, write_safetensors
from .transport import Meter, Transport, find_server, quote, with_query
from .uploads import WHOLE_MAX_BYTES, Path, as_file, open_file, send_parts, send_whole

Number = Union[float, Sequence[float]]


@dataclass
class Upload:
    """What an upload stored."""

    dataset: "Dataset"
    trajectories: int
    steps: int
    labelled_steps: int  # steps that came with an action
    duplicates: int  # trajectories that were there already
    notes: List[str]  # decisions of the reader that a person should know
    document: Dict[str, Any]  # the whole answer


class Client:
    """A connection to a Proxact server.

    url, token: else PROXACT_URL and PROXACT_TOKEN, else what `proxact login` stored. A stored token goes to no other address.
    timeout: seconds that a server may be silent
    tries: how often a request is sent that gets no answer, or "later" (429, 503)

    Threads may share a client. It closes its connection at the end of a `with` block. Raises ProxactError without an address.
    """

    def __init__(self, url: Optional[str] = None, token: Optional[str] = None, timeout: float = 900.0, tries: int = 8) -> None:
        self.transport = Transport(*find_server(url, token), timeout=timeout, tries=tries)

    @property
    def url(self) -> str:
        """The server's address."""
        return self.transport.url

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self.url}>"

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        self.transport.close()

    # --- any route ---

    def get(self, path: str) -> Any:
        """The document of any route, such as "/v1/workers"."""
        return self.transport.request("GET", path).json()

    def post(self, path: str, body: Any = None) -> Any:
        """POSTs a document to any route, with an Idempotency-Key."""
        return self.transport.request("POST", path, body).json()

    def pages(self, path: str, **query: Any) -> Iterator[Dict[str, Any]]:
        """All items of a list, page by page."""
        cursor = "from" if path.endswith(("/trajectories", "/segments")) else "after" if path == "/v1/datasets" else "before"
        while True:
            page = self.get(with_query(path, **query))
            yield from page["items"]
            if page.get("next") is None:
                return
            query[cursor] = page["next"]

    def download(self, path: str, file: Path, meter: Optional[Meter] = None) -> None:
        """Writes a route's answer to a file. The file is complete, or is not touched."""
        part = os.fspath(file) + ".part"
        try:
            with open(part, "wb") as sink:
                for attempt in range(self.transport.tries):
                    sink.seek(0)
                    sink.truncate()
                    try:
                        self.transport.exchange("GET", path, meter=meter, sink=sink)
                        break
                    except ProxactError as error:
                        if attempt + 1 == self.transport.tries or not self.transport.may_pass(error):
                            raise
                        self.transport.pause(attempt, error)
            os.replace(part, file)
        finally:
            if os.path.exists(part):
                os.unlink(part)

    def version(self) -> str:
        """The server's version."""
        return str(self.get("/version")["version"])

    def workers(self) -> List[Dict[str, Any]]:
        """Workers that have shown themselves: id, host, jobs, last_seen_at and others."""
        return list(self.pages("/v1/workers"))

    # --- datasets ---

    def datasets(self) -> Iterator["Dataset"]:
        """All datasets."""
        return (Dataset(self, item["id"], item) for item in self.pages("/v1/datasets", limit=200))

    def dataset(self, name: str) -> "Dataset":
        """A dataset by its name or id. Whether it exists shows at the first use."""
        return Dataset(self, name)

    def create_dataset(
        self, name: str, obs_dim: int, act_dim: Optional[int] = None, act_count: Optional[int] = None,
        act_low: Optional[Number] = None, act_high: Optional[Number] = None, env: Optional[str] = None,
    ) -> "Dataset":
        """Makes an empty dataset.

        obs_dim, act_dim: numbers of an observation and of an action
        act_count: how many discrete actions there are, in place of act_dim
        act_low, act_high: range of continuous actions, one number or act_dim of them; -1 and 1 unless given
        env: a simulator that the service knows, such as "hopper"; GET /openapi.json lists them
        Raises ConflictError if the name is taken.
        """
        fields = {"obs_dim": obs_dim, "act_dim": act_dim, "act_count": act_count, "act_low": act_low, "act_high": act_high, "env": env}
        document = self.post("/v1/datasets", {"name": name, **{k: _plain(v) for k, v in fields.items() if v is not None}})
        return Dataset(self, document["id"], document)

    def upload(
        self, dataset: str, data: Any, *, obs_dim: Optional[int] = None, act_dim: Optional[int] = None,
        act_count: Optional[int] = None, act_low: Optional[Number] = None, act_high: Optional[Number] = None,
        env: Optional[str] = None, create: bool = True, format: Optional[str] = None, obs_keys: Optional[Sequence[str]] = None,
        split: Optional[str] = None, source: Optional[str] = None, ignore_actions: bool = False, on_duplicate: str = "allow",
        progress: bool = False,
    ) -> Upload:
        """Adds trajectories to a dataset: all of them, or none. A file of more than 8 MiB goes in parts that survive cuts.

        dataset: its name or id. A name that does not exist is created, unless `create` is False.
        data: a dict of arrays or a list of episodes (docs/python.md), a file, a LeRobot folder, or a Minari, d3rlpy or
            LeRobot dataset
        obs_dim, act_dim, act_count, act_low, act_high, env: as in `create_dataset`, for a new one. Lengths are those of the
            arrays; a file needs obs_dim, and act_dim or act_count
        format: of a file whose name does not tell it
        obs_keys: which observations to lay side by side, in this order (Minari, robomimic, LeRobot files)
        ignore_actions: whether to take each step as unlabelled
        split: of a robomimic file, only the demonstrations that mask/<split> lists
        source: where the trajectories came from, such as "robot-3"; kept with each of them
        on_duplicate: "allow", "skip" or "refuse" trajectories that are there already
        progress: whether to show a bar on standard error
        Raises ValidationError naming the trajectory, step and field that cannot be accepted.
        """
        with as_file(data) as (path, name, spaces):
            asked = {"obs_dim": obs_dim, "act_dim": act_dim, "act_count": act_count, "act_low": act_low, "act_high": act_high}
            known = {**{k: v for k, v in vars(spaces).items() if v is not None}, **{k: v for k, v in asked.items() if v is not None}}
            target = self._existing_or_new(dataset, known, env, create)
            options = {
                "filename": name, "format": format, "obs_keys": ",".join(obs_keys) if obs_keys else None,
                "ignore_actions": ignore_actions or None, "on_duplicate": on_duplicate, "split": split, "source": source,
            }
            bar = Bar(name) if progress else None
            meter = (lambda done, size: bar.show(done / size, "sent")) if bar else None
            try:
                document = self._send(target.key, path, options, meter)
            finally:
                if bar:
                    bar.end()
        trajectories, steps, labelled, duplicates = (
            int(document[k]) for k in ("trajectories", "steps", "labelled_steps", "duplicates")
        )
        return Upload(Dataset(self, target.key), trajectories, steps, labelled, duplicates, list(document["notes"]), document)

    def _existing_or_new(self, name: str, known: Dict[str, Any], env: Optional[str], create: bool) -> "Dataset":
        found = Dataset(self, name)
        try:
            found.refresh()
            return found
        except NotFoundError as error:
            if not create:
                raise
            if known.get("act_count"):
                known = {k: v for k, v in known.items() if k not in ("act_dim", "act_low", "act_high")}
            if not known.get("obs_dim") or not (known.get("act_dim") or known.get("act_count")):
                raise ProxactError(
                    f"there is no dataset '{name}', and its dimensions are not known from this data",
                    "Give obs_dim, and act_dim or, for discrete actions, act_count.",
                ) from error
            return self.create_dataset(name, env=env, **known)

    def _send(self, dataset: str, path: str, options: Dict[str, Any], meter: Optional[Meter]) -> Dict[str, Any]:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= WHOLE_MAX_BYTES:
                return dict(send_whole(self.transport, quote(dataset), file, size, options, meter))
            job = send_parts(self.transport, dataset, file, size, options, meter)
        return self.job(job).wait().result

    # --- jobs ---

    def pipeline(
        self, dataset: str, policies: Optional[Sequence[Any]] = None, seeds: Optional[Sequence[int]] = None,
        mask: Any = None, baselines: Optional[Sequence[str]] = None, dedupe_key: Optional[str] = None, **more: Any,
    ) -> Pipeline:
        """Starts the whole job: inverse dynamics model, labels, policies, evaluations, report.

        policies: algorithms, such as ["bc"] or [{"algo": "dt", "updates": 5000}]
        seeds: each policy is trained once with each
        mask: known actions to hide, to measure with: {"protocol": "coupled", "p": 10, "q": 50}
        baselines: "labelled_only" and "oracle", trained beside
        more: other fields of the request, such as idm, labeller, env, episodes, evaluation (GET /openapi.json)
        Raises ValidationError naming the field that is not accepted.
        """
        document = self._submit("/v1/pipelines", _pipeline_body(dataset, policies, seeds, mask, baselines, more), dedupe_key)
        return Pipeline(self, document)

    def plan(
        self, dataset: str, policies: Optional[Sequence[Any]] = None, seeds: Optional[Sequence[int]] = None,
        mask: Any = None, baselines: Optional[Sequence[str]] = None, **more: Any,
    ) -> Dict[str, Any]:
        """What `pipeline` would start (a dry run): count, jobs, and the spec completed with defaults."""
        body = _pipeline_body(dataset, policies, seeds, mask, baselines, more)
        return dict(self.post("/v1/pipelines?dry_run=true", body))

    def submit(self, kind: str, dedupe_key: Optional[str] = None, **spec: Any) -> Job:
        """Starts a single job: `client.submit("evaluate", model="mdl_...", env="hopper", episodes=20)`."""
        return self.job_of(self._submit("/v1/jobs", {"kind": kind, "spec": {k: _plain(v) for k, v in spec.items()}}, dedupe_key))

    def _submit(self, path: str, body: Dict[str, Any], dedupe_key: Optional[str]) -> Dict[str, Any]:
        return dict(self.post(with_query(path, dedupe_key=dedupe_key), body))

    def job(self, id: str) -> Job:
        """A job by its id; a `Pipeline` if it is one."""
        return self.job_of(self.get(f"/v1/jobs/{quote(id)}"))

    def job_of(self, document: Dict[str, Any]) -> Job:
        """The handle for a job's document."""
        return Pipeline(self, document) if document["kind"] == "pipeline" else Job(self, document)

    def jobs(
        self, dataset: Optional[str] = None, kind: Optional[str] = None, state: Optional[str] = None, parent: Optional[str] = None
    ) -> Iterator[Job]:
        """Jobs, the newest first. Their documents lack spec, result and children; `refresh` reads those."""
        query = {"dataset": dataset, "kind": kind, "state": state, "parent": parent}
        return (self.job_of(item) for item in self.pages("/v1/jobs", limit=100, **query))

    # --- models and labels ---

    def models(self, dataset: Optional[str] = None, role: Optional[str] = None) -> Iterator[Dict[str, Any]]:
        """Models, the newest first: id, role ("policy" and others), algo, metrics, job_id, dataset_id."""
        return self.pages("/v1/models", limit=100, dataset=dataset, role=role)

    def policy(self, model: str, target_return: Optional[float] = None) -> Policy:
        """A policy's weights, to act with. target_return: what `dt` aims at."""
        sink = io.BytesIO()
        reply = self.transport.request("GET", f"/v1/models/{quote(model)}/weights", headers={"Accept": "*/*"})
        sink.write(reply.data)
        return Policy(sink.getvalue(), target_return)

    def predict(self, model: str, observations: Any) -> Dict[str, Any]:
        """Actions of a model on the server, as arrays; nothing is downloaded.

        observations: [N, obs_dim]; of an inverse dynamics model consecutive ones of an episode, [T + 1, obs_dim], or N such
            stretches [N, T + 1, obs_dim]. At most 65,536 rows
        Returns actions [N, act_dim] in the dataset's units, of discrete actions the indices; of an inverse dynamics model also
        action_std, action_epistemic and action_score for each of the T steps.
        `dt` acts as at an episode's first step; `policy` gives it a memory.
        """
        headers = {"Content-Type": "application/x-safetensors", "Accept": "*/*"}
        body = write_safetensors({"observations": observations})
        reply = self.transport.request("POST", f"/v1/models/{quote(model)}:predict", headers=headers, body=body)
        return read_safetensors(reply.data)[0]

    def delete_model(self, model: str) -> None:
        """Removes a model. Raises ConflictError while an unfinished job needs it."""
        self.transport.request("DELETE", f"/v1/models/{quote(model)}")

    def label_sets(self, dataset: Optional[str] = None) -> Iterator[Dict[str, Any]]:
        """Label sets, the newest first: id, steps, mean_score, current and others."""
        return self.pages("/v1/label_sets", limit=100, dataset=dataset)


class Dataset:
    """A handle on a dataset."""

    def __init__(self, client: Client, key: str, document: Optional[Dict[str, Any]] = None) -> None:
        self._client, self.key, self._document = client, key, document  # key: name or id

    @property
    def document(self) -> Dict[str, Any]:
        """Counts, dimensions and statistics, as of the last `refresh`."""
        if self._document is None:
            self.refresh()
        assert self._document is not None
        return self._document

    @property
    def id(self) -> str:
        """Such as "ds_e625b2872fccd9f9508a"."""
        return str(self.document["id"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["name"])

    def __repr__(self) -> str:
        return f"<Dataset {self.key}>"

    def refresh(self) -> "Dataset":
        """Reads its document again. Raises NotFoundError if there is no such dataset."""
        self._document = self._client.get(f"/v1/datasets/{quote(self.key)}")
        return self

    def upload(self, data: Any, **options: Any) -> Upload:
        """`Client.upload` into this dataset."""
        return self._client.upload(self.key, data, create=False, **options)

    def pipeline(self, **fields: Any) -> Pipeline:
        """`Client.pipeline` on this dataset."""
        return self._client.pipeline(self.key, **fields)

    def lint(self) -> List[Dict[str, Any]]:
        """What is probably a mistake in the data, warnings first: code, severity, trajectory, step, field, message, hint."""
        return list(self._client.get(f"/v1/datasets/{quote(self.key)}/lint?limit=1000")["items"])

    # --- data that changes ---

    def _edit(self, method: str, path: str, version: Optional[int], body: Any = None, type: str = "") -> Dict[str, Any]:
        version = version if version is not None else int(self.refresh().document["version"])
        headers = {"If-Match": f'"{version}"', **({"Content-Type": type} if type else {})}
        route = f"/v1/datasets/{quote(self.key)}/{path}"
        done = dict(self._client.transport.request(method, route, headers=headers, body=body).json())
        self._document = None
        return done

    def add_actions(
        self, actions: Any, trajectory: Any, step: Any = None, replace: bool = False, version: Optional[int] = None
    ) -> Dict[str, Any]:
        """Adds true actions to stored trajectories; all of them are taken, or none.

        actions: [K, act_dim] in the dataset's units, of discrete actions [K]; a row of NaN is left out
        trajectory: a number, or [K], one for each action
        step: the first step, or [K]; if not given, `actions` has one for each step of the trajectory
        replace: also steps that have a true action; otherwise ConflictError names the first
        version: refuse with ConflictError if the dataset has another one by now; the present one, if not given
        Returns version, trajectories, steps and replaced, the steps that had an action before.
        """
        actions = np.asarray(actions, np.float32)
        arrays = {"actions": actions}
        if np.ndim(trajectory) or step is not None:
            arrays["trajectory"] = np.broadcast_to(np.asarray(trajectory, np.int64), actions.shape[:1])
            first = np.asarray(0 if step is None else step, np.int64)
            arrays["step"] = first if first.ndim else first + np.arange(len(actions))
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        path = "actions" if "trajectory" in arrays else f"trajectories/{int(trajectory)}/actions"
        method = "POST" if "trajectory" in arrays else "PUT"
        path = with_query(path, replace=replace or None)
        return self._edit(method, path, version, buffer.getvalue(), "application/x-npz")

    def segments(self) -> Iterator[Dict[str, Any]]:
        """Its segments, of which each upload makes one or several: segment, first_trajectory, trajectories, steps, since_version."""
        return self._client.pages(f"/v1/datasets/{quote(self.key)}/segments", limit=1000)

    def delete_segment(self, segment: int, version: Optional[int] = None) -> Dict[str, Any]:
        """Takes a segment out; the trajectories behind it move up. Earlier versions keep it. `version` as in `add_actions`."""
        return self._edit("DELETE", f"segments/{segment}", version)

    def versions(self) -> Iterator[Dict[str, Any]]:
        """What changed its data, the newest first: version, change ("append", "actions", "delete"), steps, labelled_steps, detail."""
        return self._client.pages(f"/v1/datasets/{quote(self.key)}/versions", limit=1000)

    def diff(self, before: int, after: Optional[int] = None) -> Dict[str, Any]:
        """What differs between two versions: segments_added, segments_removed, segments_relabelled, steps, changes."""
        return dict(self._client.get(with_query(f"/v1/datasets/{quote(self.key)}/diff", **{"from": before, "to": after})))

    def trajectories(self, source: Optional[str] = None) -> Iterator[Dict[str, Any]]:
        """A line for each: n, length, return, labelled_steps, terminated, truncated, source. source: only those from there."""
        return self._client.pages(f"/v1/datasets/{quote(self.key)}/trajectories", limit=1000, source=source)

    def trajectory(self, n: int, label_set: Optional[str] = None) -> Dict[str, Any]:
        """One trajectory with its true and proxy actions; lists, with None where there is no action."""
        return dict(self._client.get(with_query(f"/v1/datasets/{quote(self.key)}/trajectories/{n}", label_set=label_set)))

    def export(self, path: Path, format: str = "hdf5", actions: str = "both", label_set: Optional[str] = None,
               progress: bool = False, about: bool = True) -> None:
        """Writes the dataset to a file.

        format: "hdf5" (D4RL's layout), "lerobot", in which case `path` becomes a folder, or another one of docs/uploads.md
        actions: "true", "proxy" (at each step), or "both": the true one, else the proxy
        label_set: whose proxies; the newest, if not given
        about: whether the file says which data it is; without, equal data give equal bytes
        """
        fields = {"format": format, "actions": actions, "label_set": label_set, "about": None if about else False}
        route = with_query(f"/v1/datasets/{quote(self.key)}/export", **fields)
        bar = Bar(os.path.basename(os.fspath(path))) if progress else None
        meter = (lambda done, size: bar.show(done / size if size else 0.0, f"{done >> 20} MiB")) if bar else None
        target = os.fspath(path) + ".tar" if format == "lerobot" else path
        try:
            self._client.download(route, target, meter)
        finally:
            if bar:
                bar.end()
        if format == "lerobot":
            _unpack(os.fspath(target), os.fspath(path))

    def labelled(self, actions: str = "both", label_set: Optional[str] = None) -> Dict[str, Any]:
        """The dataset as arrays in the flat layout (`proxact.convert`), N steps in all, and where its actions are from:

        action_source [N]: 0 absent, 1 true, 2 proxy, 3 proxy of a simulator
        action_std [N, A]: standard deviation of the true action about a proxy, in the action's units; 0 where it is no proxy
        action_epistemic [N, A]: the part of it that more labels would take away
        action_score [N]: one number a step; small is certain
        action_residual [N], action_verified [N]: of a simulator's labels
        """
        route = f"/v1/datasets/{quote(self.key)}/export"
        path = with_query(route, format="npz", actions=actions, label_set=label_set)
        reply = self._client.transport.request("GET", path, headers={"Accept": "*/*"})
        with np.load(io.BytesIO(reply.data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if name != "metadata"}

    def delete(self) -> None:
        """Removes the dataset with its label sets and models. Raises ConflictError while a job needs it."""
        self._client.transport.request("DELETE", f"/v1/datasets/{quote(self.key)}")


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as JSON has them."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple, range)) else value


def _pipeline_body(
    dataset: str, policies: Optional[Sequence[Any]], seeds: Optional[Sequence[int]], mask: Any,
    baselines: Optional[Sequence[str]], more: Dict[str, Any],
) -> Dict[str, Any]:
    fields = {"policies": policies, "seeds": seeds, "mask": mask, "baselines": baselines, **more}
    return {"dataset": dataset, **{k: _plain(v) for k, v in fields.items() if v is not None}}


def _unpack(tar: str, folder: str) -> None:
    """Plain files of a tar into a new folder; removes the tar."""
    try:
        os.makedirs(folder)
        with tarfile.open(tar) as archive:
            for member in archive:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if not member.isfile() or not parts or ".." in parts:
                    continue
                target = os.path.join(folder, *parts)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None
                with source, open(target, "wb") as out:
                    while block := source.read(1 << 20):
                        out.write(block)
    finally:
        os.unlink(tar)
