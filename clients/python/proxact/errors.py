# SPDX-License-Identifier: Apache-2.0
"""Errors of this package. `ProxactError` is the base of all."""

from __future__ import annotations

from typing import Any, Dict, List, Optional


class ProxactError(Exception):
    """What went wrong, and in `hint` what to do about it ("" if nothing is known)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConnectionFailed(ProxactError):
    """No answer came: the server is not there, or the network failed until the client gave up."""


class ApiError(ProxactError):
    """An answer with status 400 or more. `problem` is its problem document (RFC 9457), {} if it had none.

    status       HTTP status
    code         the word for programs, such as "bad_field" (schema/errors.def)
    detail       the sentence for people
    pointer      the place: "/policies/0/algo", or "trajectory 3, step 17, actions[2]"; "" if the answer names none
    errors       all places, each with "pointer" and "detail"
    request_id   what the server's log calls this request
    retry_after  seconds after which to try again; None if not said
    """

    def __init__(self, status: int, problem: Dict[str, Any], retry_after: Optional[float] = None) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        self.title = str(problem.get("title", ""))
        errors = problem.get("errors")
        self.errors: List[Dict[str, str]] = errors if isinstance(errors, list) else []
        self.pointer = str((self.errors[0] if self.errors else problem).get("pointer") or "")
        self.request_id = str(problem.get("request_id") or "")
        self.retry_after = retry_after
        self.detail = str(problem.get("detail") or self.title or f"the server answered with status {status}")
        place = f" (at {self.pointer})" if self.pointer else ""
        request = f" (request {self.request_id})" if status >= 500 and self.request_id else ""
        super().__init__(self.detail + place + request, str(problem.get("hint") or ""))


class UnauthorizedError(ApiError):
    """401: the token is missing or not valid."""


class NotFoundError(ApiError):
    """404: there is no such dataset, job or model."""


class ConflictError(ApiError):
    """409 and 412: it is not possible in the present state, such as a name that is taken, or a version that has passed."""


class ValidationError(ApiError):
    """422: a field or the uploaded data is not accepted; `pointer` names the place."""


_BY_STATUS = {401: UnauthorizedError, 404: NotFoundError, 409: ConflictError, 412: ConflictError, 422: ValidationError}


def api_error(status: int, problem: Dict[str, Any], retry_after: Optional[float] = None) -> ApiError:
    """The error for a status, of the class that belongs to it."""
    return _BY_STATUS.get(status, ApiError)(status, problem, retry_after)


class JobFailed(ProxactError):
    """A job that was waited for did not succeed. `job` is its document, `problem` the job's own error."""

    def __init__(self, job: Dict[str, Any], message: str = "") -> None:
        error = job.get("error")
        self.job = job
        self.problem: Dict[str, Any] = error if isinstance(error, dict) else {}
        why = self.problem.get("detail") or self.problem.get("title") or job.get("reason") or "no reason given"
        super().__init__(message or f"job {job.get('id')} failed: {why}", str(self.problem.get("hint") or ""))


class JobCancelled(JobFailed):
    """A job that was waited for was cancelled."""

    def __init__(self, job: Dict[str, Any]) -> None:
        super().__init__(job, f"job {job.get('id')} was cancelled")
