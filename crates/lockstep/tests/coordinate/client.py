"""A client of the CBOR-RPC interface, as Python programs of Diffeo Coordinate speak it.

It calls every method of a running server and checks what comes back:

    client.py HOST PORT

The last line names the methods that were called.
"""

import socket
import sys
import time
import uuid

import cbor2

TUPLE, EMBEDDED = 128, 24
AVAILABLE, PENDING, FINISHED, FAILED = 1, 3, 4, 5
RUNNABLE, PAUSED = 1, 2


def outgoing(value):
    """Marks tuples, which CBOR itself does not know."""
    if isinstance(value, tuple):
        return cbor2.CBORTag(TUPLE, [outgoing(item) for item in value])
    if isinstance(value, list):
        return [outgoing(item) for item in value]
    if isinstance(value, dict):
        return {outgoing(key): outgoing(item) for key, item in value.items()}
    return value


def incoming(*arguments):
    """Makes tuples of what is marked as one, however the library calls its hooks."""
    tag = next(one for one in arguments if isinstance(one, cbor2.CBORTag))
    return tuple(tag.value) if tag.tag == TUPLE else tag


class Refused(Exception):
    """The server answered with an error."""


class Client:
    """One connection; `as_bytes` sends method names and keys as Python 2 does."""

    def __init__(self, host, port, as_bytes):
        self.socket = socket.create_connection((host, port), timeout=20)
        self.stream = self.socket.makefile("rb")
        self.as_bytes = as_bytes
        self.last_id = 0
        self.called = set()

    def close(self):
        self.stream.close()
        self.socket.close()

    def string(self, text):
        return text.encode() if self.as_bytes else text

    def call(self, method, *params):
        self.called.add(method)
        self.last_id += 1
        message = {
            self.string("id"): self.last_id,
            self.string("method"): self.string(method),
            self.string("params"): [outgoing(param) for param in params],
        }
        frame = cbor2.dumps(cbor2.CBORTag(EMBEDDED, cbor2.dumps(message)))
        self.socket.sendall(frame)
        answer = cbor2.loads(self.read_frame(), tag_hook=incoming)
        assert answer[b"id"] == self.last_id, answer
        if b"error" in answer:
            raise Refused(answer[b"error"]["message"])
        return answer[b"result"]

    def read_frame(self):
        head = self.stream.read(2)
        assert head == b"\xd8\x18", head
        first = self.stream.read(1)[0]
        assert first >> 5 == 2, first
        size = {24: 1, 25: 2, 26: 4, 27: 8}.get(first & 31, 0)
        length = int.from_bytes(self.stream.read(size), "big") if size else first & 31
        payload = self.stream.read(length)
        assert len(payload) == length, "the answer is broken off"
        return payload

    def pair(self, method, *params):
        """Calls a method that gives a value and a message, and wants no message."""
        value, message = self.call(method, *params)
        assert message is None, (method, message)
        return value

    def refused(self, method, *params):
        try:
            result = self.call(method, *params)
        except Refused as error:
            return str(error)
        raise AssertionError(f"{method} gives {result!r}")


def specs(client):
    assert client.call("clear") >= 0
    assert client.call("list_work_specs", {}) == [[], None]
    spec = {"name": "spec", "module": "mod", "run_function": "run", "nice": 5, "then": "next"}
    assert client.pair("set_work_spec", spec) is True
    # The name may be bytes, and so may everything in which Python 2 knows no difference.
    assert client.pair("set_work_spec", {b"name": b"next", "desc": "last"}) is True
    expected = {**spec, "module": b"mod", "run_function": b"run"}
    assert client.call("get_work_spec", "spec") == expected
    assert client.call("get_work_spec", "nothing") is None
    meta = client.pair("get_work_spec_meta", "spec")
    assert meta == {
        "status": RUNNABLE, "continuous": False, "interval": 0.0, "max_running": 0, "weight": 15,
    }
    assert type(meta["interval"]) is float
    options = {"status": PAUSED, "weight": 7, "max_running": 2}
    assert client.pair("control_work_spec", "spec", options) is True
    meta = client.pair("get_work_spec_meta", "spec")
    assert (meta["status"], meta["weight"], meta["max_running"]) == (PAUSED, 7, 2)
    client.pair("control_work_spec", "spec", {"status": RUNNABLE, "max_running": 0})
    first, then = client.call("list_work_specs", {"limit": 1})
    assert ([spec["name"] for spec in first], then) == (["next"], "spec")
    second, then = client.call("list_work_specs", {"start": then})
    assert ([spec["name"] for spec in second], then) == (["spec"], None)
    assert client.pair("set_work_spec", {"name": "gone"}) is True
    assert client.pair("del_work_spec", "gone") is True
    assert client.call("del_work_spec", "gone") == [False, "No such work spec gone"]
    assert client.refused("set_work_spec", {"desc": "no name"}) == "No 'name' key in work spec"


def units(client):
    value = {"t": (1, "two", b"\xff"), "l": [[], ()], "u": uuid.UUID(int=7), "f": 10.0, "i": 10}
    items = [("b", value), ("a", {}, {"priority": 1}), ("c", {}, None, 2.0), b"\xff\x00"]
    assert client.pair("add_work_units", "spec", items) is True
    assert client.pair("count_work_units", "spec") == {AVAILABLE: 4}
    found = client.pair("get_work_units", "spec", {"work_unit_keys": ["b"]})
    assert found == [(b"b", value)], found
    assert type(found[0][1]["f"]) is float and type(found[0][1]["i"]) is int
    listed = client.pair("get_work_units", "spec", {"start": "a", "limit": 2})
    assert [key for key, _ in listed] == [b"b", b"c"]
    status = client.pair("get_work_unit_status", "spec", ["a", "nothing"])
    assert status == [{"status": AVAILABLE}, None]
    options = {"work_unit_keys": ["b"], "adjustment": 5}
    assert client.pair("prioritize_work_units", "spec", options) is True
    missing = client.call("prioritize_work_units", "spec", {"priority": 1})
    assert missing == [False, "missing work_unit_keys"]
    assert client.pair("del_work_units", "spec", {}) == 0
    assert client.pair("del_work_units", "spec", {"work_unit_keys": [b"\xff\x00"]}) == 1
    assert client.refused("add_work_units", "spec", [("x",)]) == "too few parameters to work unit"


def work(client):
    spec, key, data = client.pair("get_work", "worker", {"lease_time": 60, "max_jobs": 1})
    assert (spec, key, data["l"]) == ("spec", b"b", [[], ()])
    (status,) = client.pair("get_work_unit_status", "spec", ["b"])
    assert status["status"] == PENDING and status["worker_id"] == "worker"
    assert 50 <= status["expiration"] - time.time() <= 70, status
    renewed = {"lease_time": 600, "worker_id": "worker"}
    assert client.pair("update_work_unit", "spec", key, renewed) is True
    output = {"output": {"made": {"by": key}}}
    done = {"status": FINISHED, "data": output, "worker_id": "worker"}
    assert client.pair("update_work_unit", "spec", key, done) is True
    assert client.pair("update_work_unit", "spec", key, {"status": FAILED}) is False
    assert client.pair("get_work_units", "next", {}) == [(b"made", {"by": b"b"})]
    batch = client.pair("get_work", "worker", {"max_jobs": 5, "work_spec_names": ["spec"]})
    assert [key for _, key, _ in batch] == [b"c", b"a"]
    failed = {"status": FAILED, "data": {"traceback": "oh"}}
    assert client.pair("update_work_unit", "spec", "a", failed) is True
    (status,) = client.pair("get_work_unit_status", "spec", ["a"])
    assert (status["status"], status["traceback"]) == (FAILED, "oh")
    assert client.pair("count_work_units", "spec") == {PENDING: 1, FINISHED: 1, FAILED: 1}
    assert client.pair("get_work", "worker", {"work_spec_names": ["spec"]}) == (None, None, None)
    assert client.call("archive", {}) is None


def workers(client):
    assert client.pair("worker_heartbeat", "parent", "RUN", 900, {"pid": 1}, None) is True
    assert client.pair("worker_heartbeat", "child", "IDLE", 900, {"pid": 2}, "parent") is True
    modes = client.pair("list_worker_modes")
    assert (modes["parent"], modes["child"]) == ("RUN", "IDLE")
    assert client.pair("mode_counts")["RUN"] >= 1
    stats = client.call("worker_stats")
    assert stats["num_workers"] >= 2 and stats["num_children"] == 1
    info = client.pair("get_worker_info", "child")
    assert info["pid"] == 2 and 0 <= info["age_seconds"] < 20, info
    assert client.pair("get_worker_info", "nobody") is None
    client.pair("add_work_units", "next", ["again"])
    options = {"work_spec_names": ["next"], "max_jobs": 2}
    assert len(client.pair("get_work", "child", options)) == 2
    children = client.pair("get_child_work_units", "parent")
    (first, _) = children["child"]
    assert first["work_unit_key"] == b"again" and first["worker_id"] == "child", first
    assert client.pair("worker_unregister", "child") is True
    assert "child" not in client.pair("list_worker_modes")


def locks(client):
    paths = [["a", "b"], ("c", 1)]
    assert client.pair("lock", "me", 60, paths) is True
    assert client.call("readlock", [["a", "b"], ["a"]]) == ["me", None]
    assert client.call("lock", "you", 60, [["a"]]) == [False, "[a] is not lockable"]
    assert client.pair("locksome", "you", 60, [["a"], ("d",)]) == [None, ("d",)]
    assert client.pair("renew", "me", 60, paths) is True
    assert client.call("renew", "me", 60, [["d"]]) == [False, "[d] is held by you"]
    assert client.pair("unlock", "me", paths) is True
    assert client.call("unlock", "me", paths) == [False, "[a b] is not held"]
    assert client.call("delete_namespace", "d") == 0
    assert client.call("readlock", [["d"]]) == [None]
    assert client.refused("readlock", "d") == "cannot decode key paths"


def other(client):
    assert abs(client.call("now") - time.time()) < 20
    assert client.pair("get_config") == {"coordinate": {"addresses": ["here"]}}
    assert client.refused("authenticate", "no token") == "the token is not valid"
    assert client.refused("no_such_thing") == "no such method NoSuchThing"
    assert client.refused("get_work", "worker") == "wrong number of parameters"
    assert client.call("clear") == 2


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    called = set()
    for as_bytes in (False, True):
        client = Client(host, port, as_bytes)
        for part in (specs, units, work, workers, locks, other):
            part(client)
        called |= client.called
        client.close()
    called.discard("no_such_thing")
    print("called:", *sorted(called))


if __name__ == "__main__":
    main()
