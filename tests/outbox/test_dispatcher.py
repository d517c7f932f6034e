from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.push import Push, PushKey
from change_hooks.core.sink_answers import SinkBusy, SinkError, SinkOutput, SinkRefused
from change_hooks.core.stored import Stored
from change_hooks.interfaces import IChangeSink, IDeliverySink
from change_hooks.journal import LEASE, ChangeKey, Claimed, SinkState
from change_hooks.outbox.dispatcher import LOOK_AGAIN
from change_hooks.outbox.handing import LONGEST_WAIT
from change_hooks.outbox.sink_options import CONCURRENCY, routed
from change_hooks.outbox.sink_options import SINK_TIME_LIMIT as SINK_TIMEOUT
from change_hooks.outbox.working import FIRST_RETRY, LONGEST_RETRY, RECORD_WITHIN, back_off
from change_hooks.testing import MemoryJournal
from tests.conftest import delivery, has_fired, result_of
from tests.support.logs import logged
from tests.support.outbox import Outbox, Sink, outbox_of
from tests.support.waiting import Waiting


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def outbox(sink: Sink) -> Iterator[Outbox]:
    outbox = Outbox({"sink": sink})
    outbox.dispatcher.start()
    yield outbox


def test_changes_reach_the_sink_in_order(outbox: Outbox, sink: Sink) -> None:
    outbox.append("1", "api", "api")
    outbox.append("2", "api")
    assert sink.taken == ["1.0", "1.1", "2.0"]
    assert outbox.states() == ["delivered", "delivered"]


def test_the_parts_of_a_large_delivery_follow_one_another(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("change_hooks.journal.facade.LARGE", -1)
    monkeypatch.setattr("change_hooks.journal.chunks.PIECE", 1)
    sink.refused = {"1.2": 1}
    outbox.append("1", "api", "web", "api", "api")
    outbox.append("2", "api")
    assert sink.taken == ["1.0", "1.1"]
    outbox.advance(FIRST_RETRY)
    assert sink.taken == ["1.0", "1.1", "1.2", "1.3", "2.0"]
    assert outbox.states() == ["delivered", "delivered"]


def test_a_sink_object_gets_the_key() -> None:
    keys: list[Any] = []

    @implementer(IChangeSink)
    class Keyed:
        name = "keyed"

        async def add_change(self, change: Change, key: Any) -> None:
            keys.append(key)

    outbox = Outbox({"keyed": Keyed()})
    outbox.dispatcher.start()
    outbox.append("1", "api", "api")
    assert keys == [ChangeKey("base", "1", 0), ChangeKey("base", "1", 1)]


def test_a_failure_is_tried_again_and_holds_up_its_own_repository_alone(outbox: Outbox, sink: Sink) -> None:
    sink.refused = {"1.0": 2}
    outbox.append("1", "api", "web", "api")
    outbox.append("2", "api")
    assert sink.taken == ["1.1"]
    outbox.advance(FIRST_RETRY)
    assert sink.taken == ["1.1"]
    outbox.advance(2 * FIRST_RETRY)
    assert sink.taken == ["1.1", "1.0", "1.2", "2.0"]
    assert sink.tried.count("1.0") == 3
    assert outbox.states() == ["delivered", "delivered"]


def test_a_failing_sink_does_not_delay_another(sink: Sink) -> None:
    outbox = Outbox({"bad": lambda change: fail(RuntimeError()), "good": sink})
    outbox.dispatcher.start()
    outbox.append("1", "api")
    assert sink.taken == ["1.0"]
    assert outbox.states() == ["waiting"]


def test_a_change_is_given_up_after_enough_attempts_and_the_queue_goes_on(outbox: Outbox, sink: Sink) -> None:
    sink.refused = {"1.0": 99}
    outbox.append("1", "api", "api")
    for _ in range(3):
        outbox.advance(LONGEST_RETRY)
    assert sink.tried.count("1.0") == 3
    assert sink.taken == ["1.1"]
    assert outbox.states() == ["failed"]
    assert outbox.left() == SinkState("sink", "failed", "api", error="RuntimeError: not now")


def test_attempts_are_counted_for_each_change_anew(outbox: Outbox, sink: Sink) -> None:
    sink.refused = {"1.0": 2, "1.1": 2}
    outbox.append("1", "api", "api")
    for _ in range(6):
        outbox.advance(LONGEST_RETRY)
    assert sink.taken == ["1.0", "1.1"]


def test_what_follows_a_dead_letter_has_all_of_its_attempts(outbox: Outbox, sink: Sink) -> None:
    sink.refused = {"1.0": 99, "1.1": 2}
    outbox.append("1", "api", "api")
    for _ in range(5):
        outbox.advance(LONGEST_RETRY)
    assert sink.tried == ["1.0"] * 3 + ["1.1"] * 3
    assert sink.taken == ["1.1"]


def test_the_attempts_and_the_last_error_are_stored(outbox: Outbox, sink: Sink) -> None:
    sink.refused = {"1.0": 1}
    outbox.append("1", "api")
    assert (outbox.left().attempts, outbox.left().error) == (1, "RuntimeError: not now")


def test_a_sink_that_hangs_is_timed_out() -> None:
    hung = Waiting()

    outbox = Outbox({"sink": hung})
    outbox.dispatcher.start()
    outbox.append("1", "api")
    outbox.advance(SINK_TIMEOUT)
    assert len(hung) == 1
    outbox.advance(FIRST_RETRY)
    assert len(hung) == 2
    hung[1].callback(None)
    assert outbox.states() == ["delivered"]


def test_what_is_left_over_is_delivered_after_a_restart(sink: Sink) -> None:
    before = Outbox({"sink": sink})
    before.append("1", "api")
    assert sink.taken == []
    after = Outbox({"sink": sink}, beside=before)
    after.dispatcher.start()
    assert sink.taken == ["1.0"]


def test_stopping_waits_for_what_is_being_handed_over_and_begins_nothing() -> None:
    waiting = Waiting()

    outbox = Outbox({"sink": waiting})
    outbox.dispatcher.start()
    outbox.append("1", "api")
    stopped = outbox.dispatcher.stop()
    outbox.append("2", "web")
    assert len(waiting) == 1
    assert not has_fired(stopped)
    waiting[0].callback(None)
    assert has_fired(stopped)
    assert outbox.states() == ["delivered", "waiting"]
    assert outbox.clock.getDelayedCalls() == []
    assert has_fired(outbox.dispatcher.stop())


def test_stopping_while_it_looks_for_work(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming: Deferred[Claimed] = Deferred()
    monkeypatch.setattr(outbox.journal, "claim", lambda *_: claiming)
    outbox.dispatcher.wake()
    stopped = outbox.dispatcher.stop()
    assert not has_fired(stopped)
    claiming.callback(Claimed([], None))
    assert has_fired(stopped)
    assert outbox.clock.getDelayedCalls() == []


def test_only_so_many_queues_are_worked_on_at_once() -> None:
    waiting = Waiting()

    outbox = Outbox({"sink": waiting})
    outbox.dispatcher.start()
    outbox.append("1", *(str(number) for number in range(CONCURRENCY + 5)))
    assert len(waiting) == CONCURRENCY
    outbox.dispatcher.wake()
    assert len(waiting) == CONCURRENCY
    waiting[0].callback(None)
    assert len(waiting) == CONCURRENCY + 1


def test_it_looks_for_work_that_nobody_announced(outbox: Outbox, sink: Sink) -> None:
    appended = outbox.journal.append(
        delivery(id="9", dialect="base"), [Change(repository="api", revision="9")], ("sink",)
    )
    result_of(appended)
    assert sink.taken == []
    outbox.advance(LOOK_AGAIN)
    assert sink.taken == ["9"]


def test_what_is_announced_while_it_looks_for_work_is_looked_for_right_after(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming: Deferred[Claimed] = Deferred()
    with monkeypatch.context() as slow:
        slow.setattr(outbox.journal, "claim", lambda *_: claiming)
        outbox.dispatcher.wake()
        outbox.append("1", "api")
    claiming.callback(Claimed([], None))
    assert sink.taken == ["1.0"]


def test_leases_that_cannot_be_renewed_now_are_renewed_later_and_a_bug_is_reported(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Deferred[None]] = [
        fail(Unavailable("away")),
        fail(RuntimeError("a bug")),
        succeed(None),
    ]
    monkeypatch.setattr(outbox.journal, "renew", lambda *_: answers.pop(0))
    with logged() as log:
        outbox.advance(LEASE / 3)
        assert log.text == ""
        outbox.advance(LEASE / 3)
        outbox.advance(LEASE / 3)
    assert "the leases could not be renewed: incident" in log.text
    assert answers == []


def test_a_journal_that_cannot_be_read_is_tried_again(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(outbox.journal, "claim", lambda *_: fail(Unavailable("broken")))
        outbox.append("1", "api")
    assert sink.taken == []
    # Not as late as for work that nobody announced.
    outbox.advance(4 * FIRST_RETRY)
    assert sink.taken == ["1.0"]


def test_what_cannot_be_recorded_is_recorded_later_and_not_handed_over_twice(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(outbox.journal, "record", lambda _: fail(Unavailable("disk full")))
        outbox.append("1", "api")
        outbox.advance(FIRST_RETRY)
        assert outbox.states() == ["waiting"]
    outbox.advance(FIRST_RETRY)
    assert outbox.states() == ["delivered"]
    assert sink.taken == ["1.0"]


def test_a_shutdown_does_not_wait_for_a_journal_that_cannot_be_written(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox.journal, "record", lambda _: fail(Unavailable("disk full")))
    outbox.append("1", "api")
    stopped = outbox.dispatcher.stop()
    outbox.advance(FIRST_RETRY)
    assert has_fired(stopped)


# An error of the dispatcher's own, which only a journal with a bug shows.


def once_broken(journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a method of the journal break at its next call, and work again after that."""
    works = getattr(journal, name)

    def breaks(*_: object) -> Deferred[Any]:
        monkeypatch.setattr(journal, name, works)
        return fail(RuntimeError("a bug"))

    monkeypatch.setattr(journal, name, breaks)


def test_an_error_of_its_own_puts_off_that_queue_alone_and_says_so(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.refused = {"1.0": 2}
    outbox.append("1", "api")
    outbox.advance(FIRST_RETRY)
    assert outbox.left().attempts == 2
    once_broken(outbox.journal, monkeypatch, "record")
    with logged() as log:
        outbox.advance(2 * FIRST_RETRY)
    assert "the dispatcher broke: incident" in log.text
    assert "RuntimeError: a bug" in log.text
    assert "could not record the failure either" not in log.text
    # What was not recorded has not been delivered; the attempts that failed before still count.
    state = outbox.left()
    assert (state.state, state.attempts, state.error) == ("retrying", 2, "the dispatcher broke")
    outbox.append("2", "web")
    assert sink.taken == ["1.0", "2.0"]
    outbox.advance(LONGEST_RETRY - 1)
    assert sink.taken == ["1.0", "2.0"]
    outbox.advance(1)
    assert sink.taken == ["1.0", "2.0", "1.0"]
    assert outbox.states() == ["delivered", "delivered"]


def test_an_error_that_cannot_be_recorded_either_leaves_the_queue_until_its_lease_ends(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken, logged() as log:
        broken.setattr(outbox.journal, "record", lambda _: fail(RuntimeError("a bug")))
        outbox.append("1", "api")
    assert "the dispatcher broke: incident" in log.text
    assert "could not record the failure either: incident" in log.text
    outbox.append("2", "web")
    assert sink.taken == ["1.0", "2.0"]
    outbox.advance(LEASE)
    assert sink.taken == ["1.0", "2.0", "1.0"]
    assert outbox.states() == ["delivered", "delivered"]


def test_an_error_of_its_own_does_not_hold_a_shutdown(
    outbox: Outbox, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Waiting()

    monkeypatch.setattr(outbox.journal, "record", recording)
    outbox.append("1", "api")
    stopped = outbox.dispatcher.stop()
    recording[0].errback(RuntimeError("a bug"))
    # First it is recorded that it broke.
    assert not has_fired(stopped)
    recording[1].callback(None)
    assert has_fired(stopped)


def test_the_clock_of_a_receiver_that_is_ahead_delays_no_queue(outbox: Outbox, sink: Sink) -> None:
    sink.refused = {"1.0": 1}
    outbox.clock.rightNow = 1_000_000.0
    outbox.append("1", "api")
    outbox.dispatcher.stop()
    # The clock is set back, and only that of the leases has gone on.
    outbox.clock.rightNow = 0.0
    outbox.shared.advance(FIRST_RETRY)
    outbox.dispatcher.start()
    assert sink.taken == ["1.0"]


def test_without_sinks_nothing_is_asked_of_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox({})
    monkeypatch.setattr(outbox.journal.writer, "submit", lambda _: pytest.fail("something was asked"))
    outbox.dispatcher.start()
    assert has_fired(outbox.dispatcher.stop())


@pytest.mark.parametrize(("chance", "part"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_the_jitter_is_half_of_the_back_off(
    monkeypatch: pytest.MonkeyPatch, chance: float, part: float
) -> None:
    monkeypatch.setattr("change_hooks.outbox.working.random", lambda: chance)
    assert [back_off(attempts) for attempts in (1, 2, 99)] == [
        part * FIRST_RETRY,
        part * 2 * FIRST_RETRY,
        part * LONGEST_RETRY,
    ]


def test_the_back_off_doubles_with_jitter_up_to_a_cap() -> None:
    for attempts in range(1, 200):
        whole = min(LONGEST_RETRY, FIRST_RETRY * 2 ** (attempts - 1))
        assert whole / 2 <= back_off(attempts) <= whole


def test_a_hundred_attempts_take_about_six_hours() -> None:
    assert 5 * 3600 < sum(map(back_off, range(1, 100))) < 7 * 3600


def test_a_sink_may_ask_to_be_left_alone() -> None:
    asked = [100.0, 1e9]

    def sink(change: Change) -> None:
        if asked:
            raise SinkError("slow down", retry_after=asked.pop(0))
        taken.append(change)

    taken: list[Change] = []
    outbox = Outbox({"s": sink})
    outbox.dispatcher.start()
    outbox.append("1", "a")
    for wait, left in ((99.0, 1), (1.0, 0), (LONGEST_WAIT - 1, 0)):
        outbox.advance(wait)
        assert len(asked) == left
        assert taken == []
    outbox.advance(1.0)
    assert len(taken) == 1


def test_a_sink_that_asks_for_less_than_the_back_off_waits_that_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.outbox.working.back_off", lambda attempts: 60.0)
    tried: list[Change] = []

    def sink(change: Change) -> None:
        tried.append(change)
        raise SinkError("slow down", retry_after=1.0)

    outbox = outbox_of(sink)
    outbox.append("1", "a")
    outbox.advance(59.0)
    assert len(tried) == 1
    outbox.advance(1.0)
    assert len(tried) == 2


def test_a_sink_that_keeps_the_time_itself_is_not_timed_out() -> None:
    @implementer(IChangeSink)
    class Slow:
        name = "slow"
        time_limit = None

        def add_change(self, change: Change, key: Any) -> Deferred[None]:
            return waiting

    waiting: Deferred[None] = Deferred()
    outbox = Outbox({"slow": Slow()})
    outbox.dispatcher.start()
    outbox.append("1", "a")
    outbox.advance(SINK_TIMEOUT * 10)
    waiting.callback(None)
    (stored,) = outbox.journal.reader().deliveries()
    assert stored.state == "delivered"


def test_a_sink_that_is_down_for_ninety_nine_attempts_loses_nothing(sink: Sink) -> None:
    outbox = Outbox({"sink": sink}, attempts=100)
    sink.refused = {"1.0": 99, "2.0": 0}
    outbox.dispatcher.start()
    outbox.append("1", "api")
    outbox.append("2", "api")
    for _ in range(99):
        outbox.advance(LONGEST_RETRY)
    assert sink.taken == ["1.0", "2.0"]
    assert outbox.states() == ["delivered", "delivered"]


def test_and_after_a_hundred_it_is_a_dead_letter_and_the_rest_goes_on(sink: Sink) -> None:
    outbox = Outbox({"sink": sink}, attempts=100)
    sink.refused = {"1.0": 100}
    outbox.dispatcher.start()
    outbox.append("1", "api")
    outbox.append("2", "api")
    for _ in range(100):
        outbox.advance(LONGEST_RETRY)
    assert sink.taken == ["2.0"]
    assert outbox.states() == ["failed", "delivered"]


def test_what_is_being_worked_on_is_kept_from_the_others() -> None:
    waiting: Deferred[Any] = Deferred()
    outbox = Outbox({"sink": lambda change: waiting})
    outbox.dispatcher.start()
    outbox.append("1", "api")
    renewed: list[float] = []
    renew = outbox.journal.renew

    def counted(queues: Any, pending: Any) -> Any:
        assert list(queues) == [("sink", "api")]
        renewed.append(outbox.clock.seconds())
        return renew(queues, pending)

    outbox.journal.renew = counted  # type: ignore[method-assign]
    for _ in range(4):
        outbox.advance(LEASE / 3)
    assert renewed == [LEASE / 3 * number for number in (1, 2, 3, 4)]
    stopped = outbox.dispatcher.stop()
    outbox.advance(LEASE / 3)
    assert len(renewed) == 5
    waiting.callback(None)
    assert has_fired(stopped)
    outbox.advance(LEASE)
    assert len(renewed) == 5


def test_a_push_is_handed_over_once_with_its_key() -> None:
    given: list[Any] = []

    @implementer(IChangeSink)
    class Keyed:
        name = "s"
        per = "push"

        def add_change(self, change: Change, key: Any) -> None:
            given.append((change, key))

    outbox = outbox_of(Keyed())
    changes = [Change(branch="main", revision=str(number)) for number in range(4)]
    outbox.store("1", [*changes, Change(branch="dev")])
    outbox.dispatcher.wake()
    assert given == [
        (Push.of(changes), PushKey("base", "1", "main")),
        (Push.of([Change(branch="dev")]), PushKey("base", "1", "dev")),
    ]
    assert outbox.states() == ["delivered"]


def test_a_sink_may_want_what_came_to_some_endpoints_alone() -> None:
    for names, states in ((["ba*"], ["taken"]), (["github"], ["unwanted"])):
        outbox = outbox_of(Sink(), only={"dialects": names})
        outbox.store("1", [Change()])
        outbox.dispatcher.wake()
        assert outbox.sinks() == states


def test_what_no_sink_wants_is_stored_for_none_and_the_rest_of_a_delivery_is_skipped() -> None:
    sink = Sink()
    outbox = outbox_of(sink, only={"branches": ["main"]})
    outbox.store("1", [Change(branch="dev", revision="1")])
    assert outbox.states() == ["stored"]
    outbox.store("2", [Change(branch="dev", revision="2"), Change(branch="main", revision="3")])
    outbox.dispatcher.wake()
    assert sink.tried == ["3"]
    assert outbox.states() == ["stored", "delivered"]


def test_a_sink_that_refuses_for_good_is_not_asked_again() -> None:
    asked: list[str | None] = []

    def sink(change: Change) -> None:
        asked.append(change.revision)
        if change.revision == "1.0":
            raise SinkRefused("no such\nproject")

    outbox = outbox_of(sink)
    outbox.append("1", "api", "api")
    assert asked == ["1.0", "1.1"]
    assert outbox.states() == ["failed"]
    (refused,) = outbox.journal.reader().whole(1).sinks
    assert (refused.index, refused.error) == (0, "no such project")


def test_each_sink_has_attempts_of_its_own() -> None:
    sink = Sink()
    sink.refused = {"1.0": 99}
    outbox = outbox_of(sink, attempts=2)
    outbox.append("1", "api")
    for _ in range(3):
        outbox.advance(LONGEST_RETRY)
    assert len(sink.tried) == 2
    assert outbox.states() == ["failed"]


def test_each_sink_has_places_of_its_own(sink: Sink) -> None:
    waiting = Waiting()

    few, _ = routed(waiting, {"concurrency": 2}, 3)
    outbox = Outbox({"hanging": few, "healthy": sink})
    outbox.dispatcher.start()
    outbox.append("1", *map(str, range(100)))
    for _ in range(4):
        outbox.dispatcher.wake()
    assert len(waiting) == 2
    assert len(sink.taken) == 100


def test_a_time_limit_of_its_own() -> None:
    outbox = outbox_of(lambda change: Deferred(), time_limit=120)
    outbox.append("1", "api")
    outbox.advance(119)
    assert outbox.left().error == ""
    outbox.advance(1)
    assert outbox.left().error == "TimeoutError: it took longer than 120 s"


def test_the_latest_supersedes_what_waits_and_is_never_dropped() -> None:
    sink = Sink()
    sink.refused = {"1": 1}
    outbox = outbox_of(sink, latest_per=["branch"])
    outbox.store("1", [Change(branch="main", revision="1")])
    outbox.dispatcher.wake()
    for revision, branch in (("2", "main"), ("3", "dev"), ("4", "main")):
        outbox.store(revision, [Change(branch=branch, revision=revision)])
    outbox.advance(FIRST_RETRY)
    assert sink.taken == ["3", "4"]
    assert outbox.states() == ["delivered"] * 4


def test_what_was_handed_over_is_recorded_within_a_second() -> None:
    waiting = Waiting()

    outbox = outbox_of(waiting)
    for name in ("1", "2"):
        outbox.store(name, [Change(), Change()])
    outbox.dispatcher.wake()
    for number in range(4):
        outbox.clock.advance(RECORD_WITHIN)
        waiting[number].callback(None)
        left = [
            (each.stored.seq, state.index)
            for each in map(outbox.journal.reader().whole, (1, 2))
            for state in each.sinks
            if state.state == "waiting"
        ]
        assert left == [[(1, 1), (2, 0)], [(2, 0)], [(2, 1)], []][number]
    assert len(waiting) == 4


def test_a_shutdown_begins_nothing_more_within_a_queue() -> None:
    waiting = Waiting()

    outbox = outbox_of(waiting)
    outbox.append("1", "api", "api")
    stopped = outbox.dispatcher.stop()
    waiting[0].callback(None)
    assert has_fired(stopped)
    assert len(waiting) == 1


def test_a_shutdown_breaks_off_what_hangs() -> None:
    waiting = Waiting()

    outbox = outbox_of(waiting)
    outbox.append("1", "api")
    stopped = outbox.dispatcher.stop()
    assert not has_fired(stopped)
    outbox.dispatcher.break_off()
    assert has_fired(stopped)
    # It has failed, and is handed over again.
    assert outbox.states() == ["waiting"]
    assert outbox.left().error == "SinkError: the server was shutting down"


def test_a_sink_of_deliveries_gets_them_as_they_came() -> None:
    given: list[Delivery] = []

    @implementer(IDeliverySink)
    class Whole:
        name = "s"

        def add_delivery(self, received: Delivery) -> None:
            given.append(received)

    outbox = outbox_of(Whole())
    stored = Stored(signatures=True)
    received = delivery(b"{}", id="1", dialect="base", headers={"X-A": "b"}, stored=stored)
    appended = outbox.journal.append(received, [Change(), Change()], outbox.dispatcher.sinks)
    result_of(appended)
    outbox.dispatcher.wake()
    assert [(each.id, each.body, each.header("x-a")) for each in given] == [("1", b"{}", "b")]
    assert outbox.states() == ["delivered"]
    missing = outbox.journal.delivery(99)
    with pytest.raises(LookupError, match="99"):
        result_of(missing)


def test_when_that_breaks_is_a_failure_of_that_sink() -> None:
    answers: list[Any] = [RuntimeError("broken"), RuntimeError("broken"), True]

    def when(change: Change) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    taken: list[Change] = []
    outbox = outbox_of(taken.append, when=when)
    outbox.store("1", [Change()])  # It breaks when the delivery is stored, and when its units are found.
    outbox.dispatcher.wake()
    assert taken == [Change()]
    assert answers == []
    answers += [True, True, RuntimeError("broken"), True, True]
    outbox.store("2", [Change(revision="2")])
    outbox.dispatcher.wake()
    assert outbox.left(2).error == "RuntimeError: broken"
    outbox.advance(FIRST_RETRY)
    assert taken[-1].revision == "2"


def test_when_that_has_changed_its_mind_skips_the_change() -> None:
    answers = [True, True, False]
    asked: list[Change] = []
    taken: list[Change] = []

    def when(change: Change) -> bool:
        asked.append(change)
        return answers.pop(0)

    outbox = outbox_of(taken.append, when=when)
    outbox.store("1", [Change(revision="1")])
    outbox.dispatcher.wake()
    assert asked == [Change(revision="1")] * 3
    assert taken == []
    assert outbox.states() == ["delivered"]


def test_every_hand_over_writes_a_line() -> None:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if "seconds" in event:
            lines.append(event["log_format"].format(**event))

    def sink(change: Change) -> None:
        if change.revision == "2":
            raise SinkRefused("no")
        if change.revision == "3":
            raise RuntimeError("no")

    outbox = outbox_of(sink)
    globalLogPublisher.addObserver(observe)
    try:
        for revision in ("1\n", "2", "3"):
            outbox.store(revision, [Change(repository="r", branch="main", revision=revision)])
        outbox.dispatcher.wake()
    finally:
        globalLogPublisher.removeObserver(observe)
    assert lines == [
        "sink s: r main 1\ufffd: accepted in 0.000 s",
        "sink s: r main 2: refused in 0.000 s",
        "sink s: r main 3: failed in 0.000 s",
    ]


def test_every_failure_says_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.outbox.working.random", lambda: 1.0)
    answers = [SinkBusy("status 429", 30.0), SinkError("status 500"), SinkError("status 500")]

    def sink(change: Change) -> None:
        raise answers.pop(0)

    outbox = outbox_of(sink, attempts=2)
    with logged() as log:
        outbox.append("1", "api")
        outbox.advance(30.0)
        outbox.advance(FIRST_RETRY)
    key = "base/1#0"
    assert [line for line in log if not line.endswith("in 0.000 s")] == [
        f"sink s cannot accept {key} now: SinkBusy: status 429; retrying in 30 s",
        f"delivery of {key} to sink s failed (attempt 1): SinkError: status 500; retrying in 1 s",
        f"gave up delivering {key} to sink s (dead letter): SinkError: status 500",
    ]


def test_what_is_being_worked_on_is_not_begun_again_when_its_lease_ran_out() -> None:
    waiting = Waiting()

    outbox = Outbox({"sink": waiting})
    outbox.dispatcher.start()
    outbox.append("1", "api")
    outbox.shared.advance(LEASE)
    outbox.append("2", "web")
    assert len(waiting) == 2


def test_an_observer_is_told_of_each_attempt_and_of_dead_letters(outbox: Outbox, sink: Sink) -> None:
    sink.refused["1.0"] = 3
    outbox.append("1", "api", "api")
    for _ in range(3):
        outbox.advance(LONGEST_RETRY)
    error = "RuntimeError: not now"
    assert outbox.watching.seen == [
        *[("attempt", "sink", "failed", error)] * 3,
        ("dead letter", "sink", error),
        ("attempt", "sink", "taken", ""),
    ]


def test_an_observer_is_told_what_kind_of_failure_it_was() -> None:
    def refuses(change: Change) -> None:
        raise SinkRefused("never")

    outbox = Outbox({"refuses": refuses, "hangs": lambda change: Deferred()})
    outbox.dispatcher.start()
    outbox.append("1", "api")
    outbox.advance(SINK_TIMEOUT)
    told = [(sink, outcome) for sink, outcome, _ in outbox.watching.of("attempt")]
    assert told == [("refuses", "refused"), ("hangs", "timeout")]
    assert outbox.watching.of("dead letter") == [("refuses", "never")]
    assert outbox.watching.seconds[-1] == SINK_TIMEOUT


def attempts(outbox: Outbox, seq: int = 1) -> list[tuple[str, int, str, str, str]]:
    found = outbox.journal.reader().attempts(seq)
    assert all(abs(each.at - time()) < 60 for each in found)
    return [(each.sink, each.index, each.outcome, each.error, each.output) for each in found]


def test_each_attempt_is_kept_with_its_outcome_and_output() -> None:
    answers: list[Any] = [
        SinkError("not now", output="busy"),
        SinkOutput("done"),
        SinkRefused("never", output="bad"),
        None,
    ]

    def sink(change: Change) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    outbox = outbox_of(sink)
    outbox.append("1", "api", "api", "api")
    outbox.advance(LONGEST_RETRY)
    assert attempts(outbox) == [
        ("s", 0, "failed", "SinkError: not now", "busy"),
        ("s", 0, "taken", "", "done"),
        ("s", 1, "refused", "never", "bad"),
        ("s", 2, "taken", "", ""),
    ]


def test_how_long_an_attempt_took_is_kept() -> None:
    waiting = Waiting()

    outbox = outbox_of(waiting)
    outbox.append("1", "api")
    outbox.clock.advance(0.5)
    waiting[0].callback(None)
    assert [each.seconds for each in outbox.journal.reader().attempts(1)] == [0.5]


def test_what_is_superseded_is_recorded_as_that() -> None:
    sink = Sink()
    outbox = outbox_of(sink, latest_per=("repository", "branch"))
    for name in "123":
        outbox.store(name, [Change(branch="main", revision=name)])
    outbox.dispatcher.wake()
    assert sink.taken == ["3"]
    lines = outbox.journal.reader().after(0)
    assert [line.sinks["s"] for line in lines] == ["superseded", "superseded", "taken"]
    assert [line.state for line in lines] == ["delivered"] * 3
    assert attempts(outbox, 2) == [("s", 0, "superseded", "", "")]
    (superseded,) = outbox.journal.reader().attempts(2)
    assert superseded.seconds == 0


def test_what_a_sink_does_not_want_is_recorded_as_unwanted() -> None:
    outbox = outbox_of(Sink(), only={"branches": ["main"]})
    outbox.store("1", [Change(branch="next")])
    (line,) = outbox.journal.reader().after(0)
    assert (line.state, line.sinks) == ("stored", {"s": "unwanted"})
