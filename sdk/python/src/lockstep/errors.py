"""Errors, told apart by what the caller can do about them."""

from __future__ import annotations

from typing import Any


class LockstepError(Exception):
    """Something that a server refused, with its stable code.

    The book of Lockstep has a page for each code.
    """

    def __init__(self, code: str, detail: str, hint: str = "", status: int = 0) -> None:
        super().__init__(f"{detail} ({code})" + (f"; {hint}" if hint else ""))
        self.code = code
        """The name that does not change, such as `no_such_work_spec`."""
        self.detail = detail
        """What went wrong, for people."""
        self.hint = hint
        """What to do about it, for people."""
        self.status = status
        """The HTTP status, or 0 where there is none."""


class BadRequest(LockstepError):
    """The request itself is wrong; sent again it is refused again."""


class Denied(LockstepError):
    """The token is missing, wrong, or does not allow this."""


class NotFound(LockstepError):
    """There is no such record, or it is gone."""


class Conflict(LockstepError):
    """The record is not in the state that the request asks for."""


class LostLease(Conflict):
    """Another attempt has the unit now, or nobody has; this one changes nothing any more."""


class Unavailable(LockstepError):
    """The server cannot be reached or cannot answer now; it was tried for as long as allowed."""


def refused(status: int, answer: Any) -> LockstepError:
    """Makes the error of a problem document, or of whatever else came with the status."""
    problem = answer if isinstance(answer, dict) else {}
    code = str(problem.get("code") or f"http_{status}")
    detail = str(problem.get("detail") or f"the server answered with status {status}")
    return of_code(code, detail, str(problem.get("hint") or ""), status)


def of_code(code: str, detail: str, hint: str, status: int) -> LockstepError:
    """Makes the error of a code; one without a status is known by its code alone."""
    if code == "lost_lease":
        return LostLease(code, detail, hint, status)
    kinds: dict[int, type[LockstepError]] = {
        401: Denied,
        403: Denied,
        404: NotFound,
        409: Conflict,
        410: NotFound,
        429: Unavailable,
        502: Unavailable,
        503: Unavailable,
        504: Unavailable,
        507: Unavailable,
    }
    kind = kinds.get(status, BadRequest if 400 <= status < 500 else LockstepError)
    return kind(code, detail, hint, status)
