#!/usr/bin/env python3
"""A worker in plain Python: the standard library over REST, without any SDK.

It claims a few units at a time, reads the file that each unit's data names under "path", and
finishes the unit with what it found. Finishing units and claiming the next is one request.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

Json = dict[str, Any]

LEASE_NS = 60_000_000_000
# A signal is noticed between two requests, so this is kept short.
WAIT_MS = 2_000

stopping = False


def main() -> int:
    args = parse()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server = Server(args.url, args.namespace, args.name, os.environ.get("LOCKSTEP_TOKEN"))
    request: Json = {
        "work_specs": [args.spec],
        "number_of_work_units": 1 if args.once else args.batch,
        "lifetime": LEASE_NS,
        "wait_ms": 0 if args.until_empty else WAIT_MS,
    }
    changes: list[Json] = []
    while not stopping:
        attempts = server.work(changes, request)
        changes = [change(attempt) for attempt in attempts]
        if (attempts and args.once) or (not attempts and args.until_empty):
            break
    if changes:
        server.work(changes, None)
    return 0


def change(attempt: Json) -> Json:
    """Does the unit of an attempt, and says how it ended."""
    ids = ("work_spec", "work_unit", "work_unit_base64", "id", "token")
    result: Json = {key: attempt[key] for key in ids if key in attempt}
    data = attempt.get("data")
    try:
        # Data that JSON cannot say comes as a string of base64 CBOR, which has no "path" for us.
        if not isinstance(data, dict) or not isinstance(data.get("path"), str):
            raise ValueError('the unit\'s data has no text "path"')
        found = {**read(data["path"]), "by": "python"}
    except (OSError, ValueError) as error:
        return {**result, "change": "fail", "data": {"traceback": str(error)}}
    # Where the spec has a "then", its output becomes a unit of that spec.
    output = {attempt["work_unit"]: found}
    return {**result, "change": "finish", "data": {**found, "output": output}}


def read(path: str) -> Json:
    """Counts the bytes and lines of a file and hashes it."""
    size, lines, digest = 0, 0, hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 16):
            size += len(part)
            lines += part.count(b"\n")
            digest.update(part)
    return {"path": path, "bytes": size, "lines": lines, "sha256": digest.hexdigest()}


class Server:
    """The one URL that this worker needs."""

    def __init__(self, url: str, namespace: str, worker: str, token: str | None) -> None:
        self.url = f"{url.rstrip('/')}/namespace/{escape(namespace)}/worker/{escape(worker)}/work"
        self.headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def work(self, changes: list[Json], request: Json | None) -> list[Json]:
        """Reports changes and claims units, until the server answers."""
        body = json.dumps({"changes": changes, "request": request}).encode()
        # The key makes sure that a repeated request counts once.
        headers = {**self.headers, "Idempotency-Key": uuid.uuid4().hex}
        while True:
            try:
                call = urllib.request.Request(self.url, body, headers)
                with urllib.request.urlopen(call, timeout=60) as response:
                    answer = json.load(response)
                break
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    text = error.read().decode(errors="replace")
                    sys.exit(f"worker.py: the server answered {error.code}: {text}")
                self.pause(error)
            except (OSError, ValueError) as error:
                self.pause(error)
        for outcome in answer["results"]:
            if not outcome["ok"]:
                print(f"worker.py: a result was not taken: {outcome['error']}", file=sys.stderr)
        attempts: list[Json] = answer["attempts"]
        return attempts

    def pause(self, error: Exception) -> None:
        print(f"worker.py: no answer ({error}); trying again", file=sys.stderr)
        if stopping:
            # Told to stop, it does not wait for a server that is away.
            sys.exit(1)
        time.sleep(1)


def escape(name: str) -> str:
    """Writes a name for a URL path: plain ones as they are, others as "-" and base64url."""
    if re.fullmatch(r"[A-Za-z0-9._:][A-Za-z0-9._:-]*", name):
        return name
    return "-" + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def stop(_number: int, _frame: object) -> None:
    global stopping
    stopping = True


def parse() -> argparse.Namespace:
    env = os.environ
    name = env.get("LOCKSTEP_WORKER") or f"python-{socket.gethostname()}-{os.getpid()}"
    parser = argparse.ArgumentParser(
        description="Counts and hashes the files that units name.",
        epilog="The access token, where the server asks for one, is taken from LOCKSTEP_TOKEN.",
    )
    parser.add_argument("--url", default=env.get("LOCKSTEP_URL") or "http://127.0.0.1:5980")
    parser.add_argument("--namespace", default=env.get("LOCKSTEP_NAMESPACE", ""))
    parser.add_argument("--spec", default="scan", help="work spec whose units are claimed [scan]")
    parser.add_argument("--name", default=name, help="name of this worker [host and process]")
    parser.add_argument("--batch", type=int, default=4, help="most units of one claim [4]")
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--once", action="store_true", help="end after one unit")
    ends.add_argument("--until-empty", action="store_true", help="end when no unit is left")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
