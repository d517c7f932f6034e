"""What is gathered of requests that gave nothing, and when it is stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from change_hooks.core.errors import Unavailable
from change_hooks.journal import Trace
from change_hooks.journal.traces import AGAIN, GATHER, LIMITS, WINDOW, Kind, Limit, Traces, kind_of
from tests.support.waiting import Waiting


def refused(reason: str = "the signature is wrong", received: float = 10.0, **more: Any) -> Trace:
    fields = {"dialect": "github", "status": 403, "state": "refused", "reason": reason, **more}
    return Trace(received=received, **fields)


class Stored:
    """Where traces go: remembers what each transaction was given."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.transactions: list[tuple[list[tuple[Kind, Trace]], dict[Kind, int]]] = []
        #: The kinds whose last rows were known to the last of them.
        self.known: set[Kind] = set()
        self.error: Exception | None = None
        self.traces = Traces(self.submit, self.clock.callLater)

    def submit(self, operation: Any) -> Deferred[Any]:
        if self.error is not None:
            return fail(self.error)
        asked = operation.keywords
        self.transactions.append((asked["new"], dict(asked["more"])))
        self.known = set(asked["last"])
        last: dict[Kind, int] = {}
        for place, (kind, _) in enumerate(asked["new"], 1):
            last[kind] = last[(kind[0], "", 0, "")] = place
        return succeed({**asked["last"], **last})

    @property
    def rows(self) -> int:
        return sum(len(new) for new, _ in self.transactions)

    @property
    def counted(self) -> int:
        return sum(sum(more.values()) for _, more in self.transactions)


@pytest.fixture
def stored() -> Stored:
    return Stored()


def test_traces_of_other_endpoints_are_not_alike_unless_there_is_no_such_endpoint() -> None:
    one, other = refused(), refused(dialect="gitlab")
    assert kind_of(one) == kind_of(refused()) != kind_of(other)
    assert kind_of(refused(status=404)) == kind_of(refused(status=404, dialect="gitlab"))


def test_what_comes_within_a_second_is_stored_together(stored: Stored) -> None:
    stored.traces.add(refused())
    stored.traces.add(refused("the body is not valid JSON", status=400))
    assert stored.transactions == []
    stored.clock.advance(GATHER)
    stored.clock.advance(GATHER)
    assert [len(new) for new, _ in stored.transactions] == [2]
    stored.traces.add(refused())
    stored.clock.advance(GATHER)
    assert [len(new) for new, _ in stored.transactions] == [2, 1]


def test_a_flood_costs_a_fixed_number_of_rows_and_a_count(stored: Stored) -> None:
    for number in range(10_000):
        stored.traces.add(refused(received=10.0 + number / 100))
        if not number % 500:
            stored.clock.advance(GATHER)
    stored.clock.advance(GATHER)
    assert stored.rows == LIMITS["refused"].alike
    assert stored.rows + stored.counted == 10_000


def test_a_flood_of_all_kinds_does_too(stored: Stored) -> None:
    for number in range(10_000):
        stored.traces.add(refused(chr(ord("a") + number % 26) * (number // 26)))
    stored.clock.advance(GATHER)
    assert stored.rows == LIMITS["refused"].all
    assert stored.rows + stored.counted == 10_000


def test_what_differs_in_numbers_or_in_a_wrong_path_is_alike(stored: Stored) -> None:
    for number in range(100):
        stored.traces.add(refused(f"$.commits[{number}].id: is missing", status=400))
        stored.traces.add(Trace(f"name{number}", 10.0, 404, "refused", "no such dialect"))
        stored.traces.add(refused(f"the handler broke (incident {number:08x})", status=500))
    stored.clock.advance(GATHER)
    assert stored.rows == 3 * LIMITS["refused"].alike


def test_what_is_ignored_does_not_take_the_rows_of_what_is_refused(stored: Stored) -> None:
    for _ in range(LIMITS["refused"].alike):
        stored.traces.add(refused())
        stored.traces.add(refused("a ping", state="ignored", status=202))
    stored.clock.advance(GATHER)
    assert stored.rows == 2 * LIMITS["refused"].alike


def test_after_an_hour_there_is_room_again(stored: Stored) -> None:
    for received in (5000.0, 5000.0 + WINDOW):
        for _ in range(30):
            stored.traces.add(refused(received=received))
    stored.clock.advance(GATHER)
    assert (stored.rows, stored.counted) == (40, 20)
    # Nothing waits, and nothing is to be done.
    assert stored.clock.getDelayedCalls() == []


def test_and_also_for_other_kinds(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "refused", Limit(2, 2))
    for received in (5000.0, 5000.0 + WINDOW):
        for reason in ("one", "two", "three"):
            stored.traces.add(refused(reason, received))
    stored.clock.advance(GATHER)
    assert (stored.rows, stored.counted) == (4, 2)


def test_where_the_last_of_a_kind_stands_is_known_for_as_long_as_it_is_counted(stored: Stored) -> None:
    first, second, third = (refused(reason) for reason in ("one", "two", "three"))
    for trace in (first, second, second, first):
        stored.traces.add(trace)
        stored.clock.advance(GATHER)
    every = ("refused", "", 0, "")
    assert stored.known == {kind_of(first), kind_of(second), every}
    later = 10.0 + WINDOW
    stored.traces.add(msgspec.structs.replace(second, received=later))
    stored.clock.advance(GATHER)
    stored.traces.add(msgspec.structs.replace(third, received=later))
    stored.clock.advance(GATHER)
    assert stored.known == {kind_of(second), every}


def test_what_comes_while_others_are_stored_follows_them(stored: Stored) -> None:
    waiting = Waiting()

    traces = Traces(waiting, stored.clock.callLater)
    traces.add(refused())
    traces.flush()
    traces.add(refused())
    traces.flush()
    waiting[0].callback({})
    # Nothing else has to come for that.
    stored.clock.advance(GATHER)
    assert len(waiting) == 2


def test_a_journal_that_is_down_gets_them_later(stored: Stored) -> None:
    stored.error = Unavailable("disk full")
    for _ in range(30):
        stored.traces.add(refused())
    stored.clock.advance(GATHER)
    stored.error = None
    stored.clock.advance(GATHER)
    assert stored.transactions == []
    stored.clock.advance(AGAIN)
    assert (stored.rows, stored.counted) == (20, 10)


def test_and_no_more_of_them_than_there_is_room_for(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.journal.traces.HELD", 5)
    for _ in range(9):
        stored.traces.add(refused())
    stored.clock.advance(GATHER)
    assert (stored.rows, stored.counted) == (5, 4)


def test_what_came_while_the_others_could_not_be_stored_is_stored_after_them(stored: Stored) -> None:
    asked: list[Any] = []
    waiting: list[Deferred[Any]] = []

    def slowly(operation: Any) -> Deferred[Any]:
        asked.append([trace.reason for _, trace in operation.keywords["new"]])
        waiting.append(Deferred())
        return waiting[-1]

    traces = Traces(slowly, stored.clock.callLater)
    traces.add(refused("one"))
    traces.flush()
    traces.add(refused("two"))
    waiting[0].errback(Unavailable("disk full"))
    stored.clock.advance(AGAIN)
    assert asked == [["one"], ["one", "two"]]


def test_an_error_that_is_not_the_databases_is_not_tried_again(stored: Stored) -> None:
    stored.error = RuntimeError("a bug")
    stored.traces.add(refused())
    stored.clock.advance(GATHER)
    stored.error = None
    stored.clock.advance(AGAIN)
    assert stored.transactions == []


def test_at_the_end_the_rest_is_stored_and_nothing_more_is_gathered(stored: Stored) -> None:
    stored.traces.add(refused())
    stored.traces.close()
    stored.traces.add(refused())
    assert stored.rows == 1
    assert stored.clock.getDelayedCalls() == []
    stored.error = Unavailable("disk full")
    stored.traces.flush()
    failing = Stored()
    failing.traces.add(refused())
    failing.error = Unavailable("disk full")
    failing.traces.close()
    assert failing.clock.getDelayedCalls() == []


def test_one_part_is_stored_after_the_other(stored: Stored) -> None:
    """Where the first came to stand has to be known, so that the others can be counted there."""
    waiting = Waiting()

    traces = Traces(waiting, stored.clock.callLater)
    traces.add(refused())
    stored.clock.advance(GATHER)
    traces.add(refused())
    stored.clock.advance(GATHER)
    assert len(waiting) == 1
    waiting[0].callback({})
    stored.clock.advance(GATHER)
    assert len(waiting) == 2
    traces.add(refused())
    traces.close()
    assert len(waiting) == 3


def test_without_a_clock_each_is_stored_at_once() -> None:
    stored = Stored()
    stored.traces = Traces(stored.submit, None)
    stored.traces.add(refused())
    assert stored.rows == 1
    stored.error = Unavailable("disk full")
    stored.traces.add(refused())
    stored.error = None
    stored.traces.add(refused())
    assert stored.rows == 3
