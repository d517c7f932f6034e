from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import time
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery, Stored
from change_hooks.core.errors import Unavailable
from change_hooks.core.push import Push, PushKey
from change_hooks.interfaces import IChangeSink, IDeliverySink, SinkError, SinkOutput, SinkRefused
from change_hooks.journal import LEASE, ChangeKey
from change_hooks.journal.reader import Reader
from change_hooks.journal.sqlite import connect, connect_to_read
from change_hooks.outbox.dispatcher import LOOK_AGAIN, Dispatcher
from change_hooks.outbox.handing import LONGEST_WAIT
from change_hooks.outbox.sink_options import CONCURRENCY, routed
from change_hooks.outbox.sink_options import SINK_TIME_LIMIT as SINK_TIMEOUT
from change_hooks.outbox.working import FIRST_RETRY, LONGEST_RETRY, RECORD_WITHIN, back_off
from tests.conftest import delivery, has_fired, result_of
from tests.support.outbox_rig import Rig, Sink, routed_rig, store


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def rig(tmp_path: Path, sink: Sink) -> Iterator[Rig]:
    rig = Rig(tmp_path / "journal.sqlite", {"sink": sink})
    rig.dispatcher.start()
    rig.run()
    yield rig


def test_changes_reach_the_sink_in_order(rig: Rig, sink: Sink) -> None:
    rig.append("1", "api", "api")
    rig.append("2", "api")
    assert sink.taken == ["1.0", "1.1", "2.0"]
    assert rig.states() == ["delivered", "delivered"]


def test_the_parts_of_a_large_delivery_follow_one_another(
    rig: Rig, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("change_hooks.journal.facade.LARGE", -1)
    monkeypatch.setattr("change_hooks.journal.chunks.PIECE", 1)
    sink.refused = {"1.2": 1}
    rig.append("1", "api", "web", "api", "api")
    rig.append("2", "api")
    assert sink.taken == ["1.0", "1.1"]
    rig.advance(FIRST_RETRY)
    assert sink.taken == ["1.0", "1.1", "1.2", "1.3", "2.0"]
    assert rig.states() == ["delivered", "delivered"]


def test_a_sink_object_gets_the_key(tmp_path: Path) -> None:
    keys: list[Any] = []

    @implementer(IChangeSink)
    class Keyed:
        name = "keyed"

        async def add_change(self, change: Change, key: Any) -> None:
            keys.append(key)

    rig = Rig(tmp_path / "x.sqlite", {"keyed": Keyed()})
    rig.dispatcher.start()
    rig.append("1", "api", "api")
    assert keys == [ChangeKey("base", "1", 0), ChangeKey("base", "1", 1)]


def test_a_failure_is_tried_again_and_holds_up_its_own_repository_alone(rig: Rig, sink: Sink) -> None:
    sink.refused = {"1.0": 2}
    rig.append("1", "api", "web", "api")
    rig.append("2", "api")
    assert sink.taken == ["1.1"]
    rig.advance(FIRST_RETRY)
    assert sink.taken == ["1.1"]
    rig.advance(2 * FIRST_RETRY)
    assert sink.taken == ["1.1", "1.0", "1.2", "2.0"]
    assert sink.tried.count("1.0") == 3
    assert rig.states() == ["delivered", "delivered"]


def test_a_failing_sink_does_not_delay_another(tmp_path: Path, sink: Sink) -> None:
    rig = Rig(tmp_path / "x.sqlite", {"bad": lambda change: fail(RuntimeError()), "good": sink})
    rig.dispatcher.start()
    rig.append("1", "api")
    assert sink.taken == ["1.0"]
    assert rig.states() == ["waiting"]


def test_a_change_is_given_up_after_enough_attempts_and_the_queue_goes_on(rig: Rig, sink: Sink) -> None:
    sink.refused = {"1.0": 99}
    rig.append("1", "api", "api")
    for _ in range(3):
        rig.advance(LONGEST_RETRY)
    assert sink.tried.count("1.0") == 3
    assert sink.taken == ["1.1"]
    assert rig.states() == ["failed"]
    (error,) = connect_to_read(rig.path).execute("SELECT error FROM dead_letters").fetchone()
    assert error == "RuntimeError: 'not\\nnow'"


def test_attempts_are_counted_for_each_change_anew(rig: Rig, sink: Sink) -> None:
    sink.refused = {"1.0": 2, "1.1": 2}
    rig.append("1", "api", "api")
    for _ in range(6):
        rig.advance(LONGEST_RETRY)
    assert sink.taken == ["1.0", "1.1"]


def test_the_attempts_and_the_last_error_are_stored(rig: Rig, sink: Sink) -> None:
    sink.refused = {"1.0": 1}
    rig.append("1", "api")
    row = connect_to_read(rig.path).execute("SELECT attempts, error FROM queues").fetchone()
    assert tuple(row) == (1, "RuntimeError: 'not\\nnow'")


def test_a_sink_that_hangs_is_timed_out(tmp_path: Path) -> None:
    hung: list[Deferred[None]] = []

    def hang(change: Change) -> Deferred[None]:
        hung.append(Deferred())
        return hung[-1]

    rig = Rig(tmp_path / "x.sqlite", {"sink": hang})
    rig.dispatcher.start()
    rig.append("1", "api")
    rig.advance(SINK_TIMEOUT)
    assert len(hung) == 1
    rig.advance(FIRST_RETRY)
    assert len(hung) == 2
    hung[1].callback(None)
    rig.run()
    assert rig.states() == ["delivered"]


def test_what_is_left_over_is_delivered_after_a_restart(tmp_path: Path, sink: Sink) -> None:
    before = Rig(tmp_path / "x.sqlite", {"sink": sink})
    before.append("1", "api")
    assert sink.taken == []
    after = Rig(tmp_path / "x.sqlite", {"sink": sink})
    after.dispatcher.start()
    after.run()
    assert sink.taken == ["1.0"]


def test_stopping_waits_for_what_is_being_handed_over_and_begins_nothing(tmp_path: Path) -> None:
    waiting: list[Deferred[None]] = []

    def slow(change: Change) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    rig = Rig(tmp_path / "x.sqlite", {"sink": slow})
    rig.dispatcher.start()
    rig.append("1", "api")
    stopped = rig.dispatcher.stop()
    rig.append("2", "web")
    assert len(waiting) == 1
    assert not has_fired(stopped)
    waiting[0].callback(None)
    rig.run()
    assert has_fired(stopped)
    assert rig.states() == ["delivered", "waiting"]
    assert rig.clock.getDelayedCalls() == []
    assert has_fired(rig.dispatcher.stop())


def test_stopping_while_it_looks_for_work(rig: Rig, sink: Sink) -> None:
    rig.dispatcher.wake()
    stopped = rig.dispatcher.stop()
    assert not has_fired(stopped)
    rig.run()
    assert has_fired(stopped)
    assert rig.clock.getDelayedCalls() == []


def test_only_so_many_queues_are_worked_on_at_once(tmp_path: Path) -> None:
    waiting: list[Deferred[None]] = []

    def slow(change: Change) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    rig = Rig(tmp_path / "x.sqlite", {"sink": slow})
    rig.dispatcher.start()
    rig.append("1", *(str(number) for number in range(CONCURRENCY + 5)))
    assert len(waiting) == CONCURRENCY
    rig.dispatcher.wake()
    rig.run()
    assert len(waiting) == CONCURRENCY
    waiting[0].callback(None)
    rig.run()
    assert len(waiting) == CONCURRENCY + 1


def test_it_looks_for_work_that_nobody_announced(rig: Rig, sink: Sink) -> None:
    appended = rig.journal.append(
        delivery(id="9", dialect="base"), [Change(repository="api", revision="9")], ("sink",)
    )
    rig.run()
    result_of(appended)
    assert sink.taken == []
    rig.advance(LOOK_AGAIN)
    assert sink.taken == ["9"]


def test_a_journal_that_cannot_be_read_is_tried_again(
    rig: Rig, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(rig.journal, "claim", lambda *_: fail(Unavailable("broken")))
        rig.append("1", "api")
    assert sink.taken == []
    rig.advance(LONGEST_RETRY)
    assert sink.taken == ["1.0"]


def test_what_cannot_be_recorded_is_recorded_later_and_not_handed_over_twice(
    rig: Rig, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(rig.journal, "record", lambda _: fail(Unavailable("disk full")))
        rig.append("1", "api")
        rig.advance(FIRST_RETRY)
        assert rig.states() == ["waiting"]
    rig.advance(FIRST_RETRY)
    assert rig.states() == ["delivered"]
    assert sink.taken == ["1.0"]


def test_a_shutdown_does_not_wait_for_a_journal_that_cannot_be_written(
    rig: Rig, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.journal, "record", lambda _: fail(Unavailable("disk full")))
    rig.append("1", "api")
    stopped = rig.dispatcher.stop()
    rig.advance(FIRST_RETRY)
    assert has_fired(stopped)


def test_an_error_of_its_own_does_not_stop_it(rig: Rig, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(rig.journal, "record", lambda _: fail(RuntimeError("a bug")))
        broken.setattr(rig.dispatcher, "wake", lambda: None)
        rig.dispatcher._claiming = False
        Dispatcher.wake(rig.dispatcher)
        rig.append("1", "api")
        Dispatcher.wake(rig.dispatcher)
        rig.run()
    rig.append("2", "web")
    assert "2.0" in sink.taken


def test_the_clock_of_a_receiver_that_is_ahead_delays_no_queue(rig: Rig, sink: Sink) -> None:
    sink.refused = {"1.0": 1}
    rig.clock.rightNow = 1_000_000.0
    rig.append("1", "api")
    rig.dispatcher.stop()
    # The clock is set back, and only that of the leases has gone on.
    rig.clock.rightNow = 0.0
    rig.shared.advance(FIRST_RETRY)
    rig.dispatcher.start()
    rig.run()
    assert sink.taken == ["1.0"]


def test_without_sinks_there_is_nothing_to_do(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "x.sqlite", {})
    rig.dispatcher.start()
    assert rig.journal.writer._queue.empty()
    assert has_fired(rig.dispatcher.stop())


def test_the_back_off_doubles_with_jitter_up_to_a_cap() -> None:
    for attempts in range(1, 200):
        whole = min(LONGEST_RETRY, FIRST_RETRY * 2 ** (attempts - 1))
        assert whole / 2 <= back_off(attempts) <= whole


def test_a_hundred_attempts_take_about_six_hours() -> None:
    assert 5 * 3600 < sum(map(back_off, range(1, 100))) < 7 * 3600


def test_a_sink_may_ask_to_be_left_alone(tmp_path: Path) -> None:
    asked = [100.0, 1e9]

    def sink(change: Change) -> None:
        if asked:
            raise SinkError("slow down", retry_after=asked.pop(0))
        taken.append(change)

    taken: list[Change] = []
    rig = Rig(tmp_path / "j", {"s": sink})
    rig.journal.writer.submit(lambda connection: None)
    rig.run()
    rig.dispatcher.start()
    rig.run()
    rig.append("1", "a")
    for wait, left in ((99.0, 1), (1.0, 0), (LONGEST_WAIT - 1, 0)):
        rig.advance(wait)
        assert len(asked) == left
        assert taken == []
    rig.advance(1.0)
    assert len(taken) == 1


def test_a_sink_that_keeps_the_time_itself_is_not_timed_out(tmp_path: Path) -> None:
    @implementer(IChangeSink)
    class Slow:
        name = "slow"
        time_limit = None

        def add_change(self, change: Change, key: Any) -> Deferred[None]:
            return waiting

    waiting: Deferred[None] = Deferred()
    rig = Rig(tmp_path / "j", {"slow": Slow()})
    rig.dispatcher.start()
    rig.run()
    rig.append("1", "a")
    rig.advance(SINK_TIMEOUT * 10)
    waiting.callback(None)
    rig.run()
    (stored,) = Reader(connect_to_read(rig.path)).deliveries()
    assert stored.state == "delivered"


def test_a_sink_that_is_down_for_ninety_nine_attempts_loses_nothing(tmp_path: Path, sink: Sink) -> None:
    rig = Rig(tmp_path / "journal.sqlite", {"sink": sink}, attempts=100)
    sink.refused = {"1.0": 99, "2.0": 0}
    rig.dispatcher.start()
    rig.run()
    rig.append("1", "api")
    rig.append("2", "api")
    for _ in range(99):
        rig.advance(LONGEST_RETRY)
    assert sink.taken == ["1.0", "2.0"]
    assert rig.states() == ["delivered", "delivered"]


def test_and_after_a_hundred_it_is_a_dead_letter_and_the_rest_goes_on(tmp_path: Path, sink: Sink) -> None:
    rig = Rig(tmp_path / "journal.sqlite", {"sink": sink}, attempts=100)
    sink.refused = {"1.0": 100}
    rig.dispatcher.start()
    rig.run()
    rig.append("1", "api")
    rig.append("2", "api")
    for _ in range(100):
        rig.advance(LONGEST_RETRY)
    assert sink.taken == ["2.0"]
    assert rig.states() == ["failed", "delivered"]


def test_what_is_being_worked_on_is_kept_from_the_others(tmp_path: Path) -> None:
    waiting: Deferred[Any] = Deferred()
    rig = Rig(tmp_path / "journal.sqlite", {"sink": lambda change: waiting})
    rig.dispatcher.start()
    rig.run()
    rig.append("1", "api")
    renewed: list[float] = []
    renew = rig.journal.renew

    def counted(queues: Any, pending: Any) -> Any:
        assert list(queues) == [("sink", "api")]
        renewed.append(rig.clock.seconds())
        return renew(queues, pending)

    rig.journal.renew = counted  # type: ignore[method-assign]
    for _ in range(4):
        rig.advance(LEASE / 3)
    assert renewed == [LEASE / 3 * number for number in (1, 2, 3, 4)]
    stopped = rig.dispatcher.stop()
    rig.advance(LEASE / 3)
    assert len(renewed) == 5
    waiting.callback(None)
    rig.run()
    assert has_fired(stopped)
    rig.advance(LEASE)
    assert len(renewed) == 5


def test_a_push_is_handed_over_once_with_its_key(tmp_path: Path) -> None:
    given: list[Any] = []

    @implementer(IChangeSink)
    class Keyed:
        name = "s"
        per = "push"

        def add_change(self, change: Change, key: Any) -> None:
            given.append((change, key))

    rig = routed_rig(tmp_path, Keyed())
    changes = [Change(branch="main", revision=str(number)) for number in range(4)]
    store(rig, "1", [*changes, Change(branch="dev")])
    rig.dispatcher.wake()
    rig.run()
    assert given == [
        (Push.of(changes), PushKey("base", "1", "main")),
        (Push.of([Change(branch="dev")]), PushKey("base", "1", "dev")),
    ]
    assert rig.states() == ["delivered"]


def test_what_no_sink_wants_is_stored_for_none_and_the_rest_of_a_delivery_is_skipped(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, only={"branches": ["main"]})
    store(rig, "1", [Change(branch="dev", revision="1")])
    assert rig.states() == ["stored"]
    store(rig, "2", [Change(branch="dev", revision="2"), Change(branch="main", revision="3")])
    rig.dispatcher.wake()
    rig.run()
    assert sink.tried == ["3"]
    assert rig.states() == ["stored", "delivered"]


def test_a_sink_that_refuses_for_good_is_not_asked_again(tmp_path: Path) -> None:
    asked: list[str | None] = []

    def sink(change: Change) -> None:
        asked.append(change.revision)
        if change.revision == "1.0":
            raise SinkRefused("no such\nproject")

    rig = routed_rig(tmp_path, sink)
    rig.append("1", "api", "api")
    assert asked == ["1.0", "1.1"]
    assert rig.states() == ["failed"]
    (error,) = connect_to_read(rig.path).execute("SELECT error FROM dead_letters").fetchone()
    assert error == "'no such\\nproject'"


def test_each_sink_has_attempts_of_its_own(tmp_path: Path) -> None:
    sink = Sink()
    sink.refused = {"1.0": 99}
    rig = routed_rig(tmp_path, sink, attempts=2)
    rig.append("1", "api")
    for _ in range(3):
        rig.advance(LONGEST_RETRY)
    assert len(sink.tried) == 2
    assert rig.states() == ["failed"]


def test_each_sink_has_places_of_its_own(tmp_path: Path, sink: Sink) -> None:
    waiting: list[Deferred[None]] = []

    def hang(change: Change) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    few, _ = routed(hang, {"concurrency": 2}, 3)
    rig = Rig(tmp_path / "x.sqlite", {"hanging": few, "healthy": sink})
    rig.dispatcher.start()
    rig.run()
    rig.append("1", *map(str, range(100)))
    for _ in range(4):
        rig.dispatcher.wake()
        rig.run()
    assert len(waiting) == 2
    assert len(sink.taken) == 100


def test_a_time_limit_of_its_own(tmp_path: Path) -> None:
    rig = routed_rig(tmp_path, lambda change: Deferred(), time_limit=120)
    rig.append("1", "api")
    rig.advance(119)
    assert "TimeoutError" not in queue_error(rig)
    rig.advance(1)
    assert "TimeoutError" in queue_error(rig)


def queue_error(rig: Rig) -> str:
    (error,) = connect_to_read(rig.path).execute("SELECT error FROM queues").fetchone()
    return str(error)


def test_the_latest_supersedes_what_waits_and_is_never_dropped(tmp_path: Path) -> None:
    sink = Sink()
    sink.refused = {"1": 1}
    rig = routed_rig(tmp_path, sink, latest_per=["branch"])
    store(rig, "1", [Change(branch="main", revision="1")])
    rig.dispatcher.wake()
    rig.run()
    for revision, branch in (("2", "main"), ("3", "dev"), ("4", "main")):
        store(rig, revision, [Change(branch=branch, revision=revision)])
    rig.advance(FIRST_RETRY)
    assert sink.taken == ["3", "4"]
    assert rig.states() == ["delivered"] * 4


def test_what_was_handed_over_is_recorded_within_a_second(tmp_path: Path) -> None:
    waiting: list[Deferred[None]] = []

    def slow(change: Change) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    rig = routed_rig(tmp_path, slow)
    for name in ("1", "2"):
        store(rig, name, [Change(), Change()])
    rig.dispatcher.wake()
    rig.run()
    for number in range(4):
        rig.clock.advance(RECORD_WITHIN)
        waiting[number].callback(None)
        rig.run()
        left = connect_to_read(rig.path).execute("SELECT seq, next FROM entries ORDER BY seq").fetchall()
        assert [tuple(row) for row in left] == [[(1, 1), (2, 0)], [(2, 0)], [(2, 1)], []][number]
    assert len(waiting) == 4


def test_a_shutdown_begins_nothing_more_within_a_queue(tmp_path: Path) -> None:
    waiting: list[Deferred[None]] = []

    def slow(change: Change) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    rig = routed_rig(tmp_path, slow)
    rig.append("1", "api", "api")
    stopped = rig.dispatcher.stop()
    waiting[0].callback(None)
    rig.run()
    assert has_fired(stopped)
    assert len(waiting) == 1


def test_a_shutdown_breaks_off_what_hangs(tmp_path: Path) -> None:
    waiting: list[Deferred[None]] = []

    def hangs(change: Change) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    rig = routed_rig(tmp_path, hangs)
    rig.append("1", "api")
    stopped = rig.dispatcher.stop()
    rig.run()
    assert not has_fired(stopped)
    rig.dispatcher.break_off()
    rig.run()
    assert has_fired(stopped)
    # It has failed, and is handed over again.
    assert rig.states() == ["waiting"]
    (line,) = Reader(connect_to_read(rig.path)).whole(1).sinks
    assert line.error == "SinkError: 'the server was shutting down'"


def test_a_sink_of_deliveries_gets_them_as_they_came(tmp_path: Path) -> None:
    given: list[Delivery] = []

    @implementer(IDeliverySink)
    class Whole:
        name = "s"

        def add_delivery(self, received: Delivery) -> None:
            given.append(received)

    rig = routed_rig(tmp_path, Whole())
    stored = Stored(signatures=True)
    received = delivery(b"{}", id="1", dialect="base", headers={"X-A": "b"}, stored=stored)
    appended = rig.journal.append(received, [Change(), Change()], rig.dispatcher.sinks)
    rig.run()
    result_of(appended)
    rig.dispatcher.wake()
    rig.run()
    assert [(each.id, each.body, each.header("x-a")) for each in given] == [("1", b"{}", "b")]
    assert rig.states() == ["delivered"]
    missing = rig.journal.delivery(99)
    rig.run()
    with pytest.raises(LookupError, match="99"):
        result_of(missing)


def test_when_that_breaks_is_a_failure_of_that_sink(tmp_path: Path) -> None:
    answers: list[Any] = [RuntimeError("broken"), RuntimeError("broken"), True]

    def when(change: Change) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    taken: list[Change] = []
    rig = routed_rig(tmp_path, taken.append, when=when)
    store(rig, "1", [Change()])  # It breaks when the delivery is stored, and when its units are found.
    rig.dispatcher.wake()
    rig.run()
    assert taken == [Change()]
    assert answers == []
    answers += [True, True, RuntimeError("broken"), True, True]
    store(rig, "2", [Change(revision="2")])
    rig.dispatcher.wake()
    rig.run()
    assert "RuntimeError: 'broken'" in queue_error(rig)
    rig.advance(FIRST_RETRY)
    assert taken[-1].revision == "2"


def test_when_that_has_changed_its_mind_skips_the_change(tmp_path: Path) -> None:
    answers = [True, True, False]
    taken: list[Change] = []
    rig = routed_rig(tmp_path, taken.append, when=lambda change: answers.pop(0))
    store(rig, "1", [Change()])
    rig.dispatcher.wake()
    rig.run()
    assert taken == []
    assert rig.states() == ["delivered"]


def test_every_hand_over_writes_a_line(tmp_path: Path) -> None:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if "seconds" in event:
            lines.append(event["log_format"].format(**event))

    def sink(change: Change) -> None:
        if change.revision == "2":
            raise SinkRefused("no")
        if change.revision == "3":
            raise RuntimeError("no")

    rig = routed_rig(tmp_path, sink)
    globalLogPublisher.addObserver(observe)
    try:
        for revision in ("1\n", "2", "3"):
            store(rig, revision, [Change(repository="r", branch="main", revision=revision)])
        rig.dispatcher.wake()
        rig.run()
    finally:
        globalLogPublisher.removeObserver(observe)
    assert lines == [
        "sink s: r main 1\ufffd: accepted in 0.000 s",
        "sink s: r main 2: refused in 0.000 s",
        "sink s: r main 3: failed in 0.000 s",
    ]


def test_what_is_being_worked_on_is_not_begun_again_when_its_lease_ran_out(tmp_path: Path) -> None:
    waiting: list[Deferred[Any]] = []

    def slow(change: Change) -> Deferred[Any]:
        waiting.append(Deferred())
        return waiting[-1]

    rig = Rig(tmp_path / "journal.sqlite", {"sink": slow})
    rig.dispatcher.start()
    rig.run()
    rig.append("1", "api")
    with closing(connect(tmp_path / "journal.sqlite")) as connection:
        connection.execute("UPDATE queues SET lease = 0")
    rig.dispatcher.wake()
    rig.run()
    assert len(waiting) == 1


def test_an_observer_is_told_of_each_attempt_and_of_dead_letters(rig: Rig, sink: Sink) -> None:
    sink.refused["1.0"] = 3
    rig.append("1", "api", "api")
    for _ in range(3):
        rig.advance(LONGEST_RETRY)
    error = "RuntimeError: 'not\\nnow'"
    assert rig.watching.seen == [
        *[("attempt", "sink", "failed", error)] * 3,
        ("dead letter", "sink", error),
        ("attempt", "sink", "taken", ""),
    ]


def test_an_observer_is_told_what_kind_of_failure_it_was(tmp_path: Path) -> None:
    def refuses(change: Change) -> None:
        raise SinkRefused("never")

    rig = Rig(tmp_path / "journal.sqlite", {"refuses": refuses, "hangs": lambda change: Deferred()})
    rig.dispatcher.start()
    rig.run()
    rig.append("1", "api")
    rig.advance(SINK_TIMEOUT)
    told = [(sink, outcome) for sink, outcome, _ in rig.watching.of("attempt")]
    assert told == [("refuses", "refused"), ("hangs", "timeout")]
    assert rig.watching.of("dead letter") == [("refuses", "'never'")]
    assert rig.watching.seconds[-1] == SINK_TIMEOUT


def attempts(rig: Rig, seq: int = 1) -> list[tuple[str, int, str, str, str]]:
    found = Reader(connect_to_read(rig.path)).attempts(seq)
    assert all(abs(each.at - time()) < 60 for each in found)
    return [(each.sink, each.index, each.outcome, each.error, each.output) for each in found]


def test_each_attempt_is_kept_with_its_outcome_and_output(tmp_path: Path) -> None:
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

    rig = routed_rig(tmp_path, sink)
    rig.append("1", "api", "api", "api")
    rig.advance(LONGEST_RETRY)
    assert attempts(rig) == [
        ("s", 0, "failed", "SinkError: 'not now'", "busy"),
        ("s", 0, "taken", "", "done"),
        ("s", 1, "refused", "'never'", "bad"),
        ("s", 2, "taken", "", ""),
    ]


def test_how_long_an_attempt_took_is_kept(tmp_path: Path) -> None:
    waiting: list[Deferred[None]] = []

    def slow(change: Change) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    rig = routed_rig(tmp_path, slow)
    rig.append("1", "api")
    rig.clock.advance(0.5)
    waiting[0].callback(None)
    rig.run()
    assert [each.seconds for each in Reader(connect_to_read(rig.path)).attempts(1)] == [0.5]


def test_what_is_superseded_is_recorded_as_that(tmp_path: Path) -> None:
    sink = Sink()
    rig = routed_rig(tmp_path, sink, latest_per=("repository", "branch"))
    for name in "123":
        store(rig, name, [Change(branch="main", revision=name)])
    rig.dispatcher.wake()
    rig.run()
    assert sink.taken == ["3"]
    lines = Reader(connect_to_read(rig.path)).after(0)
    assert [line.sinks["s"] for line in lines] == ["superseded", "superseded", "taken"]
    assert [line.state for line in lines] == ["delivered"] * 3
    assert attempts(rig, 2) == [("s", 0, "superseded", "", "")]


def test_what_a_sink_does_not_want_is_recorded_as_unwanted(tmp_path: Path) -> None:
    rig = routed_rig(tmp_path, Sink(), only={"branches": ["main"]})
    store(rig, "1", [Change(branch="next")])
    (line,) = Reader(connect_to_read(rig.path)).after(0)
    assert (line.state, line.sinks) == ("stored", {"s": "unwanted"})
