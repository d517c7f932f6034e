from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.push import Push
from change_hooks.interfaces import IDeliverySink, SinkBusy
from change_hooks.journal.chunks import LARGE
from change_hooks.journal.outbox import CLAIM
from change_hooks.outbox import working
from change_hooks.outbox.working import FIRST_RETRY
from tests.support.outbox_rig import Rig, Sink, routed_rig, store

PER = ["repository", "branch"]


def pushed(rig: Rig, revision: str, branch: str = "main", ago: float = 0.0) -> None:
    """Store a push, received so many seconds ago."""
    store(rig, revision, [Change(branch=branch, revision=revision)], received=time() - ago)


def woken(rig: Rig) -> None:
    rig.dispatcher.wake()
    rig.run()


# Coalescing.


def test_of_a_long_queue_the_newest_alone_is_handed_over(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, latest_per=PER)
    count = 2 * CLAIM + 5
    for number in range(count):
        pushed(rig, str(number))
    woken(rig)
    assert sink.taken == [str(count - 1)]
    assert rig.sinks() == ["superseded"] * (count - 1) + ["taken"]
    assert rig.states() == ["delivered"] * count


def test_what_is_superseded_is_recorded_also_when_the_newest_fails(tmp_path: Path) -> None:
    sink = Sink()
    sink.refused = {"3": 1}
    rig = routed_rig(tmp_path, sink, latest_per=PER)
    for number in range(4):
        pushed(rig, str(number))
    woken(rig)
    assert rig.sinks() == ["superseded"] * 3 + ["retrying"]
    rig.advance(FIRST_RETRY)
    assert sink.tried == ["3", "3"]
    assert rig.states() == ["delivered"] * 4


def test_a_queue_that_is_too_long_to_be_looked_at_at_once_is_shortened_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "LOOKED_AT", CLAIM)
    sink = Sink()
    rig = routed_rig(tmp_path, sink, latest_per=PER)
    for number in range(3 * CLAIM):
        pushed(rig, str(number), "main" if number % 2 else "next")
    woken(rig)
    assert sink.taken[-2:] == [str(3 * CLAIM - 2), str(3 * CLAIM - 1)]
    assert len(sink.taken) <= 6
    assert rig.states() == ["delivered"] * 3 * CLAIM


def test_the_newest_has_all_of_its_attempts(tmp_path: Path) -> None:
    sink = Sink()
    sink.refused = {"1": 2, "2": 2}
    rig = routed_rig(tmp_path, sink, attempts=3, latest_per=PER)
    pushed(rig, "1")
    woken(rig)
    rig.advance(FIRST_RETRY)
    assert sink.tried == ["1", "1"]
    pushed(rig, "2")
    for _ in range(3):
        rig.advance(4 * FIRST_RETRY)
    assert sink.tried == ["1", "1", "2", "2", "2"]
    assert rig.sinks() == ["superseded", "taken"]


def test_what_fails_and_is_still_wanted_keeps_its_count(tmp_path: Path) -> None:
    sink = Sink()
    sink.refused = {"1": 9}
    rig = routed_rig(tmp_path, sink, attempts=2, latest_per=PER)
    pushed(rig, "1")
    woken(rig)
    for revision in ("2", "3"):
        pushed(rig, revision, "next")
    rig.advance(FIRST_RETRY)
    assert sink.tried == ["1", "1", "3"]
    assert rig.sinks() == ["failed", "superseded", "taken"]


def test_the_newest_has_all_of_its_attempts_also_after_a_crash(tmp_path: Path) -> None:
    sink = Sink()
    sink.refused = {"1": 2, "2": 2}
    rig = routed_rig(tmp_path, sink, attempts=3, latest_per=PER)
    pushed(rig, "1")
    woken(rig)
    rig.advance(FIRST_RETRY)
    pushed(rig, "2")
    again = routed_rig(tmp_path, sink, attempts=3, latest_per=PER)
    for _ in range(4):
        again.advance(4 * FIRST_RETRY)
    assert sink.tried == ["1", "1", "2", "2", "2"]


def test_of_one_delivery_a_part_may_be_superseded(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, latest_per=PER)
    store(rig, "1", [Change(branch="main", revision="1"), Change(branch="next", revision="2")])
    pushed(rig, "3")
    woken(rig)
    assert sink.taken == ["2", "3"]
    assert rig.states() == ["delivered"] * 2


def test_a_journal_that_fails_in_between_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, latest_per=PER)
    pushed(rig, "1")
    with monkeypatch.context() as patched:
        patched.setattr(rig.journal, "more", lambda *_: fail(Unavailable("the disk is full")))
        woken(rig)
        assert sink.taken == []
    rig.advance(FIRST_RETRY)
    assert sink.taken == ["1"]


# Large deliveries, of which the journal gives a part at a time.


def large(rig: Rig, name: str, count: int = 3) -> list[Change]:
    changes = [
        Change(branch="main", revision=f"{name}.{number}", comments="x" * LARGE) for number in range(count)
    ]
    store(rig, name, changes, body=b" " * (LARGE + 1))
    return changes


def test_a_large_push_is_handed_over_once_and_whole(tmp_path: Path) -> None:
    given: list[Any] = []
    rig = routed_rig(tmp_path, given.append, per="push")
    changes = large(rig, "1")
    woken(rig)
    assert given == [Push.of(changes)]
    assert rig.states() == ["delivered"]


def test_a_large_delivery_is_forwarded_once(tmp_path: Path) -> None:
    given: list[Delivery] = []

    @implementer(IDeliverySink)
    class Whole:
        name = "s"

        def add_delivery(self, delivery: Delivery) -> None:
            given.append(delivery)

    rig = routed_rig(tmp_path, Whole())
    large(rig, "1")
    woken(rig)
    assert [each.id for each in given] == ["1"]


def test_the_latest_of_a_large_delivery_is_its_last_change(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, latest_per=PER)
    large(rig, "1")
    large(rig, "2")
    woken(rig)
    assert sink.taken == ["2.2"]


def test_what_has_gone_in_between_is_handed_over_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    rig = routed_rig(tmp_path, given.append, per="push")
    changes = large(rig, "1")
    monkeypatch.setattr(rig.journal, "more", lambda *_: succeed([]))
    woken(rig)
    assert given == [Push.of(changes[:1])]


# Silence.


def test_a_branch_is_handed_over_once_it_is_quiet(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=60)
    pushed(rig, "1")
    woken(rig)
    rig.advance(40)
    pushed(rig, "2")
    woken(rig)
    rig.advance(40)
    assert sink.taken == []
    assert rig.sinks() == ["waiting", "waiting"]
    rig.advance(60)
    assert sink.taken == ["2"]
    assert rig.sinks() == ["superseded", "taken"]


def test_a_branch_that_is_never_quiet_is_handed_over_after_the_longest_wait(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=60, quiet_limit=150)
    for number in range(6):
        pushed(rig, str(number))
        woken(rig)
        rig.advance(30)
    assert sink.taken == ["4"]
    rig.advance(60)
    assert sink.taken == ["4", "5"]


def test_each_branch_is_quiet_by_itself(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=60)
    pushed(rig, "1", "busy")
    pushed(rig, "2", "main")
    woken(rig)
    rig.advance(50)
    pushed(rig, "3", "busy")
    rig.advance(10)
    assert sink.taken == ["2"]
    rig.advance(60)
    assert sink.taken == ["2", "3"]


def test_silence_and_the_longest_wait_survive_a_restart(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=60, quiet_limit=100)
    for revision, ago in (("1", 90.0), ("2", 20.0), ("3", 10.0)):
        pushed(rig, revision, ago=ago)
    woken(rig)
    # The oldest stays: it says since when the branch waits.
    assert rig.sinks() == ["waiting", "superseded", "waiting"]
    again = routed_rig(tmp_path, sink, quiet=60, quiet_limit=100)
    again.advance(11)
    assert sink.taken == []
    again.advance(10)
    assert sink.taken == ["3"]
    assert again.states() == ["delivered"] * 3


def test_what_was_quiet_while_nobody_ran_is_handed_over_at_once(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=60)
    pushed(rig, "1", ago=61)
    woken(rig)
    assert sink.taken == ["1"]


def test_a_calendar_that_is_set_back_delays_nothing(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=60)
    pushed(rig, "1", ago=-86400)
    woken(rig)
    rig.advance(59)
    assert sink.taken == []
    rig.advance(1)
    assert sink.taken == ["1"]


def test_what_waits_longer_than_a_queue_may_is_looked_at_again(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=4 * 3600)
    pushed(rig, "1")
    woken(rig)
    for _ in range(3):
        rig.advance(3600)
        assert sink.taken == []
    rig.advance(3600)
    assert sink.taken == ["1"]


def test_what_was_ready_first_is_handed_over_first(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, quiet=60)
    pushed(rig, "1", "a", ago=70)
    pushed(rig, "2", "b", ago=90)
    woken(rig)
    assert sink.taken == ["2", "1"]


# Sinks that are busy.


def test_a_busy_sink_is_left_alone_and_no_attempt_is_counted(tmp_path: Path) -> None:
    busy = [10.0] * 5
    taken: list[str | None] = []

    def sink(change: Change) -> None:
        if busy:
            raise SinkBusy("status 429", busy.pop())
        taken.append(change.revision)

    rig = routed_rig(tmp_path, sink, attempts=2)
    pushed(rig, "1")
    woken(rig)
    for left in range(4, -1, -1):
        assert rig.sinks() == ["retrying"]
        assert len(busy) == left
        rig.advance(9)
        assert len(busy) == left
        rig.advance(1)
    assert taken == ["1"]
    assert rig.states() == ["delivered"]


def test_a_busy_sink_keeps_the_attempts_that_were_made(tmp_path: Path) -> None:
    answers: list[Exception] = [RuntimeError("no"), SinkBusy("status 429", 1.0), RuntimeError("no")]

    def sink(change: Change) -> Deferred[None]:
        return fail(answers.pop(0))

    rig = routed_rig(tmp_path, sink, attempts=2)
    pushed(rig, "1")
    woken(rig)
    rig.advance(FIRST_RETRY)
    rig.advance(1)
    assert rig.states() == ["failed"]
