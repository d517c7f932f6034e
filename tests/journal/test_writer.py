from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.task import Clock

from change_hooks.core.errors import Unavailable
from change_hooks.journal.patience import HANGS, LOOK, PATIENCE
from change_hooks.journal.writer import GROUP, Writer
from tests.conftest import has_fired, result_of
from tests.support.logs import logged
from tests.support.watching import Watching


class MemoryStore:
    """A store that counts its transactions."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.closed = self.broken_off = 0
        self.broken = False

    def transact(self, operations: Sequence[Any]) -> list[Any]:
        if self.broken:
            raise OSError("disk full")
        results = [operation(self) for operation in operations]
        self.groups.append(len(operations))
        return results

    def is_failure(self, error: Exception) -> bool:
        return isinstance(error, OSError)

    def close(self) -> None:
        self.closed += 1

    def break_off(self) -> None:
        self.broken_off += 1


def call(function: Any, *arguments: Any) -> None:
    function(*arguments)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def writer(store: MemoryStore) -> Writer:
    """Runs in the test's own thread, when ``run_group`` is called."""
    return Writer(store, call)


def test_what_is_there_goes_into_one_transaction(store: MemoryStore, writer: Writer) -> None:
    results = [writer.submit(lambda _, number=number: number) for number in range(5)]
    assert not has_fired(results[0])
    assert writer.run_group()
    assert [result_of(result) for result in results] == [0, 1, 2, 3, 4]
    assert store.groups == [5]


def test_what_comes_after_the_end_fails_at_once(store: MemoryStore, writer: Writer) -> None:
    stopped = writer.stop()
    late = writer.submit(lambda _: 1)
    with pytest.raises(Unavailable, match="closed"):
        result_of(late)
    writer.run_group()
    assert has_fired(stopped)
    assert store.groups == []


def test_a_group_is_not_endless(store: MemoryStore, writer: Writer) -> None:
    for _ in range(GROUP + 1):
        writer.submit(lambda _: None)
    writer.run_group()
    writer.run_group()
    assert store.groups == [GROUP, 1]


def test_one_bad_operation_does_not_take_the_others_down(store: MemoryStore, writer: Writer) -> None:
    good = writer.submit(lambda _: 1)
    bad = writer.submit(lambda _: 1 / 0)
    after = writer.submit(lambda _: 2)
    writer.run_group()
    assert (result_of(good), result_of(after)) == (1, 2)
    # It is told by its own name: the database is well.
    with pytest.raises(ZeroDivisionError):
        result_of(bad)


def test_a_store_that_fails_is_asked_once_for_a_whole_group(store: MemoryStore, writer: Writer) -> None:
    asked: list[int] = []

    def fails(operations: Sequence[Any]) -> list[Any]:
        asked.append(len(operations))
        raise OSError("disk full")

    store.transact = fails  # type: ignore[method-assign]
    results = [writer.submit(lambda _: 1) for _ in range(20)]
    writer.run_group()
    assert asked == [20]
    for result in results:
        with pytest.raises(Unavailable):
            result_of(result)


def test_a_store_that_fails_while_the_blame_is_sought_fails_for_the_rest(
    store: MemoryStore, writer: Writer
) -> None:
    calls: list[int] = []

    def breaks(store: MemoryStore) -> None:
        calls.append(1)
        store.broken = len(calls) == 2
        raise ZeroDivisionError

    results = [writer.submit(operation) for operation in (lambda _: 1, breaks, lambda _: 1)]
    writer.run_group()
    assert result_of(results[0]) == 1
    with pytest.raises(ZeroDivisionError):
        result_of(results[1])
    with pytest.raises(Unavailable):
        result_of(results[2])


def test_a_store_that_breaks_is_tried_again(store: MemoryStore, writer: Writer) -> None:
    store.broken = True
    first = writer.submit(lambda _: 1)
    writer.run_group()
    with pytest.raises(Unavailable):
        result_of(first)
    store.broken = False
    second = writer.submit(lambda _: 1)
    writer.run_group()
    assert result_of(second) == 1


def test_what_is_submitted_in_two_turns_goes_in_one_piece(store: MemoryStore) -> None:
    turns: list[Any] = []
    writer = Writer(store, call, lambda seconds, turn: turns.append(turn) if seconds == 0 else None)
    results = [writer.submit(lambda _, number=number: number) for number in range(3)]
    turns.pop()()
    results.append(writer.submit(lambda _: 3))
    writer.run_submitted()
    assert store.groups == []
    turns.pop()()
    late = writer.submit(lambda _: 4)
    writer.run_group()
    assert store.groups == [4]
    turns.pop()()
    turns.pop()()
    writer.run_group()
    assert [result_of(result) for result in [*results, late]] == [0, 1, 2, 3, 4]
    # What the end finds is passed on with it, and the turns' own end finds nothing.
    last = writer.submit(lambda _: 5)
    stopped = writer.stop()
    turns.pop()()
    turns.pop()()
    assert turns == []
    assert not writer.run_group()
    assert (result_of(last), has_fired(stopped)) == (5, True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_is_said_once_that_the_journal_is_down_and_once_that_it_is_back(
    store: MemoryStore, clock: Clock
) -> None:
    watching = Watching()
    writer = Writer(store, call, clock.callLater, watching)
    with logged() as lines:
        writer.submit(lambda _: 1).addErrback(lambda _: None)
        stand_still(clock, 2)
        writer.submit(lambda _: 1).addErrback(lambda _: None)
        stand_still(clock, PATIENCE)
    assert lines == ["the journal does not respond; deliveries get a 503 until it does"]
    assert watching.seen == [("unavailable",)]
    with logged() as lines:
        # Nobody waits for these any more: they say nothing of the store.
        writer.run_group()
        assert (watching.of("committed"), lines) == ([], [])
        for _ in range(2):
            writer.submit(lambda _: 1)
            clock.pump([0, 0])
            writer.run_group()
    assert lines == ["the journal can be written again"]
    assert watching.seen == [("unavailable",), ("committed",), ("committed",)]
    assert all(0 <= seconds < 60 for seconds in watching.seconds)


def test_an_error_of_the_store_is_said_and_so_is_its_end(store: MemoryStore) -> None:
    watching = Watching()
    writer = Writer(store, call, observer=watching)
    store.broken = True
    with logged() as lines:
        writer.submit(lambda _: 1).addErrback(lambda _: None)
        writer.run_group()
        store.broken = False
        # An operation that is wrong says that the store works.
        writer.submit(lambda _: 1 / 0).addErrback(lambda _: None)
        writer.run_group()
    assert lines == ["the journal cannot be written: disk full", "the journal can be written again"]
    assert watching.seen == [("unavailable",), ("committed",)]


def test_what_could_be_stored_before_the_store_failed_shows_that_it_worked(
    store: MemoryStore,
) -> None:
    watching = Watching()
    writer = Writer(store, call, observer=watching)
    calls: list[int] = []

    def breaks(store: MemoryStore) -> None:
        calls.append(1)
        store.broken = len(calls) == 2
        raise ZeroDivisionError

    for operation in (lambda _: 1, breaks, lambda _: 1):
        writer.submit(operation).addErrback(lambda _: None)
    writer.run_group()
    assert watching.seen == [("committed",)]


def stand_still(clock: Clock, seconds: float) -> None:
    clock.pump([0, 0, *[LOOK] * int(seconds / LOOK)])


def test_nobody_waits_longer_for_a_store_that_says_nothing(store: MemoryStore, clock: Clock) -> None:
    watching = Watching()
    writer = Writer(store, call, clock.callLater, watching)
    done: list[int] = []
    first = writer.submit(lambda _: done.append(1))
    stand_still(clock, PATIENCE - 1)
    second = writer.submit(lambda _: done.append(2))
    assert not has_fired(first)
    stand_still(clock, 1.5)
    with pytest.raises(Unavailable, match="now"):
        result_of(first)
    assert not has_fired(second)
    # Whoever comes now need not wait.
    with pytest.raises(Unavailable, match="now"):
        result_of(writer.submit(lambda _: done.append(3)))
    assert (watching.of("unavailable"), store.broken_off) == ([()], 0)
    # What nobody waits for is not done any more.
    writer.run_group()
    assert (done, result_of(second)) == ([2], None)
    last = writer.submit(lambda _: done.append(4))
    clock.pump([0, 0])
    writer.run_group()
    assert (done, result_of(last)) == ([2, 4], None)
    # And there is nothing left to look at.
    clock.advance(LOOK)
    assert clock.getDelayedCalls() == []


def test_what_comes_back_too_late_is_nobodys(store: MemoryStore, clock: Clock) -> None:
    writer = Writer(store, call, clock.callLater)

    def takes_long(_: object) -> str:
        stand_still(clock, PATIENCE + 1)
        return "done"

    slow = writer.submit(takes_long)
    clock.pump([0, 0])
    writer.run_group()
    with pytest.raises(Unavailable):
        result_of(slow)
    again = writer.submit(lambda _: 1)
    clock.pump([0, 0])
    writer.run_group()
    assert result_of(again) == 1


def test_a_transaction_that_does_not_end_is_broken_off(store: MemoryStore, clock: Clock) -> None:
    writer = Writer(store, call, clock.callLater)
    writer.submit(lambda _: 1).addErrback(lambda _: None)
    stand_still(clock, HANGS - 1)
    assert store.broken_off == 0
    with logged() as lines:
        stand_still(clock, 2)
    assert store.broken_off == 1
    assert lines == [f"the journal has not responded for {HANGS:.0f} s"]
    stand_still(clock, HANGS)
    assert store.broken_off == 2


def test_a_store_that_says_nothing_stops_no_end(store: MemoryStore, clock: Clock) -> None:
    writer = Writer(store, call, clock.callLater)
    writer.submit(lambda _: 1).addErrback(lambda _: None)
    stopped = writer.stop()
    stand_still(clock, PATIENCE - 1)
    assert not has_fired(stopped)
    with logged() as lines:
        stand_still(clock, 2)
    assert result_of(stopped) is None
    assert lines[-1] == "the journal was not closed in time; its last writes may not be stored"
    # Its own end comes later.
    assert not writer.run_group()
    assert store.closed == 1
    assert clock.getDelayedCalls() == []


def test_it_finishes_what_was_submitted_and_ends(store: MemoryStore, writer: Writer) -> None:
    first = writer.submit(lambda _: 1)
    stopped = writer.stop()
    assert not writer.run_group()
    assert result_of(first) == 1
    assert has_fired(stopped)
    assert (store.groups, store.closed) == ([1], 1)


def test_its_thread_keeps_no_process_alive_and_it_may_be_started_again(store: MemoryStore) -> None:
    writer = Writer(store, call)
    for groups in ([1], [1, 1]):
        before = set(threading.enumerate())
        writer.start()
        (thread,) = set(threading.enumerate()) - before
        assert thread.daemon
        result = writer.submit(lambda _: 1)
        writer.stop()
        thread.join(10)
        assert result_of(result) == 1
        assert store.groups == groups


def test_it_ends_when_there_is_nothing_to_do(store: MemoryStore, writer: Writer) -> None:
    stopped = writer.stop()
    while writer.run_group():
        pass
    assert has_fired(stopped)
    assert (store.groups, store.closed) == ([], 1)


def test_the_thread_runs_groups_until_it_is_told_to_end(store: MemoryStore) -> None:
    writer = Writer(store, call)
    result = writer.submit(lambda _: 1)
    before = set(threading.enumerate())
    writer.start()
    (thread,) = set(threading.enumerate()) - before
    writer.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert result_of(result) == 1
    assert store.closed == 1
