"""How names, times and data are written for the server, and what it hands out."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, Optional

Json = dict[str, Any]

_PLAIN = re.compile(r"[A-Za-z0-9._:][A-Za-z0-9._:-]*")


def escape(name: str | bytes) -> str:
    """Writes a name for a URL path.

    >>> escape("alice"), escape("a/b"), escape(""), escape(b"\\xff\\xfe")
    ('alice', '-YS9i', '-', '-__4')
    """
    if isinstance(name, str) and _PLAIN.fullmatch(name):
        return name
    raw = name.encode() if isinstance(name, str) else name
    if _PLAIN.fullmatch(raw.decode("latin-1")):
        return raw.decode()
    return "-" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def nanos(seconds: float) -> int:
    """Writes a span as the whole nanoseconds of the wire.

    >>> nanos(1.5)
    1500000000
    """
    return round(seconds * 1_000_000_000)


def unit_name(name: str | bytes, field: str) -> Json:
    """Writes a unit's name into a body, in base64 where it is not text."""
    if isinstance(name, str):
        return {field: name}
    try:
        return {field: name.decode()}
    except UnicodeDecodeError:
        return {f"{field}_base64": base64.b64encode(name).decode()}


@dataclass(frozen=True)
class Attempt:
    """One try at one unit: what a claim hands out."""

    spec: str
    """The name of the work spec."""
    unit: str | bytes
    """The name of the unit; bytes where it is not UTF-8."""
    id: int
    """The attempt's id, which only grows from one attempt on a unit to the next."""
    data: Json
    """The data of the unit; empty where JSON cannot say it, see `cbor`."""
    cbor: Optional[bytes] = None
    """The data in CBOR, where JSON would lose a type."""

    @property
    def token(self) -> int:
        """The number that a call carries to change nothing once the lease is lost."""
        return self.id

    @classmethod
    def of(cls, answer: Json) -> Attempt:
        """Reads an attempt as the server writes it."""
        coded = answer.get("work_unit_base64")
        unit: str | bytes = base64.b64decode(coded) if coded else answer["work_unit"]
        data = answer.get("data") or {}
        if isinstance(data, str):
            return cls(answer["work_spec"], unit, answer["id"], {}, base64.b64decode(data))
        return cls(answer["work_spec"], unit, answer["id"], data)

    def change(self, word: str, data: Optional[Json] = None, **more: int) -> Json:
        """Writes a change to this attempt: finish, fail, retry, renew or expire."""
        change: Json = {"work_spec": self.spec, **unit_name(self.unit, "work_unit")}
        change.update(id=self.id, token=self.token, change=word, **more)
        if data is not None:
            change["data"] = data
        return change
