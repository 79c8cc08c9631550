# SPDX-License-Identifier: Apache-2.0
"""Uploads: what is sent of the things that people have, in one request or in parts (tus 1.0.0)."""

from __future__ import annotations

import base64
import contextlib
import os
import tarfile
import tempfile
import time
from typing import IO, Any, Dict, Iterator, Mapping, Optional, Tuple, Union

import numpy as np

from .convert import Spaces, from_d3rlpy, from_minari, spaces_of, to_arrays
from .errors import ApiError, ConnectionFailed, ProxactError
from .transport import Meter, Transport, with_query

WHOLE_MAX_BYTES = 8 << 20  # larger files are sent in parts
STALL_S = 30.0  # a line that is silent for so long is cut, and the upload continues on another
GIVE_UP_AFTER_S = 300.0  # without a byte that got through
Path = Union[str, "os.PathLike[str]"]


@contextlib.contextmanager
def as_file(data: Any) -> Iterator[Tuple[str, str, Spaces]]:
    """What to upload as (path, name, spaces), while the context lasts. docs/python.md lists what `data` may be."""
    root = getattr(data, "root", None)
    if root is not None and os.path.isfile(os.path.join(root, "meta", "info.json")):
        data = os.fspath(root)  # a LeRobotDataset
    if isinstance(data, (str, os.PathLike)):
        path = os.fspath(data)
        if not os.path.isdir(path):
            yield path, os.path.basename(path), Spaces()
            return
        with _scratch(os.path.basename(os.path.abspath(path)) + ".tar") as (tar, name):
            _pack(path, tar)
            yield tar, name, Spaces()
        return
    arrays, spaces = _arrays(data)
    with _scratch("arrays.npz") as (npz, name):
        np.savez(npz, **arrays)
        yield npz, name, spaces


def _arrays(data: Any) -> Tuple[Dict[str, Any], Spaces]:
    if isinstance(data, Mapping):
        arrays = {str(name): np.asarray(value) for name, value in data.items()}
        for name, array in arrays.items():
            if array.dtype == object:
                raise ProxactError(f"'{name}' is no array of numbers", "A list of episodes takes unequal lengths.")
        return arrays, spaces_of(arrays)
    if hasattr(data, "iterate_episodes"):
        episodes, spaces = from_minari(data)
    elif hasattr(data, "episodes"):
        episodes, spaces = from_d3rlpy(data)
    elif isinstance(data, (list, tuple)):
        arrays = to_arrays(data)
        return arrays, spaces_of(arrays)
    else:
        raise ProxactError(
            f"a {type(data).__name__} cannot be uploaded",
            "Give a dict of arrays, a list of episodes, a file, a LeRobot folder, or a Minari, d3rlpy or LeRobot dataset.",
        )
    return to_arrays(episodes), spaces


@contextlib.contextmanager
def _scratch(name: str) -> Iterator[Tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="proxact-") as folder:
        yield os.path.join(folder, name), name


def _pack(folder: str, tar: str) -> None:
    """A LeRobot folder without its videos, as one tar; links are followed."""
    if not os.path.isfile(os.path.join(folder, "meta", "info.json")):
        raise ProxactError(f"{folder} is no LeRobot folder: it has no meta/info.json", "Name the folder that holds meta/ and data/.")
    with tarfile.open(tar, "w", dereference=True) as archive:
        archive.add(folder, ".", filter=lambda entry: None if "videos" in entry.name.split("/") else entry)


def open_file(path: str) -> IO[bytes]:
    """Opens what is uploaded. Raises ProxactError if it cannot be read."""
    try:
        return open(path, "rb")
    except OSError as why:
        raise ProxactError(f"{path}: {why.strerror}", "The path is on this machine, not on the server.") from why


def send_whole(transport: Transport, dataset: str, file: IO[bytes], size: int, options: Dict[str, Any], meter: Optional[Meter]) -> Any:
    """One POST; the answer's document: an upload, or a job that reads it."""
    path = with_query(f"/v1/datasets/{dataset}/trajectories", **options)
    return transport.request("POST", path, body=file, size=size, meter=meter).json()


def send_parts(transport: Transport, dataset: str, file: IO[bytes], size: int, options: Dict[str, Any], meter: Optional[Meter]) -> str:
    """Sends a file in parts; after a cut it continues where it was. Returns the id of the job that reads it.

    dataset: its id or name. It gives up when nothing got through for five minutes.
    """
    pairs = {"dataset": dataset, **{k: v for k, v in options.items() if v is not None}}
    metadata = ",".join(f"{k} {base64.b64encode(_word(v).encode()).decode()}" for k, v in pairs.items())
    made = transport.request("POST", "/v1/uploads", headers={
        "Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Upload-Metadata": metadata,
    })
    # Only the path is taken: the bytes and the token go to the server that was asked.
    _, found, rest = made.headers.get("location", "").partition("/v1/uploads/")
    if not found:
        raise ProxactError("the server does not say where the upload is")
    path = found + rest
    _send_all(transport, path, file, size, meter)
    job = transport.request("GET", path).json().get("job_id")
    if not job:
        raise ProxactError("the server does not name the job that reads the file")
    return str(job)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _send_all(transport: Transport, path: str, file: IO[bytes], size: int, meter: Optional[Meter]) -> None:
    offset, moved, attempt = 0, time.monotonic(), 0
    while offset < size:
        try:
            if attempt:
                head = transport.exchange("HEAD", path, {"Tus-Resumable": "1.0.0"}, stall_s=STALL_S)
                there = int(head.headers.get("upload-offset", "-1"))
                if not 0 <= there <= size:
                    raise ProxactError("the server does not say how much it has")
                if there > offset:
                    moved, attempt = time.monotonic(), 1
                offset = there
            file.seek(offset)
            transport.exchange("PATCH", path, {
                "Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream",
            }, body=file, size=size, before=offset, meter=meter, stall_s=STALL_S)
            return
        except (ApiError, ConnectionFailed) as error:
            # A conflict is another idea of the offset, which HEAD puts right; a full disk may be freed.
            passing = transport.may_pass(error) or (isinstance(error, ApiError) and error.status in (409, 507))
            if not passing or time.monotonic() - moved > GIVE_UP_AFTER_S:
                raise
            transport.pause(attempt, error)
            attempt += 1
