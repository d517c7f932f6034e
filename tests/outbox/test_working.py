from __future__ import annotations

from time import time
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.push import Push
from change_hooks.core.sink_answers import SinkBusy
from change_hooks.interfaces import IDeliverySink
from change_hooks.journal import LEASE, DeadLetter, Outcome
from change_hooks.journal.chunks import LARGE
from change_hooks.journal.outbox import CLAIM
from change_hooks.outbox import working
from change_hooks.outbox.coalescing import Unit
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.working import FIRST_RETRY, RECORD_WITHIN
from change_hooks.testing import MemoryJournal
from tests.conftest import delivery, result_of
from tests.support.outbox import Outbox, Sink, outbox_of

PER = ["repository", "branch"]


def pushed(outbox: Outbox, revision: str, branch: str = "main", ago: float = 0.0) -> None:
    """Store a push, received so many seconds ago."""
    outbox.store(revision, [Change(branch=branch, revision=revision)], received=time() - ago)


def woken(outbox: Outbox) -> None:
    outbox.dispatcher.wake()


# Coalescing.


def test_of_a_long_queue_the_newest_alone_is_handed_over() -> None:
    sink = Sink()
    outbox = outbox_of(sink, latest_per=PER)
    count = 2 * CLAIM + 5
    for number in range(count):
        pushed(outbox, str(number))
    woken(outbox)
    assert sink.taken == [str(count - 1)]
    assert outbox.sinks() == ["superseded"] * (count - 1) + ["taken"]
    assert outbox.states() == ["delivered"] * count


def test_what_is_superseded_is_recorded_also_when_the_newest_fails() -> None:
    sink = Sink()
    sink.refused = {"3": 1}
    outbox = outbox_of(sink, latest_per=PER)
    for number in range(4):
        pushed(outbox, str(number))
    woken(outbox)
    assert outbox.sinks() == ["superseded"] * 3 + ["retrying"]
    outbox.advance(FIRST_RETRY)
    assert sink.tried == ["3", "3"]
    assert outbox.states() == ["delivered"] * 4


def test_a_queue_that_is_too_long_to_be_looked_at_at_once_is_shortened_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(working, "LOOKED_AT", CLAIM)
    sink = Sink()
    outbox = outbox_of(sink, latest_per=PER)
    for number in range(3 * CLAIM):
        pushed(outbox, str(number), "main" if number % 2 else "next")
    woken(outbox)
    assert sink.taken[-2:] == [str(3 * CLAIM - 2), str(3 * CLAIM - 1)]
    assert len(sink.taken) <= 6
    assert outbox.states() == ["delivered"] * 3 * CLAIM


def test_the_newest_has_all_of_its_attempts() -> None:
    sink = Sink()
    sink.refused = {"1": 2, "2": 2}
    outbox = outbox_of(sink, attempts=3, latest_per=PER)
    pushed(outbox, "1")
    woken(outbox)
    outbox.advance(FIRST_RETRY)
    assert sink.tried == ["1", "1"]
    pushed(outbox, "2")
    for _ in range(3):
        outbox.advance(4 * FIRST_RETRY)
    assert sink.tried == ["1", "1", "2", "2", "2"]
    assert outbox.sinks() == ["superseded", "taken"]


def test_what_fails_and_is_still_wanted_keeps_its_count() -> None:
    sink = Sink()
    sink.refused = {"1": 9}
    outbox = outbox_of(sink, attempts=2, latest_per=PER)
    pushed(outbox, "1")
    woken(outbox)
    for revision in ("2", "3"):
        pushed(outbox, revision, "next")
    outbox.advance(FIRST_RETRY)
    assert sink.tried == ["1", "1", "3"]
    assert outbox.sinks() == ["failed", "superseded", "taken"]


def test_the_newest_has_all_of_its_attempts_also_after_a_crash() -> None:
    sink = Sink()
    sink.refused = {"1": 2, "2": 2}
    outbox = outbox_of(sink, attempts=3, latest_per=PER)
    pushed(outbox, "1")
    woken(outbox)
    outbox.advance(FIRST_RETRY)
    pushed(outbox, "2")
    again = outbox_of(sink, attempts=3, beside=outbox, latest_per=PER)
    for _ in range(4):
        again.advance(4 * FIRST_RETRY)
    assert sink.tried == ["1", "1", "2", "2", "2"]


def test_of_one_delivery_a_part_may_be_superseded() -> None:
    sink = Sink()
    outbox = outbox_of(sink, latest_per=PER)
    outbox.store("1", [Change(branch="main", revision="1"), Change(branch="next", revision="2")])
    pushed(outbox, "3")
    woken(outbox)
    assert sink.taken == ["2", "3"]
    assert outbox.states() == ["delivered"] * 2


def test_a_journal_that_fails_in_between_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    outbox = outbox_of(sink, latest_per=PER)
    pushed(outbox, "1")
    with monkeypatch.context() as patched:
        patched.setattr(outbox.journal, "more", lambda *_: fail(Unavailable("the disk is full")))
        woken(outbox)
        assert sink.taken == []
    outbox.advance(FIRST_RETRY)
    assert sink.taken == ["1"]


# Large deliveries, of which the journal gives a part at a time.


def large(outbox: Outbox, name: str, count: int = 3) -> list[Change]:
    changes = [
        Change(branch="main", revision=f"{name}.{number}", comments="x" * LARGE) for number in range(count)
    ]
    outbox.store(name, changes, body=b" " * (LARGE + 1))
    return changes


def test_a_large_push_is_handed_over_once_and_whole() -> None:
    given: list[Any] = []
    outbox = outbox_of(given.append, per="push")
    changes = large(outbox, "1")
    woken(outbox)
    assert given == [Push.of(changes)]
    assert outbox.states() == ["delivered"]


def test_a_large_delivery_is_forwarded_once() -> None:
    given: list[Delivery] = []

    @implementer(IDeliverySink)
    class Whole:
        name = "s"

        def add_delivery(self, delivery: Delivery) -> None:
            given.append(delivery)

    outbox = outbox_of(Whole())
    large(outbox, "1")
    woken(outbox)
    assert [each.id for each in given] == ["1"]


def test_the_latest_of_a_large_delivery_is_its_last_change() -> None:
    sink = Sink()
    outbox = outbox_of(sink, latest_per=PER)
    large(outbox, "1")
    large(outbox, "2")
    woken(outbox)
    assert sink.taken == ["2.2"]


def test_what_has_gone_in_between_is_handed_over_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    outbox = outbox_of(given.append, per="push")
    changes = large(outbox, "1")
    monkeypatch.setattr(outbox.journal, "more", lambda *_: succeed([]))
    woken(outbox)
    assert given == [Push.of(changes[:1])]


# Silence.


def test_a_branch_is_handed_over_once_it_is_quiet() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=60)
    pushed(outbox, "1")
    woken(outbox)
    outbox.advance(40)
    pushed(outbox, "2")
    woken(outbox)
    outbox.advance(40)
    assert sink.taken == []
    assert outbox.sinks() == ["waiting", "waiting"]
    outbox.advance(60)
    assert sink.taken == ["2"]
    assert outbox.sinks() == ["superseded", "taken"]


def test_a_branch_that_is_never_quiet_is_handed_over_after_the_longest_wait() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=60, quiet_limit=150)
    for number in range(6):
        pushed(outbox, str(number))
        woken(outbox)
        outbox.advance(30)
    assert sink.taken == ["4"]
    outbox.advance(60)
    assert sink.taken == ["4", "5"]


def test_each_branch_is_quiet_by_itself() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=60)
    pushed(outbox, "1", "busy")
    pushed(outbox, "2", "main")
    woken(outbox)
    outbox.advance(50)
    pushed(outbox, "3", "busy")
    outbox.advance(10)
    assert sink.taken == ["2"]
    outbox.advance(60)
    assert sink.taken == ["2", "3"]


def test_silence_and_the_longest_wait_survive_a_restart() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=60, quiet_limit=100)
    for revision, ago in (("1", 90.0), ("2", 20.0), ("3", 10.0)):
        pushed(outbox, revision, ago=ago)
    woken(outbox)
    # The oldest stays: it says since when the branch waits.
    assert outbox.sinks() == ["waiting", "superseded", "waiting"]
    again = outbox_of(sink, beside=outbox, quiet=60, quiet_limit=100)
    again.advance(11)
    assert sink.taken == []
    again.advance(10)
    assert sink.taken == ["3"]
    assert again.states() == ["delivered"] * 3


def test_what_was_quiet_while_nobody_ran_is_handed_over_at_once() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=60)
    pushed(outbox, "1", ago=61)
    woken(outbox)
    assert sink.taken == ["1"]


def test_a_calendar_that_is_set_back_delays_nothing() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=60)
    pushed(outbox, "1", ago=-86400)
    woken(outbox)
    outbox.advance(59)
    assert sink.taken == []
    outbox.advance(1)
    assert sink.taken == ["1"]


def test_what_waits_longer_than_a_queue_may_is_looked_at_again() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=4 * 3600)
    pushed(outbox, "1")
    woken(outbox)
    for _ in range(3):
        outbox.advance(3600)
        assert sink.taken == []
    outbox.advance(3600)
    assert sink.taken == ["1"]


def test_what_was_ready_first_is_handed_over_first() -> None:
    sink = Sink()
    outbox = outbox_of(sink, quiet=60)
    pushed(outbox, "1", "a", ago=70)
    pushed(outbox, "2", "b", ago=90)
    woken(outbox)
    assert sink.taken == ["2", "1"]


# Sinks that are busy.


def test_a_busy_sink_is_left_alone_and_no_attempt_is_counted() -> None:
    busy = [10.0] * 5
    taken: list[str | None] = []

    def sink(change: Change) -> None:
        if busy:
            raise SinkBusy("status 429", busy.pop())
        taken.append(change.revision)

    outbox = outbox_of(sink, attempts=2)
    pushed(outbox, "1")
    woken(outbox)
    for left in range(4, -1, -1):
        assert outbox.sinks() == ["retrying"]
        assert len(busy) == left
        outbox.advance(9)
        assert len(busy) == left
        outbox.advance(1)
    assert taken == ["1"]
    assert outbox.states() == ["delivered"]


def test_a_busy_sink_keeps_the_attempts_that_were_made() -> None:
    answers: list[Exception] = [RuntimeError("no"), SinkBusy("status 429", 1.0), RuntimeError("no")]

    def sink(change: Change) -> Deferred[None]:
        return fail(answers.pop(0))

    outbox = outbox_of(sink, attempts=2)
    pushed(outbox, "1")
    woken(outbox)
    outbox.advance(FIRST_RETRY)
    outbox.advance(1)
    assert outbox.states() == ["failed"]


# Pushes whose changes stand between each other's.

INTERLEAVED = ["aba", "abac", "abaca", "aab", "abba", "abcabc"]


def interleaved(order: str) -> list[Change]:
    return [Change(branch=branch, revision=str(index)) for index, branch in enumerate(order)]


def pushes_of(order: str) -> list[list[str | None]]:
    return [
        [change.revision for change in interleaved(order) if change.branch == branch]
        for branch in sorted(set(order), key=order.rindex)
    ]


@pytest.mark.parametrize("order", INTERLEAVED)
@pytest.mark.parametrize("broken", ["", *"ab"])
def test_each_push_is_handed_over_whole_and_once_however_its_changes_stand(order: str, broken: str) -> None:
    given: list[list[str | None]] = []
    failures = [broken]

    def sink(push: Push) -> Deferred[None]:
        if push.branch in failures:
            failures.remove(push.branch)
            return fail(RuntimeError("no"))
        given.append([change.revision for change in push.changes])
        # Each takes longer than progress may stay unrecorded.
        return deferLater(outbox.clock, 2 * RECORD_WITHIN)

    outbox = outbox_of(sink, per="push")
    outbox.store("1", interleaved(order))
    woken(outbox)
    for _ in range(100):
        outbox.advance(1)
    assert given == pushes_of(order)
    assert outbox.states() == ["delivered"]


def test_a_push_that_fails_again_and_again_is_given_up_alone() -> None:
    given: list[str | None] = []

    def sink(push: Push) -> None:
        given.append(push.branch)
        if push.branch == "a":
            raise RuntimeError("no")

    outbox = outbox_of(sink, per="push")
    outbox.store("1", interleaved("abac"))
    woken(outbox)
    for _ in range(10):
        outbox.advance(10)
    assert given == ["b", "a", "a", "a", "c"]
    assert outbox.sinks() == ["failed"]


def test_a_receiver_that_lost_its_lease_is_believed_up_to_the_end_of_a_push() -> None:
    given: list[Any] = []
    outbox = outbox_of(given.append, per="push")
    outbox.dispatcher.stop()
    outbox.store("1", interleaved("abaca"))
    other = MemoryJournal(outbox.journal.store, clock=outbox.shared.seconds)
    result_of(outbox.journal.claim(["s"], 1))
    outbox.shared.advance(LEASE + 1)
    assert len(result_of(other.claim(["s"], 1)).works) == 1
    # It handed over b, gave up c, and finished a.
    late = Outcome("s", "", [(1, None)], [DeadLetter(1, 3, "no")], per="push")
    result_of(outbox.journal.record([late]))
    result_of(other.record([Outcome("s", "", [])]))
    outbox.dispatcher.start()
    assert [push.branch for push in given] == ["c", "a"]
    assert [change.revision for change in given[1].changes] == ["0", "2", "4"]


@pytest.mark.parametrize(("before", "after"), [("push", "change"), ("change", "push")])
def test_nothing_is_lost_when_per_changes_in_the_middle_of_a_delivery(before: str, after: str) -> None:
    given: list[str | None] = []

    def sink(change: Change) -> None:
        if change.branch == "a":
            raise RuntimeError("no")

    outbox = outbox_of(sink, per=before)
    outbox.store("1", interleaved("ba" if before == "change" else "aba"))
    outbox.store("2", interleaved("a"))
    woken(outbox)
    outbox.dispatcher.stop()
    again = outbox_of(lambda item: given.append(item.revision), beside=outbox, per=after)
    again.advance(10)
    assert given == (["0", "1", "2", "0"] if after == "change" else ["0", "1", "0"])
    assert again.states() == ["delivered"] * 2


def test_a_large_push_that_follows_another_is_handed_over_whole() -> None:
    given: list[Any] = []

    def sink(push: Push) -> Deferred[None]:
        given.append((push.branch, len(push.changes)))
        return deferLater(outbox.clock, 2 * RECORD_WITHIN)

    outbox = outbox_of(sink, per="push")
    changes = [Change(branch=branch, comments="x" * LARGE) for branch in "abaca"]
    outbox.store("1", changes, body=b" " * (LARGE + 1))
    woken(outbox)
    for _ in range(20):
        outbox.advance(1)
    assert given == [("b", 1), ("c", 1), ("a", 3)]
    assert outbox.states() == ["delivered"]


# Options that have changed since a delivery was stored.


@pytest.mark.parametrize("per", ["change", "push"])
@pytest.mark.parametrize(
    "options",
    [
        {"only": {"branches": ["main"]}},
        {"unless": {"branches": ["dev"]}},
        {"when": lambda change: change.branch == "main"},
    ],
)
def test_what_is_not_wanted_any_more_is_recorded_as_that_and_said(options: dict[str, Any], per: str) -> None:
    outbox = outbox_of(print)
    outbox.dispatcher.stop()
    pushed(outbox, "1", "dev")
    pushed(outbox, "2", "main")
    given: list[str | None] = []
    with capturedLogs() as logs:
        again = outbox_of(lambda change: given.append(change.revision), beside=outbox, per=per, **options)
    assert given == ["2"]
    assert again.sinks() == ["unwanted", "taken"]
    assert again.states() == ["delivered"] * 2
    assert [attempt.outcome for attempt in again.journal.reader().attempts(1)] == ["unwanted"]
    texts = [formatEvent(event) for event in logs]
    assert any("base/1#" in text and "is not wanted, so it is not delivered" in text for text in texts)


PARTS = ("dev", "dev", "main", "dev", "main", "dev", "dev", "dev")


@pytest.mark.parametrize(
    "options",
    [
        {"only": {"branches": ["main"]}},
        {"unless": {"branches": ["dev"]}},
        {"when": lambda change: change.branch == "main"},
    ],
)
def test_of_what_is_handed_over_in_part_the_rest_is_recorded_as_unwanted(options: dict[str, Any]) -> None:
    outbox = outbox_of(print)
    outbox.dispatcher.stop()
    outbox.store("1", [Change(branch=branch, revision=str(n)) for n, branch in enumerate(PARTS)])
    sink = Sink()
    sink.refused = {"2": 1, "4": 2}
    again = outbox_of(sink, beside=outbox, **options)
    for _ in range(4):
        again.advance(4 * FIRST_RETRY)
    # Once each, however often what stands between them is tried.
    assert [(each.index, each.outcome, each.error) for each in again.journal.reader().attempts(1)] == [
        (1, "unwanted", "and 1 before it"),
        (2, "failed", "RuntimeError: not now"),
        (2, "taken", ""),
        (3, "unwanted", ""),
        (4, "failed", "RuntimeError: not now"),
        (4, "failed", "RuntimeError: not now"),
        (4, "taken", ""),
        (7, "unwanted", "and 2 before it"),
    ]
    assert again.sinks() == ["taken"]
    (line,) = again.journal.reader().lines([1])
    assert line.state == "delivered"


def test_the_work_for_what_is_unwanted_grows_with_the_delivery_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[None] = []
    last = Unit.last.fget  # type: ignore[attr-defined]

    def counting(unit: Unit) -> int:
        looked.append(None)
        index: int = last(unit)
        return index

    monkeypatch.setattr(Unit, "last", property(counting))
    counts = []
    for count in (100, 400):
        sink = Sink()
        outbox = outbox_of(sink, only={"branches": ["main"]})
        branches = ["main", "dev"] * (count // 2)
        outbox.store("a", [Change(branch=each, revision=str(n)) for n, each in enumerate(branches)])
        looked.clear()
        woken(outbox)
        assert len(sink.taken) == count // 2
        counts.append(len(looked))
    assert counts[1] < 6 * counts[0]


def test_of_several_pushes_of_a_delivery_those_that_are_unwanted_are_recorded_as_that() -> None:
    sink = Sink()
    outbox = outbox_of(sink, per="push", only={"branches": ["b"]})
    outbox.store("1", [Change(branch=branch, revision=str(n)) for n, branch in enumerate("abcab")])
    woken(outbox)
    assert sink.taken == ["4"]
    assert [(each.index, each.outcome) for each in outbox.journal.reader().attempts(1)] == [
        (3, "unwanted"),
        (4, "taken"),
    ]


def test_what_is_unwanted_is_recorded_also_when_a_shutdown_comes_in_between() -> None:
    def take(change: Change) -> None:
        outbox.dispatcher.stop()

    outbox = outbox_of(take, only={"branches": ["main"]})
    outbox.store("1", [Change(branch=branch) for branch in ("main", "dev", "main", "dev")])
    woken(outbox)
    again = outbox_of(lambda change: None, beside=outbox, only={"branches": ["main"]})
    again.advance(LEASE + 1)
    woken(again)
    assert [(each.index, each.outcome) for each in again.journal.reader().attempts(1)] == [
        (0, "taken"),
        (1, "unwanted"),
        (2, "taken"),
        (3, "unwanted"),
    ]


@pytest.mark.parametrize("latest_per", [None, ["branch"]])
@pytest.mark.parametrize("per", ["change", "push"])
def test_of_a_large_delivery_a_part_without_anything_wanted_is_not_the_end(
    latest_per: list[str] | None, per: str
) -> None:
    sink = Sink()
    outbox = outbox_of(sink, per=per, latest_per=latest_per, only={"branches": ["main"]})
    changes = [
        Change(branch=branch, revision=str(number), comments="x" * LARGE)
        for number, branch in enumerate(["dev", "dev", "main", "dev"])
    ]
    outbox.store("1", changes, body=b" " * (LARGE + 1))
    woken(outbox)
    for _ in range(20):
        outbox.advance(1)
    assert sink.taken == ["2"]
    assert outbox.sinks() == ["taken"]
    made = outbox.journal.reader().attempts(1)
    assert [each.outcome for each in made if each.outcome == "taken"] == ["taken"]
    assert made[-1].outcome == "unwanted"


def test_what_is_not_wanted_when_when_can_be_asked_again_is_recorded_as_that() -> None:
    broken = [True, True]

    def when(change: Change) -> bool:
        # It breaks when the delivery is stored, and when it is looked at.
        if broken:
            broken.pop()
            raise RuntimeError("no")
        return False

    sink = Sink()
    outbox = outbox_of(sink, when=when)
    pushed(outbox, "1")
    woken(outbox)
    assert sink.tried == []
    assert outbox.sinks() == ["unwanted"]
    assert outbox.watching.of("attempt") == []


# What cannot be read.


@implementer(IDeliverySink)
class Forwards:
    """Remembers the deliveries that it took."""

    name = "s"

    def __init__(self) -> None:
        self.taken: list[str | None] = []

    def add_delivery(self, delivery: Delivery) -> None:
        self.taken.append(delivery.id)


def damaged(outbox: Outbox, column: str, seq: int = 1) -> None:
    outbox.journal.store.connection.execute(
        f"UPDATE deliveries SET {column} = ? WHERE seq = ?", (b"\x00\xff", seq)
    )


def test_a_delivery_that_is_damaged_is_given_up_at_once_and_keeps_nothing_back() -> None:
    sink = Forwards()
    outbox = outbox_of(sink, attempts=100)
    pushed(outbox, "1")
    pushed(outbox, "2")
    damaged(outbox, "head")
    woken(outbox)
    assert sink.taken == ["2"]
    assert outbox.sinks() == ["failed", "taken"]
    (error,) = outbox.watching.of("dead letter")
    assert "cannot be read" in error[1]


def given_by(stored: Any, sink: Any) -> Outbox:
    """An outbox whose journal gives deliveries so."""
    outbox = Outbox({})
    outbox.journal.delivery = stored
    outbox.dispatcher = Dispatcher(
        outbox.journal, {"s": sink}, outbox.clock, attempts=100, observer=outbox.watching
    )
    outbox.dispatcher.start()
    pushed(outbox, "1")
    woken(outbox)
    return outbox


def test_a_delivery_that_has_gone_is_given_up_at_once() -> None:
    outbox = given_by(lambda seq: fail(LookupError("there is no delivery with the number 1")), Forwards())
    assert outbox.watching.of("dead letter") == [("s", "there is no delivery with the number 1")]


def test_a_journal_that_cannot_give_a_delivery_counts_against_no_sink() -> None:
    sink = Forwards()
    answers: list[Any] = [fail(Unavailable("the disk is full")) for _ in range(3)]
    outbox = given_by(lambda seq: answers.pop() if answers else succeed(delivery(id="1")), sink)
    for _ in range(3):
        assert sink.taken == []
        outbox.advance(FIRST_RETRY)
    assert sink.taken == ["1"]
    assert [attempt.outcome for attempt in outbox.journal.reader().attempts(1)] == ["taken"]
    assert outbox.watching.of("attempt") == [("s", "taken", "")]


@pytest.mark.parametrize("options", [{}, {"per": "push"}, {"latest_per": PER}])
def test_changes_that_are_damaged_are_given_up_and_said(options: dict[str, Any]) -> None:
    given: list[str | None] = []
    outbox = outbox_of(lambda change: given.append(change.revision), **options)
    pushed(outbox, "1")
    pushed(outbox, "2")
    damaged(outbox, "changes")
    with capturedLogs() as logs:
        woken(outbox)
    assert given == ["2"]
    assert outbox.sinks() == ["failed", "taken"]
    (error,) = outbox.watching.of("dead letter")
    assert "cannot be read" in error[1]
    texts = [formatEvent(event) for event in logs]
    assert any(text.startswith("gave up delivering") and "base/1#" in text for text in texts)


def test_a_large_push_of_which_a_part_is_damaged_is_given_up_whole() -> None:
    given: list[Any] = []
    outbox = outbox_of(given.append, per="push")
    large(outbox, "1")
    outbox.journal.store.connection.execute(
        "UPDATE pieces SET data = ? WHERE document = 2 AND part = 0", (b"\x00\xff",)
    )
    woken(outbox)
    assert given == []
    assert outbox.states() == ["failed"]


def test_failures_that_another_receiver_counted_are_forgotten_with_what_is_superseded() -> None:
    sink = Sink()
    sink.refused = {"1": 1, "2": 2, "3": 2}
    outbox = outbox_of(sink, attempts=3, latest_per=PER)
    pushed(outbox, "1")
    woken(outbox)
    outbox.dispatcher.stop()
    other = outbox_of(sink, attempts=3, beside=outbox, latest_per=PER)
    other.advance(FIRST_RETRY)
    pushed(other, "2")
    woken(other)
    other.advance(FIRST_RETRY)
    other.dispatcher.stop()
    pushed(other, "3")
    outbox.dispatcher.start()
    for _ in range(3):
        outbox.advance(4 * FIRST_RETRY)
    assert sink.tried == ["1", "1", "2", "2", "3", "3", "3"]
    assert outbox.sinks() == ["taken", "superseded", "taken"]
