"""Workers: what becomes of units, of leases, and of a worker that is told to stop."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

from lockstep import Client, Denied, Fail, Finish, NewUnit, Retry, Task, Unavailable, Worker
from lockstep.wire import escape
from support import Case, until

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "src"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

PROGRAM = """
import sys, time
from lockstep import Client, Worker
worker = Worker(Client(), name="process", wait=30.0, grace=float(sys.argv[1]))
@worker.task("slow")
def slow(task):
    print("begun", flush=True)
    task.stopping.wait(30)
    time.sleep(float(sys.argv[2]))
    return {"done": True}
print("ready", flush=True)
worker.run()
print("ended", flush=True)
"""


class Outcomes(Case):
    def status(self, unit: str, spec: str = "count") -> tuple[str, dict[str, object]]:
        found = self.client.unit(spec, unit)
        return found["status"], found.get("data", {})

    def test_what_a_function_returns_or_raises_ends_its_unit(self) -> None:
        client = self.client
        client.set_spec("count", then="next")
        client.set_spec("next")
        client.set_spec("other")
        names = ["data", "none", "output", "fail", "error", "again", "odd"]
        client.add_many("count", [NewUnit(name, {"name": name}) for name in names])
        client.add("other", "one")
        worker = Worker(client, concurrency=2, batch=2)
        tries: list[int] = []

        @worker.task("count")
        def count(task: Task) -> object:
            self.assertEqual(task.unit, task.data["name"])
            if task.unit == "fail":
                raise Fail("cannot", {"why": "so"})
            if task.unit == "error":
                raise OSError("disk on fire")
            if task.unit == "again":
                tries.append(task.token)
                if len(tries) == 1:
                    raise Retry(0.0)
                return {"n": len(tries)}
            if task.unit == "odd":
                return {"set": {1, 2}}
            if task.unit == "output":
                return Finish(output={"made": {}})
            return None if task.unit == "none" else {"n": 1}

        worker.run(until_empty=True)
        self.assertEqual(self.status("data"), ("finished", {"n": 1}))
        self.assertEqual(self.status("none"), ("finished", {"name": "none"}))
        self.assertEqual(self.status("output")[0], "finished")
        self.assertEqual(self.status("made", "next")[0], "available")
        self.assertEqual(self.status("fail"), ("failed", {"why": "so", "traceback": "cannot"}))
        state, data = self.status("error")
        self.assertEqual(state, "failed")
        self.assertIn("OSError: disk on fire", str(data["traceback"]))
        self.assertEqual(self.status("again"), ("finished", {"n": 2}))
        self.assertIn("not JSON serializable", str(self.status("odd")[1]["traceback"]))
        # It has no function for that spec, so it does not ask for its units.
        self.assertEqual(self.status("one", "other")[0], "available")

    def test_a_function_without_a_spec_takes_what_is_left(self) -> None:
        self.client.set_spec("count")
        self.client.add("count", "one")
        worker = Worker(self.client)

        @worker.task()
        def any(task: Task) -> dict[str, object]:
            return {"spec": task.spec}

        worker.run(until_empty=True)
        self.assertEqual(self.status("one"), ("finished", {"spec": "count"}))

    def test_a_result_that_is_too_large_fails_its_unit_alone(self) -> None:
        self.client.set_spec("count")
        self.client.add_many("count", [NewUnit("large"), NewUnit("small")])
        worker = Worker(self.client, batch=2)

        @worker.task("count")
        def count(task: Task) -> dict[str, object]:
            return {"text": "x" * (2 << 20 if task.unit == "large" else 1)}

        worker.run(until_empty=True)
        self.assertEqual(self.status("small"), ("finished", {"text": "x"}))
        state, data = self.status("large")
        self.assertEqual(state, "failed")
        self.assertIn("the result was refused", str(data["traceback"]))

    def test_the_trace_of_a_unit_goes_on(self) -> None:
        self.client.set_spec("count")
        self.client.set_spec("next")
        self.client.add("count", "one", {"traceparent": TRACE})
        worker = Worker(self.client)
        seen = []

        @worker.task("count")
        def count(task: Task) -> None:
            seen.append(task.traceparent)
            task.client.add("next", "two")

        worker.run(until_empty=True)
        self.assertEqual(seen, [TRACE])
        self.assertEqual(self.status("two", "next")[1], {"traceparent": TRACE})


class Leases(Case):
    def test_leases_are_renewed_while_functions_run(self) -> None:
        self.client.set_spec("slow")
        self.client.add_many("slow", [NewUnit("one"), NewUnit("two")])
        # Two units of two seconds each, on leases of one.
        worker = Worker(self.client, batch=2, lease=1.0)

        @worker.task("slow")
        def slow(task: Task) -> None:
            # Sleeps because the lease must run out unless it is renewed.
            time.sleep(2.0)
            self.assertFalse(task.lost.is_set())

        worker.run(until_empty=True)
        for name in ("one", "two"):
            unit = self.client.unit("slow", name)
            self.assertEqual(unit["status"], "finished")
            attempts = self.lockstep("unit", "show", "slow", name, "--json")
            self.assertNotIn("expired", attempts)

    def test_who_lost_the_lease_is_told_and_reports_nothing(self) -> None:
        self.client.set_spec("slow")
        self.client.add("slow", "one")
        worker = Worker(self.client, lease=1.0)
        tries: list[int] = []

        @worker.task("slow")
        def slow(task: Task) -> dict[str, object]:
            tries.append(task.token)
            if len(tries) > 1:
                return {"by": "second"}
            self.client.retry(task.attempt)
            self.assertTrue(task.lost.wait(20))
            return {"by": "loser"}

        worker.run(until_empty=True)
        self.assertEqual(self.client.unit("slow", "one")["data"], {"by": "second"})

    def test_a_worker_says_that_it_is_alive_and_that_it_has_ended(self) -> None:
        worker = Worker(self.client, name="ada", heartbeat=1.0)
        worker.task()(lambda task: None)
        thread = threading.Thread(target=worker.run)
        thread.start()

        def shown() -> dict[str, object]:
            found: dict[str, object] = self.client.transport.call(
                "GET", f"/namespace/{escape(self.client.namespace)}/worker/ada"
            )
            return found

        until(lambda: shown()["active"] is True)
        first = shown()["last_update"]
        until(lambda: shown()["last_update"] != first)
        worker.stop()
        thread.join(10)
        self.assertFalse(thread.is_alive())
        self.assertIs(shown()["active"], False)


class Stopping(Case):
    def start(self, grace: float, takes: float) -> subprocess.Popen[str]:
        env = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "LOCKSTEP_URL": self.client.url,
            "LOCKSTEP_NAMESPACE": self.client.namespace,
        }
        command = [sys.executable, "-c", PROGRAM, str(grace), str(takes)]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def end(self, process: subprocess.Popen[str], within: float) -> str:
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        rest = process.stdout.read()
        self.assertEqual(process.wait(30), 0)
        self.assertLess(time.monotonic() - began, within)
        return rest

    def test_one_that_waits_for_work_ends_at_once_and_holds_nothing(self) -> None:
        self.client.set_spec("slow")
        process = self.start(30.0, 0.0)
        until(lambda: "process" in self.lockstep("worker", "list"))
        self.assertEqual(self.end(process, within=5.0), "ended\n")
        # Nobody waits any more: what comes now goes to whoever asks.
        self.client.add("slow", "one")
        self.assertEqual(len(self.client.claim("me")), 1)

    def test_one_that_waits_for_work_ends_without_its_server(self) -> None:
        self.client.set_spec("slow")
        process = self.start(30.0, 0.0)
        until(lambda: "process" in self.lockstep("worker", "list"))
        self.server.kill()
        self.end(process, within=5.0)
        self.server.start()

    def test_what_is_under_way_is_finished_within_the_grace(self) -> None:
        self.client.set_spec("slow")
        self.client.add("slow", "one")
        process = self.start(30.0, 0.5)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "begun\n")
        self.end(process, within=10.0)
        self.assertEqual(self.client.unit("slow", "one")["status"], "finished")

    def test_what_takes_longer_is_given_back(self) -> None:
        self.client.set_spec("slow")
        self.client.add("slow", "one")
        process = self.start(0.5, 60.0)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "begun\n")
        self.end(process, within=10.0)
        self.assertEqual(self.client.unit("slow", "one")["status"], "available")


class Servers(Case):
    def test_a_worker_outlives_its_server(self) -> None:
        client = self.client
        client.set_spec("count")
        client.add_many("count", [NewUnit(f"unit-{n}") for n in range(40)])
        worker = Worker(client, concurrency=2, batch=3)
        halfway = threading.Event()
        done = []

        @worker.task("count")
        def count(task: Task) -> dict[str, object]:
            done.append(task.unit)
            if len(done) == 10:
                halfway.set()
            return {"by": task.token}

        thread = threading.Thread(target=worker.run)
        thread.start()
        self.assertTrue(halfway.wait(30))
        self.server.kill()
        self.server.start()
        until(lambda: client.counts("count").get("finished") == 40)
        worker.stop()
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_what_the_server_refuses_ends_the_worker(self) -> None:
        self.client.set_spec("count")
        client = Client(self.client.url, namespace=self.client.namespace, token="wrong")
        worker = Worker(client)
        worker.task()(lambda task: None)
        with self.assertRaises(Denied) as raised:
            worker.run()
        self.assertEqual(raised.exception.code, "unauthenticated")

    def test_a_patience_of_none_is_none(self) -> None:
        client = Client("http://127.0.0.1:1", patience=0.0)
        with self.assertRaises(Unavailable):
            client.claim("me")
