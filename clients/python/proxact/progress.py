# SPDX-License-Identifier: Apache-2.0
"""A bar with an estimate for jobs, and one for bytes. On a terminal the line is rewritten; elsewhere a line tells each tenth."""

from __future__ import annotations

import sys
import time
from typing import Any, Dict, Optional, TextIO

WIDTH = 24


def duration(seconds: float) -> str:
    """"42 s", "3 min 05 s", "2 h 10 min"."""
    s = int(seconds + 0.5)
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60:02d} s" if s < 3600 else f"{s // 3600} h {s % 3600 // 60:02d} min"


def share_done(job: Dict[str, Any]) -> float:
    """The share of a job's work that is done, 0 to 1: of a pipeline the mean over its jobs, of another its steps."""
    if job.get("state") == "succeeded":
        return 1.0
    children = job.get("children")
    if children:
        return sum(share_done(child) for child in children) / len(children)
    progress = job.get("progress") or {}
    total = progress.get("total") or 0
    return min(float(progress.get("step", 0)) / float(total), 1.0) if total > 0 else 0.0


class Bar:
    """Shows a share with what is left, by the pace since the bar began unless an estimate is given."""

    def __init__(self, title: str, stream: Optional[TextIO] = None) -> None:
        self._title, self._stream = title, stream or sys.stderr
        self._live = self._stream.isatty()
        self._began, self._first, self._last = time.monotonic(), -1.0, ""

    def show(self, share: float, what: str, eta_s: Optional[float] = None) -> None:
        """share: 0 to 1; what: a word behind the bar; eta_s: seconds left, if they are known."""
        if self._first < 0:
            self._first = share
        gone, spent = share - self._first, time.monotonic() - self._began
        if eta_s is None and gone > 0.02 and share < 1:
            eta_s = spent * (1 - share) / gone
        filled = int(share * WIDTH)
        line = f"{self._title} [{'#' * filled}{'.' * (WIDTH - filled)}] {100 * share:3.0f}%  {what}"
        if eta_s is not None and share < 1:
            line += f", {duration(eta_s)} left"
        if self._live:
            self._stream.write(f"\r\033[K{line}")
            self._stream.flush()
            return
        step = f"{int(share * 10)} {what if share < 1 else ''}"
        if step != self._last:
            self._stream.write(line + "\n")
            self._stream.flush()
        self._last = step

    def end(self) -> None:
        """Leaves the line as it is, and begins the next one."""
        if self._live:
            self._stream.write("\n")
            self._stream.flush()


class JobBar:
    """A bar for `Job.wait`."""

    def __init__(self, job: Dict[str, Any], stream: Optional[TextIO] = None) -> None:
        self._bar = Bar(str(job.get("kind", "job")), stream)

    def show(self, job: Dict[str, Any]) -> None:
        """job: a job's document."""
        running = [child["name"] for child in job.get("children") or [] if child["state"] == "running"]
        what = running[0] if running and job["state"] not in ("succeeded", "failed", "cancelled") else job["state"]
        self._bar.show(share_done(job), what + (f" +{len(running) - 1}" if len(running) > 1 else ""),
                       (job.get("progress") or {}).get("eta_s"))

    def end(self) -> None:
        """After the last document."""
        self._bar.end()
