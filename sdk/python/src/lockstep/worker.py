"""The worker: claims units, runs a function for each, and looks after their leases."""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Optional, TypeVar, Union

from .client import Client, claim_body, with_output
from .errors import Conflict, LockstepError, NotFound, Unavailable
from .transport import Line, traceparent
from .wire import Attempt, Json, nanos

_TRACEBACK_MAX = 64 << 10
_LAST_WORDS = 10.0
_IDLE_WORDS = 1.0
_BRIEFLY = 0.001


class Finish:
    """What a task returns to give units to the spec that follows."""

    def __init__(self, data: Optional[Json] = None, *, output: Optional[Any] = None) -> None:
        self.data = data
        self.output = output


class Fail(Exception):
    """Raised by a task: its unit cannot be done and is not tried again by itself."""

    def __init__(self, reason: str, data: Optional[Json] = None) -> None:
        super().__init__(reason)
        self.data = data


class Retry(Exception):
    """Raised by a task: its unit is to be tried again after a delay in seconds."""

    def __init__(self, delay: float = 0.0, data: Optional[Json] = None) -> None:
        super().__init__(f"try again in {delay} s")
        self.delay = delay
        self.data = data


class Task:
    """One unit to work on, with all that a task may want to know."""

    def __init__(self, client: Client, attempt: Attempt, lease: float, claimed: float) -> None:
        self.client = client
        """The client of the worker; what it sends during a task carries the unit's trace."""
        self.attempt = attempt
        self.lost = threading.Event()
        """Set once the lease is lost: whatever the task returns is not used."""
        self.stopping = threading.Event()
        """Set once the worker was told to stop."""
        self._lease = lease
        self._renewed = claimed

    @property
    def spec(self) -> str:
        """The name of the work spec."""
        return self.attempt.spec

    @property
    def unit(self) -> str | bytes:
        """The name of the unit."""
        return self.attempt.unit

    @property
    def data(self) -> Json:
        """The data of the unit."""
        return self.attempt.data

    @property
    def token(self) -> int:
        """A number that only grows: what this task changes elsewhere can refuse lower ones."""
        return self.attempt.token

    @property
    def traceparent(self) -> Optional[str]:
        """The trace context that the unit was added with."""
        context = self.data.get("traceparent")
        return context if isinstance(context, str) else None

    def keep(self, data: Json) -> None:
        """Keeps progress with the attempt, and makes sure that the lease still holds."""
        sent = time.monotonic()
        try:
            self.client.renew(self.attempt, self._lease, data)
        except (Conflict, NotFound):
            self.lost.set()
            raise
        self._renewed = sent

    @property
    def renew_at(self) -> float:
        """When a third of the lease is over, by the clock of this process."""
        return self._renewed + self._lease / 3

    def renewed(self, sent: float) -> None:
        """Counts the lease from when the renewal was sent: the server counts from later."""
        self._renewed = max(self._renewed, sent)


Answer = Union[None, Json, Finish]
Function = TypeVar("Function", bound=Callable[[Task], Answer])


class Worker:
    """Runs functions for units until SIGTERM or SIGINT, or until nothing is left to claim."""

    def __init__(
        self,
        client: Client,
        *,
        name: Optional[str] = None,
        specs: Sequence[str] = (),
        runtimes: Sequence[str] = ("", "python"),
        concurrency: int = 1,
        batch: int = 1,
        lease: float = 90.0,
        wait: float = 30.0,
        heartbeat: float = 15.0,
        grace: float = 30.0,
    ) -> None:
        """Makes a worker that has no task yet.

        It takes units of the specs given, else of those that have a task. `concurrency` tasks run
        at a time, each in a thread that claims `batch` units at once and reports them together.
        When it dies, its units are offered again after `lease` seconds; told to stop, tasks have
        `grace` seconds to end.
        """
        if lease < 1 or min(concurrency, batch) < 1:
            raise ValueError("a worker needs a lease of 1 s, one thread and one unit at least")
        self.client = client
        self.name = name or f"python-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._specs, self._runtimes = tuple(specs), tuple(runtimes)
        self._concurrency, self._batch = concurrency, batch
        self._lease, self._wait = lease, min(wait, 60.0)
        self._heartbeat, self._grace = max(heartbeat, 1.0), grace
        self._tasks: dict[Optional[str], Callable[[Task], Answer]] = {}
        self._lock = threading.Lock()
        self._held: dict[int, Task] = {}
        self._lines: list[Line] = []
        self._stop = threading.Event()
        self._quiet = threading.Event()
        self._error: Optional[BaseException] = None
        self._until_empty = False

    def task(self, spec: Optional[str] = None) -> Callable[[Function], Function]:
        """Makes a function run the units of a spec, or all that no other function runs."""

        def keep(function: Function) -> Function:
            self._tasks[spec] = function
            return function

        return keep

    def stop(self) -> None:
        """Asks the worker to end; may be called from any thread and from a signal."""
        self._stop.set()
        # No lock is taken: a signal may have come while this very thread holds it.
        for task in list(self._held.values()):
            task.stopping.set()
        for line in list(self._lines):
            line.cut()

    def run(self, *, until_empty: bool = False) -> None:
        """Works until told to stop, and raises what a claim was refused for."""
        self._until_empty = until_empty
        before = self._take_signals()
        lines = [self.client.transport.new_line() for _ in range(self._concurrency)]
        threads = [threading.Thread(target=self._loop, args=(it,), daemon=True) for it in lines]
        keeper = threading.Thread(target=self._keep, daemon=True)
        try:
            self._lines = lines
            if self._stop.is_set():
                self.stop()
            self._beat("run", math.inf, lines[0])
            for thread in [*threads, keeper]:
                thread.start()
            self._attend(threads)
        finally:
            self._quiet.set()
            self._part()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._error is not None:
            raise self._error

    # The thread that called `run`.

    def _take_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}

        def handler(_number: int, _frame: object) -> None:
            self.stop()

        return {it: signal.signal(it, handler) for it in (signal.SIGTERM, signal.SIGINT)}

    def _attend(self, threads: list[threading.Thread]) -> None:
        """Waits for the threads, after a stop no longer than the grace."""
        end: Optional[float] = None
        while any(thread.is_alive() for thread in threads):
            if end is None and self._stop.is_set():
                end = time.monotonic() + self._grace
            if end is not None and time.monotonic() > end:
                return
            # A wait without an end would keep signals from being handled on some systems.
            next(it for it in threads if it.is_alive()).join(0.1)

    def _part(self) -> None:
        """Gives back what is still held, and says that this worker has ended."""
        with self._lock:
            left, self._held = list(self._held.values()), {}
        try:
            if left:
                changes = [task.attempt.change("expire") for task in left]
                self.client.work(self.name, changes, None, patience=_LAST_WORDS)
            self.client.deactivate(self.name, patience=_LAST_WORDS if left else _IDLE_WORDS)
        except LockstepError:
            # A server that is away learns it from leases that end.
            pass

    # The threads that claim and run.

    def _loop(self, line: Line) -> None:
        try:
            self._work(line)
        except BaseException as error:
            self._error = self._error or error
            self.stop()
        finally:
            line.close()

    def _work(self, line: Line) -> None:
        changes: list[Json] = []
        while True:
            stopping = self._stop.is_set()
            if stopping and not changes:
                return
            attempts, claimed = self._exchange(line, changes, asks=not stopping)
            if self._stop.is_set():
                # What was claimed while the stop came is for others.
                changes = [attempt.change("expire") for attempt in attempts]
                continue
            if not attempts and self._until_empty:
                return
            tasks = [Task(self.client, it, self._lease, claimed) for it in attempts]
            with self._lock:
                self._held.update((task.token, task) for task in tasks)
            changes = [change for change in map(self._do, tasks) if change is not None]

    def _exchange(
        self, line: Line, changes: list[Json], asks: bool
    ) -> tuple[list[Attempt], float]:
        """Reports and claims in one request, and tells when the claim was sent."""
        sent = time.monotonic()
        attempts = self._send(line, changes, self._request() if asks else None)
        with self._lock:
            for change in changes:
                self._held.pop(change["id"], None)
        return attempts, sent

    def _request(self) -> Json:
        """Writes what this worker asks for."""
        specs = self._specs
        if not specs and None not in self._tasks:
            specs = tuple(spec for spec in self._tasks if spec is not None)
        wait = 0.0 if self._until_empty else self._wait
        return claim_body(specs, self._runtimes, self._batch, self._lease, wait)

    def _send(self, line: Line, changes: list[Json], request: Optional[Json]) -> list[Attempt]:
        key = uuid.uuid4().hex
        try:
            return self.client.work(
                self.name,
                changes,
                request,
                key=key,
                waits=self._wait,
                patience=math.inf,
                line=line,
            )[1]
        except Unavailable:
            if not self._stop.is_set():
                raise
            return self._last_words(changes, request, key)
        except LockstepError:
            if not changes:
                raise
            # One change that is too large must not hold up the others.
            for change in changes:
                self._report(change, line)
            return []

    def _last_words(
        self, changes: list[Json], request: Optional[Json], key: str
    ) -> list[Attempt]:
        """Asks what became of a request that was cut, by its key and without waiting again."""
        if request is not None:
            request = {**request, "wait_ms": round(_BRIEFLY * 1000)}
        patience = _LAST_WORDS if changes else _IDLE_WORDS
        try:
            return self.client.work(self.name, changes, request, key=key, patience=patience)[1]
        except Unavailable:
            if changes:
                raise
            # A lease covers what it may have claimed without knowing.
            return []

    def _report(self, change: Json, line: Line) -> None:
        """Reports one change; a result that is refused fails its unit."""
        patience = _LAST_WORDS if self._stop.is_set() else math.inf
        try:
            self.client.work(self.name, [change], None, patience=patience, line=line)
        except Unavailable:
            raise
        except LockstepError as error:
            failed = {**change, "change": "fail"}
            failed["data"] = {"traceback": f"the result was refused: {error}"}
            self.client.work(self.name, [failed], None, patience=patience, line=line)

    def _do(self, task: Task) -> Optional[Json]:
        """Runs the function of a unit, and writes how it ended."""
        if self._stop.is_set():
            return task.attempt.change("expire")
        if task.lost.is_set():
            self._forget(task)
            return None
        context = traceparent.set(task.traceparent)
        try:
            change = self._ended(task)
            # What JSON cannot say fails this unit, and not the report of all.
            json.dumps(change, allow_nan=False)
        except Exception as error:
            # A task that ends because the worker does gives its unit back.
            word = "expire" if task.stopping.is_set() else "fail"
            change = task.attempt.change(word, _traceback(error))
        finally:
            traceparent.reset(context)
        if task.lost.is_set():
            self._forget(task)
            return None
        return change

    def _forget(self, task: Task) -> None:
        with self._lock:
            self._held.pop(task.token, None)

    def _ended(self, task: Task) -> Json:
        function = self._tasks.get(task.spec) or self._tasks.get(None)
        if function is None:
            raise LookupError(f"this worker has no task for the work spec {task.spec!r}")
        try:
            answer = function(task)
        except Fail as fail:
            return task.attempt.change("fail", {**(fail.data or {}), "traceback": str(fail)})
        except Retry as retry:
            return task.attempt.change("retry", retry.data, delay=nanos(retry.delay))
        if isinstance(answer, Finish):
            answer = with_output(task.attempt, answer.data, answer.output)
        if not (answer is None or isinstance(answer, dict)):
            raise TypeError(f"a task returns a dict, Finish or None, and not {type(answer)}")
        return task.attempt.change("finish", answer)

    # The thread that keeps leases and says that this worker is alive.

    def _keep(self) -> None:
        beat_at = time.monotonic() + self._heartbeat
        while not self._quiet.wait(min(1.0, self._lease / 10)):
            now = time.monotonic()
            try:
                if now >= beat_at:
                    beat_at = now + self._heartbeat
                    self._beat("stop" if self._stop.is_set() else "run", self._lease / 10)
                self._renew(now)
            except LockstepError:
                # The next round tries again; leases are renewed long before they end.
                continue

    def _renew(self, now: float) -> None:
        with self._lock:
            due = [task for task in self._held.values() if task.renew_at <= now]
        due = [task for task in due if not task.lost.is_set()]
        if not due:
            return
        span = nanos(self._lease)
        changes = [task.attempt.change("renew", extend_duration=span) for task in due]
        results, _ = self.client.work(self.name, changes, None, patience=self._lease / 10)
        for task, error in zip(due, results):
            if error is None:
                task.renewed(now)
            else:
                task.lost.set()

    def _beat(self, mode: str, patience: float, line: Optional[Line] = None) -> None:
        environment = {
            "language": "python",
            "python": platform.python_version(),
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "cpus": os.cpu_count() or 1,
        }
        lasts = self._heartbeat * 4
        self.client.beat(
            self.name, mode, environment, lasts=lasts, patience=patience, line=line
        )


def _traceback(error: BaseException) -> Json:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"traceback": text[-_TRACEBACK_MAX:]}
