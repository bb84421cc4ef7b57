"""The client: everything that a program asks of a server, one method each."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from .errors import LockstepError, of_code
from .transport import Line, Transport
from .wire import Attempt, Json, escape, nanos, unit_name

_ENDED = ("finished", "faulted", "cancelled")
_STATUS = {"lost_lease": 409, "not_pending": 409, "gone": 410}


@dataclass(frozen=True)
class NewUnit:
    """A unit to add."""

    name: str | bytes
    data: Json = field(default_factory=dict)
    priority: float = 0.0
    delay: Optional[float] = None
    """Seconds before it is handed out."""

    def body(self) -> Json:
        """Writes it for the server."""
        body: Json = {**unit_name(self.name, "name"), "data": self.data}
        if self.priority:
            body["meta"] = {"priority": self.priority}
        if self.delay is not None:
            body["delay"] = nanos(self.delay)
        return body


@dataclass(frozen=True)
class Received:
    """What became of an event."""

    seq: int
    """Its position among the events of the namespace."""
    is_duplicate: bool
    """Whether it was known already; then nothing was done."""
    started: list[str]
    """The workflow instances that it started."""
    resumed: list[str]
    """The instances that had waited for it."""


class Client:
    """A namespace of a server. It may be used by many threads at once."""

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        namespace: Optional[str] = None,
        token: Optional[str] = None,
        timeout: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        """Takes what is not given from LOCKSTEP_URL, LOCKSTEP_NAMESPACE and LOCKSTEP_TOKEN.

        A request may take `timeout` seconds. One that gets no answer, or is told to come again,
        is sent again for `patience` seconds; it counts once however often it was sent.
        """
        env = os.environ
        self.url = url or env.get("LOCKSTEP_URL") or "http://127.0.0.1:5980"
        self.namespace = env.get("LOCKSTEP_NAMESPACE", "") if namespace is None else namespace
        self.transport = Transport(self.url, token or _token(), timeout, patience)

    def close(self) -> None:
        """Closes all connections; the next request opens one again."""
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_ended: object) -> None:
        self.close()

    # Work specs and units.

    def set_spec(self, name: str, **keys: Any) -> None:
        """Creates or replaces a work spec; the keys are those of its dictionary."""
        self._post("work_spec", {"data": {"name": name, **keys}})

    def counts(self, spec: str) -> dict[str, int]:
        """Counts the units of a spec by status."""
        found: dict[str, int] = self._get("work_spec", spec, "counts")
        return found

    def add(
        self,
        spec: str,
        unit: str | bytes,
        data: Optional[Json] = None,
        *,
        priority: float = 0.0,
        delay: Optional[float] = None,
    ) -> None:
        """Adds a unit, or replaces the data of the one with this name."""
        self.add_many(spec, [NewUnit(unit, data or {}, priority, delay)])

    def add_many(self, spec: str, units: Iterable[NewUnit]) -> None:
        """Adds units, all of them or none; the limits say how many."""
        self._post("work_spec", spec, "work_unit", {"work_units": [it.body() for it in units]})

    def unit(self, spec: str, unit: str | bytes) -> Json:
        """Shows a unit with its data and status."""
        found: Json = self._get("work_spec", spec, "work_unit", unit)
        return found

    # Blobs.

    def put_blob(self, content: bytes, type: str = "application/octet-stream") -> Json:
        """Keeps content that is too large for data, and gives the value that refers to it.

        Put that value somewhere into the data of a unit or an event within a day: it keeps the
        content for as long as it stands there.
        """
        path = self._path("blob")
        info = self.transport.call("POST", path, content, media=type)
        return {"$blob": {"id": info["id"], "bytes": info["bytes"], "type": info["type"]}}

    def get_blob(self, blob: str | Json) -> bytes:
        """Reads the content of a blob by its id, or by the value that refers to it."""
        id = blob if isinstance(blob, str) else str(blob["$blob"]["id"])
        content: bytes = self._get("blob", id)
        if hashlib.sha256(content).hexdigest() != id:
            raise ValueError(f"what came is not the content of blob {id}")
        return content

    # Events and workflows.

    def send(
        self,
        type: str,
        data: Any = None,
        *,
        source: str,
        id: Optional[str] = None,
        subject: Optional[str] = None,
        **extensions: Any,
    ) -> Received:
        """Sends an event (CloudEvents 1.0). Of one source and id, only the first is taken in."""
        event: Json = {"id": id or uuid.uuid4().hex, "source": source, "type": type, **extensions}
        event.update(specversion="1.0", data=data)
        if subject is not None:
            event["subject"] = subject
        answer = self._post("event", event, media="application/cloudevents+json")
        one = answer["received"][0]
        started, resumed = ([str(id) for id in one[of]] for of in ("started", "resumed"))
        return Received(one["seq"], one["is_duplicate"], started, resumed)

    def start(self, definition: str, input: Any = None, *, key: Optional[str] = None) -> str:
        """Starts the published version of a workflow, once for each key, and gives its id."""
        body = {"definition": definition, "input": input}
        return str(self._post("instance", body, key=key)["instance"])

    def instance(self, id: str) -> Json:
        """Shows an instance of a workflow with its status, input, output and error."""
        found: Json = self._get("instance", id)
        return found

    def follow(self, id: str, *, every: float = 0.2) -> Iterator[Json]:
        """Gives the journal entries of an instance as they are written, until it has ended."""
        seen = 0
        while True:
            # Looked at first, so that what is written up to the end is still read.
            is_over = self.instance(id)["status"] in _ENDED
            entries = self._get("instance", id, "journal", query=f"?previous={seen}")["journal"]
            for entry in entries:
                seen = entry["seq"]
                yield entry
            if not entries:
                if is_over:
                    return
                # Sleeps because the server has no call that waits for a journal.
                time.sleep(every)

    def wait(self, id: str, *, timeout: Optional[float] = None) -> Json:
        """Waits until an instance has ended, and gives it; an exception tells that time is up."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            instance = self.instance(id)
            if instance["status"] in _ENDED:
                return instance
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"instance {id} is {instance['status']} after {timeout} s")
            # Sleeps because the server has no call that waits for an instance.
            time.sleep(0.2)

    # What a worker says.

    def claim(
        self,
        worker: str,
        *,
        specs: Sequence[str] = (),
        runtimes: Sequence[str] = (),
        count: int = 1,
        lease: float = 90.0,
        wait: float = 0.0,
    ) -> list[Attempt]:
        """Takes ready units for a worker, and waits for some if told to."""
        request = claim_body(specs, runtimes, count, lease, wait)
        return self.work(worker, [], request, waits=wait)[1]

    def finish(
        self, attempt: Attempt, data: Optional[Json] = None, output: Optional[Any] = None
    ) -> None:
        """Ends an attempt with success; the output becomes units of the spec that follows."""
        self._change(attempt, "finish", with_output(attempt, data, output))

    def fail(self, attempt: Attempt, reason: str, data: Optional[Json] = None) -> None:
        """Ends an attempt without success; its unit is not tried again by itself."""
        self._change(attempt, "fail", {**(data or {}), "traceback": reason})

    def retry(self, attempt: Attempt, delay: float = 0.0, data: Optional[Json] = None) -> None:
        """Ends an attempt so that its unit is handed out again after a delay, as it was."""
        self._change(attempt, "retry", data, delay=nanos(delay))

    def renew(self, attempt: Attempt, lease: float = 90.0, data: Optional[Json] = None) -> None:
        """Makes a lease end so many seconds from now."""
        self._change(attempt, "renew", data, extend_duration=nanos(lease))

    def expire(self, attempt: Attempt) -> None:
        """Gives a unit back without a result."""
        self._change(attempt, "expire", None)

    def beat(
        self,
        worker: str,
        mode: str,
        environment: Json,
        *,
        lasts: float = 60.0,
        patience: Optional[float] = None,
        line: Optional[Line] = None,
    ) -> None:
        """Says that a worker is alive, what it is doing, and for how long this holds."""
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + lasts))
        said = {"active": True, "mode": mode, "data": environment, "expiration": until}
        path = self._path("worker", worker)
        self.transport.call("PUT", path, said, patience=patience, line=line)

    def deactivate(self, worker: str, *, patience: Optional[float] = None) -> None:
        """Says that a worker has ended."""
        path = self._path("worker", worker)
        self.transport.call("PUT", path, {"active": False}, patience=patience)

    def work(
        self,
        worker: str,
        changes: Sequence[Json],
        request: Optional[Json],
        *,
        key: Optional[str] = None,
        waits: float = 0.0,
        patience: Optional[float] = None,
        line: Optional[Line] = None,
    ) -> tuple[list[Optional[LockstepError]], list[Attempt]]:
        """Reports changes and claims the next units in one request.

        The first list has, for each change, None or why it was not made.
        """
        answer = self.transport.call(
            "POST",
            self._path("worker", worker, "work"),
            {"changes": list(changes), "request": request},
            key=key,
            waits=waits,
            patience=patience,
            line=line,
        )
        results = [_outcome(one) for one in answer["results"]]
        return results, [Attempt.of(one) for one in answer["attempts"]]

    def _change(self, attempt: Attempt, word: str, data: Optional[Json], **more: int) -> None:
        # Whose name this is does not matter: the token says who may change an attempt.
        results, _ = self.work("python", [attempt.change(word, data, **more)], None)
        if results[0] is not None:
            raise results[0]

    def _path(self, *parts: str | bytes) -> str:
        # Every other part is a name of somebody's choice, the rest are words of the API.
        own = "/".join(escape(part) if at % 2 else str(part) for at, part in enumerate(parts))
        return f"/namespace/{escape(self.namespace)}/{own}"

    def _get(self, *parts: str | bytes, query: str = "") -> Any:
        return self.transport.call("GET", self._path(*parts) + query)

    def _post(self, *parts: Any, key: Optional[str] = None, media: Optional[str] = None) -> Any:
        *path, body = parts
        media = media or "application/json"
        return self.transport.call("POST", self._path(*path), body, key=key, media=media)


def claim_body(
    specs: Sequence[str], runtimes: Sequence[str], count: int, lease: float, wait: float
) -> Json:
    """Writes a request for work."""
    return {
        "work_specs": list(specs),
        "runtimes": list(runtimes),
        "number_of_work_units": count,
        "lifetime": nanos(lease),
        "wait_ms": round(wait * 1000),
    }


def with_output(attempt: Attempt, data: Optional[Json], output: Optional[Any]) -> Optional[Json]:
    """Puts the units for the next spec where the server looks for them."""
    if output is None:
        return data
    return {**(attempt.data if data is None else data), "output": output}


def _outcome(result: Json) -> Optional[LockstepError]:
    if result["ok"]:
        return None
    error = result["error"]
    code: str = error["code"]
    # A change carries no status of its own.
    status = 404 if code.startswith("no_such_") else _STATUS.get(code, 400)
    return of_code(code, error["message"], error["hint"], status)


def _token() -> Optional[str]:
    token, file = os.environ.get("LOCKSTEP_TOKEN"), os.environ.get("LOCKSTEP_TOKEN_FILE")
    if token or not file:
        return token or None
    with open(file, encoding="utf-8") as text:
        return text.read().strip()
