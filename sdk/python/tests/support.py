"""A real server for the tests: the program that LOCKSTEP_BIN names, on a free port."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from typing import ClassVar

from lockstep import Client

ROOT = pathlib.Path(__file__).resolve().parents[3]


def program() -> str:
    """Finds the program, or says what is missing."""
    target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
    for path in (os.environ.get("LOCKSTEP_BIN"), pathlib.Path(target) / "debug" / "lockstep"):
        if path and pathlib.Path(path).is_file():
            return str(path)
    raise RuntimeError("no lockstep program: set LOCKSTEP_BIN, or run cargo build first")


class Server:
    """A server on a free port, with its store in a folder of its own."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.port = "0"
        self.start()

    def start(self) -> None:
        """Starts it, again on the same port, and waits until it listens."""
        store = "sqlite:" + os.path.join(self.folder, "queue.db")
        address = f"127.0.0.1:{self.port}"
        command = [program(), "serve", "--store", store, "--listen", address, "--rpc", "off"]
        env = {"PATH": os.environ["PATH"], "HOME": self.folder}
        self.process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        for line in self._lines():
            if line.startswith("listening on http://"):
                break
        else:
            raise RuntimeError("the server did not start: " + "".join(self.said))
        self.url = line.split()[2]
        self.port = self.url.rsplit(":", 1)[1]
        # What it says later is read, so that it never waits for its reader.
        self.reader = threading.Thread(target=lambda: list(self._lines()), daemon=True)
        self.reader.start()

    def _lines(self) -> Iterator[str]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            yield line

    def kill(self) -> None:
        """Kills it at once."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def close(self) -> None:
        """Ends it and removes its folder."""
        self.kill()
        shutil.rmtree(self.folder)


def until(holds: Callable[[], bool]) -> None:
    """Waits for a condition, and fails if it does not come."""
    end = time.monotonic() + 30
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not come about within 30 s")
        # Sleeps because the condition is another process's.
        time.sleep(0.02)


class Case(unittest.TestCase):
    """A test with a server of its class, and a namespace of its own."""

    server: ClassVar[Server]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def setUp(self) -> None:
        self.client = Client(self.server.url, namespace=self.id())
        self.addCleanup(lambda: self.client.close())

    def lockstep(self, *args: str) -> str:
        """Runs a command of the program in the namespace of this test."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": self.server.folder,
            "LOCKSTEP_URL": self.client.url,
            "LOCKSTEP_NAMESPACE": self.client.namespace,
        }
        done = subprocess.run([program(), *args], env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout
