"""HTTP with kept connections, patience, and problem documents as errors."""

from __future__ import annotations

import contextvars
import http.client
import json
import random
import socket
import ssl
import threading
import time
import uuid
import weakref
from typing import Any, Optional
from urllib.parse import urlsplit

from .errors import Unavailable, refused

traceparent: contextvars.ContextVar[Optional[str]] = contextvars.ContextVar(
    "traceparent", default=None
)
"""The trace context that requests carry; a task has that of its unit here."""

_DELAY_MIN, _DELAY_MAX = 0.1, 5.0
_BYTES = "application/octet-stream"
_AGAIN = (429, 502, 503, 504, 507)


class Transport:
    """Requests to one server; each thread has a connection of its own."""

    def __init__(self, url: str, token: Optional[str], timeout: float, patience: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a server: write http://HOST:PORT")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._patience = patience
        self._own = threading.local()
        self._lines: weakref.WeakSet[Line] = weakref.WeakSet()
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: Optional[str] = None,
        media: str = "application/json",
        waits: float = 0.0,
        patience: Optional[float] = None,
        line: Optional[Line] = None,
    ) -> Any:
        """Sends a request until it is answered or patience ends; a key makes it count once."""
        headers = self._headers(media, key or (uuid.uuid4().hex if method != "GET" else None))
        # Keys that JSON does not know, such as NaN, are refused here and not by the server.
        is_json = body is not None and not isinstance(body, bytes)
        data = json.dumps(body, allow_nan=False).encode() if is_json else body
        line = line or self.line()
        end = time.monotonic() + (self._patience if patience is None else patience)
        delay = _DELAY_MIN
        while True:
            pause = 0.0
            try:
                status, answer, pause = line.exchange(
                    method, self._base + path, data, headers, self._timeout + waits
                )
                if status < 400:
                    return answer
                error = refused(status, answer)
                if status not in _AGAIN:
                    raise error
            except (OSError, http.client.HTTPException, ValueError) as cause:
                line.close()
                what = f"the server at {self._host} cannot be reached: {cause}"
                error = Unavailable("unavailable", what, "check its address and that it runs")
                error.__cause__ = cause
            pause = max(pause, delay * random.uniform(0.5, 1.0))
            if line.is_cut or time.monotonic() + pause > end:
                raise error
            # Sleeps because a server that cannot answer now needs time; a cut ends the pause.
            line.cut_within(pause)
            delay = min(delay * 2, _DELAY_MAX)

    def line(self) -> Line:
        """Gives the connection of this thread."""
        line: Optional[Line] = getattr(self._own, "line", None)
        if line is None:
            line = self._own.line = self.new_line()
        return line

    def new_line(self) -> Line:
        """Makes a connection that belongs to the caller."""
        line = Line(self._secure, self._host, self._port)
        with self._lock:
            self._lines.add(line)
        return line

    def close(self) -> None:
        """Closes the connections of all threads."""
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.close()

    def _headers(self, media: str, key: Optional[str]) -> dict[str, str]:
        headers = {
            "Content-Type": media,
            "Accept": "application/json, application/problem+json",
        }
        if key is not None:
            headers["Idempotency-Key"] = key
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        context = traceparent.get()
        if context:
            headers["traceparent"] = context
        return headers


class Line:
    """A connection that is kept, and that another thread can cut."""

    def __init__(self, secure: bool, host: str, port: Optional[int]) -> None:
        self._secure, self._host, self._port = secure, host, port
        self._connection: Optional[http.client.HTTPConnection] = None
        self._cut = threading.Event()

    @property
    def is_cut(self) -> bool:
        """Tells whether it was cut."""
        return self._cut.is_set()

    def cut(self) -> None:
        """Ends a request that is under way on it; what follows is tried once only."""
        self._cut.set()
        connection = self._connection
        plug = connection.sock if connection is not None else None
        if plug is not None:
            try:
                plug.shutdown(socket.SHUT_RDWR)
            except OSError:
                # The other side was faster.
                pass

    def cut_within(self, seconds: float) -> bool:
        """Waits for a cut, no longer than some seconds."""
        return self._cut.wait(seconds)

    def close(self) -> None:
        """Closes it; the next request opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __del__(self) -> None:
        # The connection of a thread ends with it.
        self.close()

    def exchange(
        self,
        method: str,
        path: str,
        body: Optional[bytes],
        headers: dict[str, str],
        timeout: float,
    ) -> tuple[int, Any, float]:
        """Sends one request, and gives its status, its answer, and how long to wait with more."""
        connection = self._open(timeout)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        raw = response.read()
        if response.will_close:
            self.close()
        answer: Any
        if response.status < 400 and response.headers.get_content_type() == _BYTES:
            answer = raw
        elif not raw:
            answer = None
        elif "json" in (response.headers.get_content_type() or ""):
            answer = json.loads(raw)
        else:
            answer = {"detail": raw[:200].decode(errors="replace").strip()}
        after = response.headers.get("Retry-After", "")
        return response.status, answer, float(after) if after.isdigit() else 0.0

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        connection = self._connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(timeout)
            return connection
        if self._secure:
            secure = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout, context=secure
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        connection.connect()
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        return connection


