"""Replays that a command asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, EndpointOff, Unavailable
from change_hooks.core.found import Found
from change_hooks.journal import Routes, StoredDelivery, Trace
from change_hooks.journal.reader import Reader
from change_hooks.journal.replays import WISHES
from change_hooks.journal.sqlite import connect_to_read, sqlite_journal
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.replays import LOOK, NOTHING_KEPT, STILL, Replays, chosen
from tests.conftest import delivery, result_of


class Rig:
    """A program with two sinks, and what its handlers find."""

    def __init__(self, path: Path, sinks: tuple[str, ...] = ("a", "b")) -> None:
        self.path = path
        self.clock = Clock()
        self.taken: list[tuple[str, str | None]] = []
        self.found: Any = Found([Change(repository="api", revision="new")])
        self.processed = 0
        self.journal = sqlite_journal(
            path, lambda function, *arguments: function(*arguments), clock=self.clock.seconds
        )
        known = {name: self.sink(name) for name in sinks}
        self.dispatcher = Dispatcher(self.journal, known, self.clock, attempts=1)
        self.replays = Replays(self.journal, self.dispatcher, self.clock, self.process)
        self.dispatcher.start()
        self.run()

    def sink(self, name: str) -> Any:
        def take(change: Change) -> None:
            self.taken.append((name, change.revision))
            if change.revision == f"not {name}":
                raise RuntimeError("no")

        return take

    def process(self, received: Any) -> Deferred[Any]:
        self.processed += 1
        return fail(self.found) if isinstance(self.found, Exception) else succeed(self.found)

    def run(self) -> None:
        while not self.journal.writer._queue.empty():
            self.journal.writer.run_group()

    def write(self, deferred: Deferred[Any]) -> Any:
        self.run()
        return result_of(deferred)

    def append(self, name: str, revision: str = "old") -> None:
        received = delivery(id=name, dialect="base")
        self.write(
            self.journal.append(
                received, [Change(repository="api", revision=revision)], self.dispatcher.sinks
            )
        )
        self.dispatcher.wake()
        self.run()

    def look(self) -> None:
        self.clock.advance(LOOK)
        self.run()

    def line(self, seq: int = 1) -> StoredDelivery:
        (line,) = Reader(connect_to_read(self.path)).lines([seq])
        return line

    def error(self, seq: int = 1) -> str:
        wish = Reader(connect_to_read(self.path)).wish(seq)
        return "" if wish is None else wish.error


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "journal.sqlite")
    rig.replays.start()
    rig.run()
    return rig


def test_only_the_sinks_that_have_not_taken_it_get_it_again(rig: Rig) -> None:
    rig.append("1", "not b")
    assert rig.line().sinks == {"a": "taken", "b": "failed"}
    rig.taken.clear()
    rig.write(rig.journal.wish(1))
    rig.look()
    assert rig.taken == [("b", "new")]
    assert rig.line().sinks == {"a": "taken", "b": "taken"}
    assert rig.write(rig.journal.wishes()) == []


def test_those_that_are_named_get_it_whatever_they_have(rig: Rig) -> None:
    rig.append("1")
    rig.taken.clear()
    rig.write(rig.journal.wish(1, ["a"]))
    rig.look()
    assert rig.taken == [("a", "new")]


def test_what_names_a_sink_of_another_program_is_left_to_that(rig: Rig) -> None:
    rig.append("1")
    rig.write(rig.journal.wish(1, ["a", "elsewhere"]))
    rig.look()
    assert rig.processed == 0
    assert len(rig.write(rig.journal.wishes())) == 1


def test_one_receiver_at_a_time_takes_them_up(rig: Rig, tmp_path: Path) -> None:
    rig.append("1")
    other = Rig(tmp_path / "journal.sqlite")
    other.write(other.journal.lease("replays", 60))
    rig.write(rig.journal.wish(1))
    rig.look()
    assert rig.processed == 0
    other.write(other.journal.release("replays"))
    rig.look()
    assert rig.processed == 1


def test_nothing_is_written_while_nothing_is_asked_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Any:
        raise AssertionError("it was written")

    monkeypatch.setattr(rig.journal, "lease", fails)
    rig.look()
    assert len(rig.clock.getDelayedCalls()) > 1


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (BadPayload("is missing", "$.ref"), "$.ref: is missing"),
        (RuntimeError("a bug"), "the handler broke ("),
    ],
)
def test_what_cannot_be_replayed_says_why(rig: Rig, found: Exception, error: str) -> None:
    rig.append("1")
    rig.found = found
    rig.write(rig.journal.wish(1))
    rig.look()
    assert rig.error().startswith(error)
    rig.look()
    assert rig.processed == 1


def test_what_is_not_there_or_still_to_be_delivered_says_so(rig: Rig) -> None:
    rig.dispatcher.stop()
    rig.append("1")
    rig.write(rig.journal.wish(1))
    rig.look()
    assert rig.error() == STILL
    rig.journal.trace(Trace("base", 1.0, 202, "ignored", "a ping"))
    rig.run()
    rig.write(rig.journal.wish(2))
    rig.look()
    assert rig.error(2) == NOTHING_KEPT


def test_where_the_endpoint_is_off_the_replay_says_so(rig: Rig) -> None:
    rig.append("1")
    rig.found = EndpointOff()
    rig.write(rig.journal.wish(1))
    rig.look()
    assert rig.error().startswith("this endpoint is off")


def test_what_cannot_be_had_now_is_asked_again(rig: Rig) -> None:
    rig.append("1")
    rig.found = Unavailable("the token cannot be had")
    rig.write(rig.journal.wish(1))
    rig.look()
    assert rig.error() == ""
    rig.found = Found()
    rig.clock.advance(60)
    rig.run()
    assert rig.line().changes == 0
    assert rig.write(rig.journal.wishes()) == []


def test_an_error_of_its_own_does_not_stop_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(rig.journal, "wishes", lambda: fail(RuntimeError("a bug")))
        rig.look()
    rig.append("1")
    rig.write(rig.journal.wish(1))
    rig.look()
    assert rig.processed == 1


def test_it_stops(rig: Rig) -> None:
    for name in "12":
        rig.append(name)
        rig.write(rig.journal.wish(int(name)))

    def process(received: Any) -> Any:
        rig.processed += 1
        rig.replays.stop()
        return succeed(Found())

    rig.replays._process = process
    rig.look()
    rig.look()
    assert rig.processed == 1
    rig.replays.stop()


def test_without_sinks_there_is_nothing_to_do(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "journal.sqlite", ())
    rig.replays.start()
    rig.replays.stop()
    assert rig.journal.writer._queue.empty()


def test_where_a_replay_goes() -> None:
    routes = Routes(("a", "b"), ("c",))
    assert chosen(routes, ["a", "b", "c"], [], []) == routes
    assert chosen(routes, ["a", "b", "c"], [], ["a"]) == Routes(("b",), ("c",))
    assert chosen(routes, ["a", "b", "c"], ["a"], ["a"]) == Routes(("a",), ("c",))
    assert chosen(routes, ["a", "b", "c"], ["c"], []) == Routes((), ("c",))


def test_what_has_just_been_asked_for_is_done_at_once(rig: Rig) -> None:
    rig.append("1")
    rig.taken.clear()
    rig.write(rig.journal.wish(1, ["a"]))
    rig.replays.wake()
    rig.run()
    assert rig.taken == [("a", "new")]


def test_and_right_after_the_look_that_goes_on(rig: Rig) -> None:
    rig.append("1")
    rig.append("2")
    rig.taken.clear()
    waiting: Deferred[Any] = Deferred()
    found, rig.found = rig.found, None
    rig.process = lambda received: waiting  # type: ignore[method-assign]
    rig.replays = Replays(rig.journal, rig.dispatcher, rig.clock, lambda received: rig.process(received))
    rig.write(rig.journal.wish(1, ["a"]))
    rig.replays.start()
    rig.run()
    rig.write(rig.journal.wish(2, ["b"]))
    rig.replays.wake()
    rig.process = lambda received: succeed(found)  # type: ignore[method-assign]
    waiting.callback(found)
    rig.run()
    assert rig.taken == [("a", "new")]
    rig.clock.advance(0)
    rig.run()
    assert rig.taken == [("a", "new"), ("b", "new")]


def test_many_are_done_without_a_break(rig: Rig) -> None:
    for number in range(WISHES + 1):
        rig.append(str(number))
        rig.write(rig.journal.wish(number + 1, ["a"]))
    rig.taken.clear()
    rig.replays.wake()
    rig.run()
    rig.clock.advance(0)
    rig.run()
    assert rig.processed == WISHES + 1


def test_after_the_end_nothing_is_looked_for(rig: Rig) -> None:
    rig.append("1")
    rig.write(rig.journal.wish(1, ["a"]))
    rig.replays.stop()
    rig.replays.wake()
    rig.run()
    assert rig.processed == 0
