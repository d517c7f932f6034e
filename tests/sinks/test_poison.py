"""Odd values, and every kind of sink: each is handed over as it is, or is given up with a reason; the queue goes on.

With real programs and servers: ``tests/integration/test_poison.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from change_hooks.core.change import FIRST, LATEST, Change, InvalidChange
from change_hooks.core.delivery import Delivery
from change_hooks.interfaces import IChangeSink, IDeliverySink
from change_hooks.sinks import Command, Http
from change_hooks.sinks.amqp import Amqp
from change_hooks.sinks.buildbot_pb import BuildbotPB
from change_hooks.sinks.forward import Forward
from change_hooks.sinks.messages import FORMATS
from change_hooks.sinks.program import Ended
from tests.support.broker import Broker
from tests.support.change_port import SinkAndMaster
from tests.support.outbox import Outbox, outbox_of
from tests.support.receiver import Receiver

POISON: dict[str, dict[str, Any]] = {
    "lone surrogates": {"branch": "a\ud800", "comments": "\udfff", "properties": {"p\ud800": ["\udc00"]}},
    "zero characters": {"branch": "a\0b", "author": "\0", "files": ["\0"], "properties": {"\0": "\0"}},
    "lines like headers": {"branch": "a\r\nX-Injected: y", "revlink": "x\r\n\r\n", "author": "\n"},
    "empty": {"branch": "", "comments": "", "author": "", "files": [""], "properties": {"": ""}},
    "a long branch": {"branch": "b" * 300},
    "wide": {"branch": "\u2603 \U0001f600 %\"';|&", "author": "\u202e\x1b[31m\u2028"},
    "10 MB": {"comments": "x" * 10_000_000},
    "10,000 files": {"files": [f"f/{number}/\u00e9" for number in range(10_000)]},
    "huge numbers": {"properties": {"n": 2**70, "m": -(10**40), "f": 1e308, "z": -0.0, "most": 2**64}},
    "thousands of digits": {"properties": {"n": 10**4000}},
    "deep": {"properties": {"p": json.loads("[" * 60 + "]" * 60)}},
    "long names": {"properties": {"x" * 5000: "y" * 200_000, "=\n": None}},
    "long ago": {"when_timestamp": FIRST},
    "far ahead": {"when_timestamp": LATEST},
}


@implementer(IChangeSink)
class Through:
    """A sink whose requests go through as soon as they are made."""

    name = "s"

    def __init__(self, sink: Any, flush: Callable[[], None]) -> None:
        self._sink = sink
        self._flush = flush

    def add_change(self, change: Change, key: Any) -> Any:
        taken = self._sink.add_change(change, key)
        self._flush()
        return taken


@implementer(IDeliverySink)
class Forwarded:
    name = "s"

    def __init__(self, sink: Forward, flush: Callable[[], None]) -> None:
        self._sink = sink
        self._flush = flush

    def add_delivery(self, delivery: Delivery) -> Any:
        taken = self._sink.add_delivery(delivery)
        self._flush()
        return taken


@implementer(IChangeSink)
class OnPort:
    """``buildbot_pb``, and the change port of a master."""

    name = "s"

    def __init__(self, both: SinkAndMaster) -> None:
        self._both = both

    def add_change(self, change: Change, key: Any) -> Deferred[Any]:
        return self._both.add(change)


class Sinks:
    """Each kind of sink, and what it gave to what is behind it: the fields of changes."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.given: Callable[[], list[dict[str, Any]]] = list

    def make(self, kind: str) -> Any:
        kind, _, written = kind.partition(" ")
        made: Any = getattr(self, f"_{kind}")(*filter(None, [written]))
        return made

    def _callable(self) -> Any:
        taken: list[Change] = []
        self.given = lambda: [json.loads(json.dumps(change.as_dict())) for change in taken]
        return taken.append

    def _command(self) -> Command:
        clock = Clock()
        started: list[bytes] = []

        def start(argv: Any, *, stdin: bytes, env: dict[str, str], ended: Any, **how: Any) -> Any:
            for name, value in env.items():
                assert "\0" not in name + value
                assert len(f"{name}={value}".encode()) < 131_072  # What Linux takes.
            started.append(stdin)
            clock.callLater(0, ended, Ended(0, None, b""))
            clock.callLater(0, lambda: None)
            return object()

        sink = Command(["build"], reactor=clock, start=start)
        self.given = lambda: [json.loads(stdin) for stdin in started]
        return Through(sink, lambda: clock.advance(0))

    def _http(self, format: str) -> Through:
        receiver = Receiver()
        http = StubTreq(receiver)
        sink = Http("https://ci.example/", format=format, secret="s3cret", http=http, clock=Clock())

        def given() -> list[dict[str, Any]]:
            for headers, _ in receiver.got:
                assert not headers.hasHeader("x-injected")
            bodies = [json.loads(body) for _, body in receiver.got]
            return [body["data"] for body in bodies] if format == FORMATS[2] else bodies

        self.given = given
        return Through(sink, http.flush)

    def _amqp(self, format: str) -> Amqp:
        def given() -> list[dict[str, Any]]:
            for published in self._broker.published:
                assert len(published.key.encode()) <= 255
                # As it goes over the wire.
                assert b"".join(published.properties.encode())
            bodies = [json.loads(published.body) for published in self._broker.published]
            return [body["data"] for body in bodies] if format == FORMATS[2] else bodies

        self.given = given
        return Amqp("amqp://localhost/", format=format, name="s", reactor=MemoryReactorClock())

    def _buildbot_pb(self) -> OnPort:
        both = SinkAndMaster()
        assert isinstance(both.sink, BuildbotPB)
        names = {"who": "author", "when": "when_timestamp"}
        self.given = lambda: [
            {names.get(name, name): value for name, value in fields.items()} for fields in both.port.changes
        ]
        return OnPort(both)

    def _forward(self) -> Forwarded:
        receiver = Receiver()
        http = StubTreq(receiver)
        sink = Forward("https://ci.example/", secret="s3cret", http=http, clock=Clock())
        self.given = lambda: [json.loads(body) for _, body in receiver.got]
        return Forwarded(sink, http.flush)


KINDS = [
    *("callable", "command", "buildbot_pb", "forward"),
    *(f"{kind} {written}" for kind in ("http", "amqp") for written in FORMATS),
]


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", POISON)
def test_each_is_handed_over_as_it_is_and_so_is_the_next_one(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker()
    broker.take_the_place(monkeypatch)
    sinks = Sinks(broker)
    outbox: Outbox = outbox_of(sinks.make(kind), attempts=2)
    poison, plain = Change(revision="1", **POISON[name]), Change(revision="2")
    for change in (poison, plain):
        outbox.store(change.revision or "", [change], body=json.dumps({"revision": change.revision}).encode())
    outbox.dispatcher.wake()
    outbox.advance(5)
    assert outbox.states() == ["delivered", "delivered"], outbox.journal.reader().attempts(1)
    assert outbox.watching.of("dead_letter") == []
    first, second = sinks.given()
    assert (first["revision"], second["revision"]) == ("1", "2")
    if kind == "forward":
        return
    for field, value in json.loads(json.dumps(poison.as_dict())).items():
        if kind == "buildbot_pb" and (
            value is None or name in ("10 MB", "huge numbers", "thousands of digits")
        ):
            continue  # A master is not told of what is not known, and what does not fit is cut.
        assert first[field] == value


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"properties": {"p": float("nan")}}, "properties.p"),
        ({"properties": {"p": [float("-inf")]}}, r"properties.p\[0\]"),
        ({"properties": {"p": {1, 2}}}, "properties.p"),
        ({"properties": {"p": object()}}, "properties.p"),
        ({"properties": {1: "p"}}, "properties"),
        ({"properties": {"p": b"\xff"}}, "properties.p"),
        ({"when_timestamp": LATEST + 1}, "when_timestamp"),
        ({"when_timestamp": FIRST - 1}, "when_timestamp"),
        ({"when_timestamp": 10**400}, "when_timestamp"),
        ({"branch": b"main"}, "branch"),
    ],
)
def test_what_no_sink_could_be_given_is_no_change(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidChange, match=field):
        Change(**fields)
