"""Replays that a command asks for."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, EndpointOff, Unavailable
from change_hooks.core.found import Found
from change_hooks.journal import DeadLetter, Outcome, Routes, StoredDelivery, Trace
from change_hooks.journal.replays import WISHES
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.replays import HELD, LEASE_NAME, LOOK, NOTHING_KEPT, STILL, Replays, chosen
from change_hooks.testing import MemoryJournal
from tests.conftest import delivery, result_of
from tests.support.logs import logged


class Program:
    """A program with two sinks, and what its handlers find."""

    def __init__(self, sinks: tuple[str, ...] = ("a", "b")) -> None:
        self.clock = Clock()
        self.taken: list[tuple[str, str | None]] = []
        self.found: Any = Found([Change(repository="api", revision="new")])
        self.processed = 0
        self.journal = MemoryJournal(clock=self.clock.seconds)
        known = {name: self.sink(name) for name in sinks}
        self.dispatcher = Dispatcher(self.journal, known, self.clock, attempts=1)
        self.replays = Replays(
            self.journal, self.dispatcher, self.clock, lambda received: self.process(received)
        )
        self.dispatcher.start()

    def sink(self, name: str) -> Any:
        def take(change: Change) -> None:
            self.taken.append((name, change.revision))
            if change.revision == f"not {name}":
                raise RuntimeError("no")

        return take

    def process(self, received: Any) -> Deferred[Any]:
        self.processed += 1
        return fail(self.found) if isinstance(self.found, Exception) else succeed(self.found)

    def append(self, name: str, revision: str = "old") -> None:
        received = delivery(id=name, dialect="base")
        changes = [Change(repository="api", revision=revision)]
        result_of(self.journal.append(received, changes, self.dispatcher.sinks))
        self.dispatcher.wake()

    def look(self) -> None:
        self.clock.advance(LOOK)

    def line(self, seq: int = 1) -> StoredDelivery:
        (line,) = self.journal.reader().lines([seq])
        return line

    def error(self, seq: int = 1) -> str:
        wish = self.journal.reader().wish(seq)
        return "" if wish is None else wish.error


@pytest.fixture
def program() -> Program:
    program = Program()
    program.replays.start()
    return program


def test_only_the_sinks_that_have_not_taken_it_get_it_again(program: Program) -> None:
    program.append("1", "not b")
    assert program.line().sinks == {"a": "taken", "b": "failed"}
    program.taken.clear()
    result_of(program.journal.wish(1))
    program.look()
    assert program.taken == [("b", "new")]
    assert program.line().sinks == {"a": "taken", "b": "taken"}
    assert result_of(program.journal.wishes()) == []


def test_those_that_are_named_get_it_whatever_they_have(program: Program) -> None:
    program.append("1")
    program.taken.clear()
    result_of(program.journal.wish(1, ["a"]))
    program.look()
    assert program.taken == [("a", "new")]


def test_what_names_a_sink_of_another_program_is_left_to_that(program: Program) -> None:
    program.append("1")
    result_of(program.journal.wish(1, ["elsewhere"]))
    program.look()
    assert program.processed == 0
    assert len(result_of(program.journal.wishes())) == 1


@pytest.mark.parametrize("asked", [(), ("a", "c")])
@pytest.mark.parametrize("first", ["this", "the other"])
def test_each_of_two_programs_serves_its_own_sinks_of_a_wish(
    program: Program, asked: tuple[str, ...], first: str
) -> None:
    dispatcher, replays = others(program, "c")
    changes = [Change(repository="api", revision="old")]
    result_of(program.journal.append(delivery(id="1", dialect="base"), changes, ["a", "b", "c"]))
    for name in "abc":
        result_of(program.journal.claim([name], 1))
        dead = [] if name == "b" else [DeadLetter(1, 0, "no")]
        result_of(program.journal.record([Outcome(name, "api", [(1, None)], dead)]))
    result_of(program.journal.wish(1, asked))
    if first == "this":
        program.look()
        assert [(wish.sinks, wish.error) for wish in result_of(program.journal.wishes())] == [(("c",), "")]
        program.look()
        assert program.processed == 1
        replays.start()
    else:
        replays.start()
        assert [wish.sinks for wish in result_of(program.journal.wishes())] == [("a",)]
        program.look()
    assert sorted(program.taken) == [("a", "new"), ("c", "new")]
    assert program.line().sinks == {"a": "taken", "b": "taken", "c": "taken"}
    assert result_of(program.journal.wishes()) == []
    dispatcher.stop()


def test_while_the_sinks_of_the_first_program_have_it_the_second_one_waits(program: Program) -> None:
    changes = [Change(repository="api", revision="old")]
    result_of(program.journal.append(delivery(id="1", dialect="base"), changes, ["a", "c"]))
    for name in "ac":
        result_of(program.journal.claim([name], 1))
        result_of(program.journal.record([Outcome(name, "api", [(1, None)], [DeadLetter(1, 0, "no")])]))
    dispatcher, replays = others(program, "c")
    result_of(program.journal.wish(1))
    program.dispatcher.stop()
    program.look()
    assert program.line().sinks == {"a": "waiting", "b": "waiting", "c": "failed"}
    replays.start()
    assert program.error() == ""
    program.dispatcher.start()
    assert program.line().sinks == {"a": "taken", "b": "taken", "c": "failed"}
    program.look()
    assert program.line().sinks == {"a": "taken", "b": "taken", "c": "taken"}
    assert result_of(program.journal.wishes()) == []
    dispatcher.stop()


def test_one_receiver_at_a_time_takes_them_up(program: Program) -> None:
    program.append("1")
    other = MemoryJournal(program.journal.store)
    result_of(other.lease("replays", 60))
    result_of(program.journal.wish(1))
    program.look()
    assert program.processed == 0
    result_of(other.release("replays"))
    program.look()
    assert program.processed == 1


def test_nothing_is_written_while_nothing_is_asked_for(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Any:
        raise AssertionError("it was written")

    monkeypatch.setattr(program.journal, "lease", fails)
    program.look()
    assert len(program.clock.getDelayedCalls()) > 1


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (BadPayload("is missing", "$.ref"), "$.ref: is missing"),
        (RuntimeError("a bug"), "the handler broke ("),
    ],
)
def test_what_cannot_be_replayed_says_why(program: Program, found: Exception, error: str) -> None:
    program.append("1")
    program.found = found
    result_of(program.journal.wish(1))
    program.look()
    assert program.error().startswith(error)
    program.look()
    assert program.processed == 1


def test_what_is_not_there_or_still_to_be_delivered_says_so(program: Program) -> None:
    program.dispatcher.stop()
    program.append("1")
    result_of(program.journal.wish(1))
    program.look()
    assert program.error() == STILL
    program.journal.trace(Trace("base", 1.0, 202, "ignored", "a ping"))
    result_of(program.journal.wish(2))
    program.look()
    assert program.error(2) == NOTHING_KEPT


def test_where_the_endpoint_is_off_the_replay_says_so(program: Program) -> None:
    program.append("1")
    program.found = EndpointOff()
    result_of(program.journal.wish(1))
    program.look()
    assert program.error().startswith("this endpoint is off")


def test_what_cannot_be_had_now_is_asked_again(program: Program) -> None:
    program.append("1")
    program.found = Unavailable("the token cannot be had")
    result_of(program.journal.wish(1))
    program.look()
    assert program.error() == ""
    program.found = Found()
    program.clock.advance(60)
    assert program.line().changes == 0
    assert result_of(program.journal.wishes()) == []


def test_an_error_of_its_own_does_not_stop_it(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken, logged() as log:
        broken.setattr(program.journal, "wishes", lambda after: fail(RuntimeError("a bug")))
        program.look()
    assert "replays that were asked for could not be done: incident" in log.text
    program.append("1")
    result_of(program.journal.wish(1))
    program.look()
    assert program.processed == 1


def test_it_stops(program: Program) -> None:
    for name in "12":
        program.append(name)
        result_of(program.journal.wish(int(name)))

    def process(received: Any) -> Any:
        program.processed += 1
        program.replays.stop()
        return succeed(Found())

    program.process = process  # type: ignore[method-assign]
    program.look()
    program.look()
    assert program.processed == 1
    program.replays.stop()


def test_without_sinks_there_is_nothing_to_do() -> None:
    program = Program(())
    running = program.clock.getDelayedCalls()
    program.replays.start()
    assert program.clock.getDelayedCalls() == running
    program.replays.stop()


def test_where_a_replay_goes() -> None:
    routes = Routes(("a", "b"), ("c",))
    assert chosen(routes, ["a", "b", "c"], [], []) == routes
    assert chosen(routes, ["a", "b", "c"], [], ["a"]) == Routes(("b",), ("c",))
    assert chosen(routes, ["a", "b", "c"], ["a"], ["a"]) == Routes(("a",), ("c",))
    assert chosen(routes, ["a", "b", "c"], ["c"], []) == Routes((), ("c",))


def test_what_has_just_been_asked_for_is_done_at_once(program: Program) -> None:
    program.append("1")
    program.taken.clear()
    result_of(program.journal.wish(1, ["a"]))
    program.replays.wake()
    assert program.taken == [("a", "new")]


def test_and_right_after_the_look_that_goes_on(program: Program) -> None:
    program.append("1")
    program.append("2")
    program.taken.clear()
    waiting: Deferred[Any] = Deferred()
    found, program.found = program.found, None
    program.process = lambda received: waiting  # type: ignore[method-assign]
    result_of(program.journal.wish(2, ["a"]))
    program.replays.start()
    result_of(program.journal.wish(1, ["b"]))
    program.replays.wake()
    program.process = lambda received: succeed(found)  # type: ignore[method-assign]
    waiting.callback(found)
    assert program.taken == [("a", "new")]
    program.clock.advance(0)
    assert program.taken == [("a", "new"), ("b", "new")]


def test_many_are_done_without_a_break(program: Program) -> None:
    for number in range(WISHES + 1):
        program.append(str(number))
        result_of(program.journal.wish(number + 1, ["a"]))
    program.taken.clear()
    program.replays.wake()
    program.clock.advance(0)
    assert program.processed == WISHES + 1


def test_what_is_asked_of_others_keeps_nothing_of_this_one_back(program: Program) -> None:
    for number in range(2 * WISHES + 1):
        program.append(str(number))
        result_of(program.journal.wish(number + 1, ["gone"] if number < 2 * WISHES else ["a"]))
    program.taken.clear()
    program.replays.wake()
    assert program.taken == [("a", "new")]


def others(program: Program, *sinks: str) -> tuple[Dispatcher, Replays]:
    """Another receiver on the same journal, with other sinks."""
    journal = MemoryJournal(program.journal.store)
    dispatcher = Dispatcher(journal, {name: program.sink(name) for name in sinks}, program.clock, attempts=1)
    dispatcher.start()
    return dispatcher, Replays(journal, dispatcher, program.clock, lambda received: program.process(received))


def test_what_failed_at_another_receiver_alone_is_left_to_that(program: Program) -> None:
    dispatcher, replays = others(program, "c")
    changes = [Change(repository="api", revision="not c")]
    result_of(program.journal.append(delivery(id="1", dialect="base"), changes, ["a", "c"], ["b"]))
    program.dispatcher.wake()
    dispatcher.wake()
    assert program.line().sinks == {"a": "taken", "b": "unwanted", "c": "failed"}
    result_of(program.journal.wish(1))
    program.look()
    assert program.processed == 0
    replays.start()
    assert program.line().sinks == {"a": "taken", "b": "unwanted", "c": "taken"}
    assert result_of(program.journal.wishes()) == []


@pytest.mark.parametrize(
    ("wanted", "failed"), [(["a", "b"], []), (["a", "gone"], ["gone"]), (["a", "b", "gone"], ["a", "gone"])]
)
def test_what_is_for_others_too_is_done_here_and_the_rest_is_left_to_them(
    program: Program, wanted: list[str], failed: list[str]
) -> None:
    changes = [Change(repository="api", revision="old")]
    result_of(program.journal.append(delivery(id="1", dialect="base"), changes, wanted))
    for name in wanted:
        result_of(program.journal.claim([name], 1))
        dead = [DeadLetter(1, 0, "no")] if name in failed else []
        result_of(program.journal.record([Outcome(name, "api", [(1, None)], dead)]))
    result_of(program.journal.wish(1))
    program.look()
    assert program.processed == 1
    left = [("gone",)] if "gone" in failed else []
    assert [wish.sinks for wish in result_of(program.journal.wishes())] == left


def test_however_long_a_replay_takes_no_other_receiver_does_the_same(program: Program) -> None:
    program.append("1", "not b")
    waiting: Deferred[Any] = Deferred()
    program.process = lambda received: waiting  # type: ignore[method-assign]
    result_of(program.journal.wish(1))
    program.look()
    other = MemoryJournal(program.journal.store)
    for _ in range(10):
        program.clock.advance(HELD / 4)
        assert result_of(other.lease(LEASE_NAME, HELD)) is False
    waiting.callback(program.found)
    assert result_of(other.lease(LEASE_NAME, HELD)) is True


def test_what_was_done_while_the_lease_was_asked_for_is_not_done_again(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.append("1")
    result_of(program.journal.wish(1, ["a"]))
    leased = program.journal.lease

    def lease(name: str, seconds: float) -> Deferred[bool]:
        result_of(program.journal.replay(1, Found(), ()))
        return leased(name, seconds)

    monkeypatch.setattr(program.journal, "lease", lease)
    program.look()
    assert program.processed == 0


def test_before_the_start_nothing_is_looked_for() -> None:
    program = Program()
    program.append("1")
    result_of(program.journal.wish(1, ["a"]))
    program.replays.wake()
    assert program.processed == 0


def test_after_the_end_nothing_is_looked_for(program: Program) -> None:
    program.append("1")
    result_of(program.journal.wish(1, ["a"]))
    program.replays.stop()
    program.replays.wake()
    assert program.processed == 0
