"""What a program asks of a server."""

from __future__ import annotations

import doctest
import unittest

import lockstep.wire
from lockstep import Attempt, BadRequest, Client, Conflict, LostLease, NewUnit, NotFound, Unavailable
from support import Case

FLOW = """
document: {dsl: '1.0.3', namespace: NAMESPACE, name: order, version: '1.0.0'}
schedule:
  on: {one: {with: {type: com.acme.order.placed.v1}}}
input: {from: '${ if type == "array" then .[0].data else . end }'}
do:
  - pack: {call: work, with: {spec: packing, data: {items: '${ .items }'}}}
"""


class Units(Case):
    def test_what_is_added_is_claimed_and_finished(self) -> None:
        client = self.client
        client.set_spec("count")
        client.add_many("count", [NewUnit("a/b", {"n": 1}), NewUnit(b"\xff\xfe", priority=2.5)])
        first, second = client.claim("me", specs=["count"], count=2)
        self.assertEqual([first.unit, second.unit], [b"\xff\xfe", "a/b"])
        self.assertEqual(second.data, {"n": 1})
        client.finish(second, {"n": 2})
        client.finish(first)
        unit = client.unit("count", "a/b")
        self.assertEqual((unit["status"], unit["data"]), ("finished", {"n": 2}))
        self.assertEqual(client.unit("count", b"\xff\xfe")["status"], "finished")
        self.assertEqual(client.counts("count")["finished"], 2)

    def test_output_becomes_units_of_the_next_spec(self) -> None:
        client = self.client
        client.set_spec("first", then="second")
        client.set_spec("second")
        client.add("first", "one", {"kept": True})
        (attempt,) = client.claim("me", specs=["first"])
        client.finish(attempt, output={"two": {"n": 2}})
        (attempt,) = client.claim("me", specs=["second"])
        self.assertEqual((attempt.unit, attempt.data), ("two", {"n": 2}))
        self.assertIs(client.unit("first", "one")["data"]["kept"], True)

    def test_blobs_are_put_referred_to_and_read(self) -> None:
        client = self.client
        content = bytes(range(256)) * 5000
        blob = client.put_blob(content, "image/png")
        self.assertEqual((blob["$blob"]["bytes"], blob["$blob"]["type"]), (1_280_000, "image/png"))
        client.set_spec("look")
        client.add("look", "one", {"picture": blob})
        (attempt,) = client.claim("me")
        self.assertEqual(client.get_blob(attempt.data["picture"]), content)
        self.assertEqual(client.get_blob(client.put_blob(b"")), b"")
        with self.assertRaises(NotFound):
            client.get_blob("00" * 32)

    def test_units_are_claimed_by_runtime(self) -> None:
        client = self.client
        client.set_spec("snakes", runtime="python")
        client.add("snakes", "one")
        self.assertEqual(client.claim("me", runtimes=["shell"]), [])
        self.assertEqual(len(client.claim("me", runtimes=["python"])), 1)

    def test_fail_retry_and_expire_end_an_attempt(self) -> None:
        client = self.client
        client.set_spec("count")
        client.add("count", "one")
        (attempt,) = client.claim("me")
        client.expire(attempt)
        (attempt,) = client.claim("me")
        client.retry(attempt, 0.0, {"tries": 1})
        (attempt,) = client.claim("me")
        # What is kept with an attempt is not the unit's.
        self.assertEqual(attempt.data, {})
        client.renew(attempt, 60.0, {"tries": 2})
        client.fail(attempt, "no such file", {"tries": 2})
        unit = client.unit("count", "one")
        self.assertEqual(unit["status"], "failed")
        self.assertEqual(unit["data"], {"tries": 2, "traceback": "no such file"})

    def test_a_delayed_unit_is_not_handed_out_yet(self) -> None:
        self.client.set_spec("count")
        self.client.add("count", "one", delay=3600)
        self.assertEqual(self.client.claim("me"), [])
        self.assertEqual(self.client.unit("count", "one")["status"], "delayed")

    def test_who_lost_the_lease_changes_nothing(self) -> None:
        client = self.client
        client.set_spec("count")
        client.add("count", "one")
        (old,) = client.claim("me")
        client.expire(old)
        (new,) = client.claim("you")
        self.assertGreater(new.token, old.token)
        with self.assertRaises(LostLease) as raised:
            client.finish(old, {"by": "old"})
        self.assertEqual(raised.exception.code, "lost_lease")
        client.finish(new, {"by": "new"})
        with self.assertRaises(Conflict):
            client.finish(new)
        self.assertEqual(client.unit("count", "one")["data"], {"by": "new"})

    def test_data_that_json_cannot_say_comes_as_cbor(self) -> None:
        self.client.set_spec("count")
        # The dictionary {"a": h'00'} in CBOR.
        self.client.add("count", "one", "oWFhQQA=")  # type: ignore[arg-type]
        (attempt,) = self.client.claim("me")
        self.assertEqual((attempt.data, attempt.cbor), ({}, b"\xa1aaA\x00"))


class Errors(Case):
    def test_codes_come_through(self) -> None:
        with self.assertRaises(NotFound) as raised:
            self.client.add("none", "one")
        error = raised.exception
        self.assertEqual((error.code, error.status), ("no_such_work_spec", 404))
        self.assertTrue(error.hint)
        with self.assertRaises(BadRequest) as refused:
            self.client.set_spec("count", weight="much")
        self.assertEqual(refused.exception.code, "bad_work_spec_key")

    def test_a_client_that_was_closed_opens_a_connection_again(self) -> None:
        with self.client as client:
            client.set_spec("count")
            client.add("count", "one")
        self.assertEqual(client.counts("count")["available"], 1)

    def test_a_server_that_is_away_is_told_as_such(self) -> None:
        client = Client("http://127.0.0.1:1", patience=0.0)
        with self.assertRaises(Unavailable) as raised:
            client.counts("count")
        self.assertEqual(raised.exception.code, "unavailable")
        with self.assertRaises(ValueError):
            Client("queue.example")


class Workflows(Case):
    def setUp(self) -> None:
        super().setUp()
        self.client = Client(self.server.url, namespace=f"flow{id(self)}")
        self.client.set_spec("packing")
        with open(f"{self.server.folder}/order.yaml", "w", encoding="utf-8") as file:
            file.write(FLOW.replace("NAMESPACE", self.client.namespace))
        self.lockstep("workflow", "publish", file.name)

    def pack(self) -> Attempt:
        (attempt,) = self.client.claim("me", specs=["packing"], wait=30.0)
        self.client.finish(attempt, {"boxes": len(attempt.data["items"])})
        return attempt

    def test_an_instance_is_started_once_and_followed(self) -> None:
        client = self.client
        id = client.start("order", {"items": ["cup", "pot"]}, key="order-17")
        self.assertEqual(client.start("order", {"items": ["cup", "pot"]}, key="order-17"), id)
        with self.assertRaises(TimeoutError):
            client.wait(id, timeout=0.0)
        self.pack()
        seqs = [entry["seq"] for entry in client.follow(id)]
        self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
        done = client.wait(id)
        self.assertEqual((done["status"], done["output"]), ("finished", {"boxes": 2}))

    def test_an_event_starts_an_instance_once(self) -> None:
        event = dict(type="com.acme.order.placed.v1", source="shop", id="1")
        received = self.client.send(data={"items": ["cup"]}, **event)
        self.assertEqual((received.is_duplicate, len(received.started)), (False, 1))
        self.assertTrue(self.client.send(data={"items": ["cup"]}, **event).is_duplicate)
        self.pack()
        self.assertEqual(self.client.wait(received.started[0])["output"], {"boxes": 1})

    def test_a_step_belongs_to_the_trace_of_the_event(self) -> None:
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        event = dict(type="com.acme.order.placed.v1", source="shop", traceparent=trace)
        self.client.send(data={"items": []}, **event)
        self.assertEqual(self.pack().data, {"items": [], "traceparent": trace})
        self.client.start("order", {"items": []})
        self.assertEqual(self.pack().data, {"items": []})


class Wire(unittest.TestCase):
    def test_examples_hold(self) -> None:
        results = doctest.testmod(lockstep.wire)
        self.assertEqual((results.failed, results.attempted > 0), (0, True))


if __name__ == "__main__":
    unittest.main()
