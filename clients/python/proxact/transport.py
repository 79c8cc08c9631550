# SPDX-License-Identifier: Apache-2.0
"""HTTP of the client: one exchange, when to try it again, and where the address and the token come from."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from typing import IO, Any, Callable, Dict, Mapping, Optional, Tuple, Union

from ._version import VERSION
from .errors import ApiError, ConnectionFailed, ProxactError, api_error

CONNECT_TIMEOUT_S = 10.0
PAUSE_MAX_S = 60.0
Meter = Callable[[int, int], None]  # bytes so far, bytes in all (0 while unknown)
Body = Union[bytes, IO[bytes], None]


@dataclass
class Reply:
    """An answer with a status below 400."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    data: bytes

    def json(self) -> Any:
        """The parsed body; None if there is none. Raises ProxactError if it is not JSON."""
        if not self.data:
            return None
        try:
            return json.loads(self.data)
        except ValueError as why:
            raise ProxactError("the answer is not JSON", "Is it Proxact that listens at this address?") from why


def find_server(url: Optional[str], token: Optional[str]) -> Tuple[str, str]:
    """The address and its token: what is given, else PROXACT_URL and PROXACT_TOKEN, else what `proxact login` stored.

    A stored token belongs to the stored address and is never sent to another. Raises ProxactError if no address is known.
    """
    stored = _stored_login()
    url = url or os.environ.get("PROXACT_URL") or stored.get("url") or ""
    if not url:
        raise ProxactError(
            "no server is known", "Give Client a url, set PROXACT_URL and PROXACT_TOKEN, or run 'proxact login --url URL'."
        )
    own = stored.get("token", "") if url == stored.get("url") else ""
    return url, os.environ.get("PROXACT_TOKEN") or own if token is None else token


def _stored_login() -> Dict[str, str]:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    try:
        with open(os.path.join(home, "proxact", "credentials"), encoding="utf-8") as file:
            pairs = [line.rstrip("\r\n").split(" = ", 1) for line in file]
    except (OSError, UnicodeDecodeError):
        return {}
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def quote(value: object) -> str:
    """A name or an id as one segment of a path. Raises ProxactError for "", "." and ".."."""
    text = str(value)
    if text in ("", ".", ".."):
        raise ProxactError(f"'{text}' is not a name or an id")
    return urllib.parse.quote(text, safe="")


def with_query(path: str, **query: object) -> str:
    """The path with these parameters; those that are None are left out."""
    pairs = [(k, str(v).lower() if isinstance(v, bool) else str(v)) for k, v in query.items() if v is not None]
    return f"{path}?{urllib.parse.urlencode(pairs)}" if pairs else path


class _Metered:
    """A file of which each read is reported; http.client reads it block by block."""

    def __init__(self, file: IO[bytes], size: int, before: int, meter: Optional[Meter]) -> None:
        self._file, self._size, self._done, self._meter = file, size, before, meter

    def read(self, n: int = -1) -> bytes:
        block = self._file.read(n)
        self._done += len(block)
        if self._meter and block:
            self._meter(self._done, self._size)
        return block


class Transport:
    """Connections to one server, one for each thread. No redirect is followed, and no proxy is used."""

    def __init__(self, url: str, token: str, timeout: float, tries: int) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ProxactError(f"'{url}' is not an address", "An address looks like http://host:8080.")
        self.url = url.rstrip("/")
        self._parts, self._prefix = parts, parts.path.rstrip("/")
        self._token, self._timeout, self.tries = token, timeout, tries
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._local = threading.local()
        self.reached = False  # whether anything has answered yet

    def close(self) -> None:
        """Closes this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _connection(self) -> http.client.HTTPConnection:
        connection: Optional[http.client.HTTPConnection] = getattr(self._local, "connection", None)
        if connection is None:
            host, port = str(self._parts.hostname), self._parts.port
            connection = (
                http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT_S, context=self._tls, blocksize=1 << 18)
                if self._tls
                else http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT_S, blocksize=1 << 18)
            )
            connection.connect()
            self._local.connection = connection
        return connection

    def exchange(
        self, method: str, path: str, headers: Optional[Dict[str, str]] = None, body: Body = None,
        size: int = 0, before: int = 0, meter: Optional[Meter] = None, sink: Optional[IO[bytes]] = None,
        stall_s: Optional[float] = None,
    ) -> Reply:
        """One request, not repeated. A successful body goes to `sink` if there is one.

        body: bytes, or a file that is sent from its position on; then `size` is the whole file's, `before` the position.
        stall_s: a line that is silent for so long is cut; the client's timeout, if not given
        Raises ApiError for a status of 400 or more, ConnectionFailed if no answer came.
        """
        lines = {"Accept": "*/*" if sink else "application/json", "User-Agent": f"proxact-python/{VERSION}"}
        if self._token:
            lines["Authorization"] = f"Bearer {self._token}"
        lines.update(headers or {})
        data: Any = body
        if body is not None and not isinstance(body, bytes):
            lines["Content-Length"] = str(size - before)
            data = _Metered(body, size, before, meter)
        elif method in ("POST", "PATCH"):
            data = body or b""
        try:
            connection = self._connection()
            _set_timeout(connection, stall_s or self._timeout)
            try:
                connection.request(method, self._prefix + path, body=data, headers=lines)
            except (BrokenPipeError, ConnectionResetError):
                pass  # a server that refuses an upload may answer before all is sent
            answer = connection.getresponse()
            self.reached = True
            return self._read(answer, meter if body is None else None, sink)
        except (OSError, http.client.HTTPException) as why:
            self.close()
            raise ConnectionFailed(
                f"{self.url}: {why or type(why).__name__}", "Is the address right, and does the server run there?"
            ) from why

    def _read(self, answer: http.client.HTTPResponse, meter: Optional[Meter], sink: Optional[IO[bytes]]) -> Reply:
        headers = {name.lower(): value for name, value in answer.getheaders()}
        if answer.status >= 300 and answer.status != 304:
            problem = _problem(answer.read())
            if headers.get("connection", "").lower() == "close":
                self.close()
            raise api_error(answer.status, problem, _seconds(headers.get("retry-after")))
        data = b""
        if sink is None:
            data = answer.read()
        else:
            total, done = int(headers.get("content-length") or 0), 0
            while block := answer.read(1 << 18):
                _write(sink, block)
                done += len(block)
                if meter:
                    meter(done, total)
            if total and done < total:  # with a length given, read() tells nothing of a cut
                raise http.client.IncompleteRead(b"", total - done)
        return Reply(answer.status, headers, data)

    def request(
        self, method: str, path: str, payload: Any = None, headers: Optional[Dict[str, str]] = None, **more: Any
    ) -> Reply:
        """An exchange that is tried again when no answer came, or one that says "later" (408, 429, 502 to 504).

        payload: sent as JSON. A POST carries an Idempotency-Key, so that a repeat is done once. The pauses grow from a quarter
        of a second to 8 s, or are what Retry-After asks for.
        """
        lines = dict(headers or {})
        if payload is not None:
            lines["Content-Type"] = "application/json"
            more["body"] = json.dumps(payload).encode()
        if method == "POST":
            lines.setdefault("Idempotency-Key", uuid.uuid4().hex)
        for attempt in range(self.tries):
            body = more.get("body")
            if body is not None and not isinstance(body, bytes):
                body.seek(more.get("before", 0))
            try:
                return self.exchange(method, path, lines, **more)
            except (ApiError, ConnectionFailed) as error:
                if method == "DELETE" and attempt and isinstance(error, ApiError) and error.status == 404:
                    return Reply(204, {}, b"")  # the try before did it, and its answer was lost
                if attempt + 1 == self.tries or not self.may_pass(error):
                    raise
                self.pause(attempt, error)
        raise AssertionError("not reached")

    def may_pass(self, error: ProxactError) -> bool:
        """Whether the same request may succeed later. Where nobody ever answered there is nothing to wait for."""
        if isinstance(error, ApiError):
            if (error.retry_after or 0) > PAUSE_MAX_S:
                return False
            return error.status in (408, 429, 502, 503, 504) or error.code == "key_in_use"
        return isinstance(error, ConnectionFailed) and self.reached

    def pause(self, attempt: int, error: ProxactError) -> None:
        """Waits before the next try."""
        asked = error.retry_after if isinstance(error, ApiError) and error.retry_after else 0.0
        time.sleep(max(min(0.25 * 2**attempt, 8.0), asked))


def _set_timeout(connection: http.client.HTTPConnection, seconds: float) -> None:
    if connection.sock is None:  # the server closed it after its last answer
        connection.connect()
    sock: Any = connection.sock
    sock.settimeout(seconds)


def _write(sink: IO[bytes], block: bytes) -> None:
    try:
        sink.write(block)
    except OSError as why:  # this machine's disk, not the network
        raise ProxactError(f"writing the download: {why}", "Is this machine's disk full?") from why


def _seconds(text: Optional[str]) -> Optional[float]:
    try:
        return max(float(text), 0.0) if text else None
    except ValueError:
        return None


def _problem(body: bytes) -> Dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
