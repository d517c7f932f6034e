from __future__ import annotations

from time import time
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from change_hooks.core.errors import Unavailable
from change_hooks.outbox.retention import DAY, EVERY, PAUSE, Retention
from tests.support.logs import logged


class Journal:
    """Says how many were pruned, and remembers what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []
        self.traces: list[float] = []

    def prune_traces(self, before: float) -> Deferred[int]:
        self.traces.append(before)
        return succeed(0)

    def prune(self, before: float) -> Deferred[int]:
        self.asked.append(before)
        answer = self.answers.pop(0)
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


def begun(keep: float | None, *answers: Any) -> tuple[Retention, Any, Clock]:
    journal: Any = Journal(*answers)
    clock = Clock()
    retention = Retention(journal, clock, keep, 3.0)
    retention.start()
    return retention, journal, clock


def test_it_deletes_part_by_part_until_nothing_is_left_and_again_every_hour() -> None:
    _, journal, clock = begun(30.0, 200, 7, 0, 0)
    assert abs(journal.asked[0] - (time() - 30 * DAY)) < DAY
    clock.advance(PAUSE)
    clock.advance(PAUSE)
    assert journal.answers == [0]
    clock.advance(EVERY)
    assert journal.answers == []


def test_what_is_kept_for_good_is_kept() -> None:
    retention, journal, clock = begun(None, 0)
    assert journal.asked == []
    assert abs(journal.traces[0] - (time() - 3 * DAY)) < DAY
    retention.keep = 1.0
    clock.advance(EVERY)
    assert len(journal.asked) == 1


def test_a_journal_that_is_down_is_asked_again_and_so_is_one_that_breaks() -> None:
    with logged() as log:
        _, journal, clock = begun(30.0, Unavailable("no"), RuntimeError("a bug"), 0)
        assert list(log) == []
        clock.advance(EVERY)
        clock.advance(EVERY)
    assert journal.answers == []
    assert log.text.startswith("old deliveries could not be deleted: incident ")


def test_it_ends_in_the_middle() -> None:
    retention, journal, clock = begun(30.0, 200, 200)
    retention.stop()
    clock.advance(2 * EVERY)
    assert len(journal.asked) == 1
