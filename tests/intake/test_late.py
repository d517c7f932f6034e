from __future__ import annotations

import gc
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, Unavailable
from change_hooks.core.found import Found
from change_hooks.intake.journalled import JournalIntake
from change_hooks.intake.late import ATTEMPTS, CONCURRENCY, PendingDeliveries
from change_hooks.intake.receipt import Receipt
from change_hooks.journal.reader import Reader
from change_hooks.journal.sqlite import connect, connect_to_read, sqlite_journal
from change_hooks.outbox.dispatcher import LOOK_AGAIN, Dispatcher
from change_hooks.outbox.working import FIRST_RETRY, LONGEST_RETRY
from tests.conftest import delivery, has_fired, result_of


class Rig:
    """A journal and what finishes its pending deliveries, all run by the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.taken: list[Change] = []
        self.processed: list[Delivery] = []
        self.results: list[Any] = []
        self.journal = sqlite_journal(
            path, lambda function, *arguments: function(*arguments), clock=self.clock.seconds
        )
        self.dispatcher = Dispatcher(self.journal, {"sink": self.taken.append}, self.clock, attempts=3)
        self.pending = PendingDeliveries(self.journal, self.dispatcher, self.clock, 5.0, self.process)
        self.intake = JournalIntake(self.journal, self.dispatcher, self.pending)
        self.dispatcher.start()
        self.run()

    def process(self, received: Delivery) -> Any:
        self.processed.append(received)
        return self.results.pop(0)

    def run(self) -> None:
        writer = self.journal.writer
        while not writer._queue.empty():
            writer.run_group()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.run()

    def stored(self) -> list[tuple[str, str]]:
        reader = Reader(connect_to_read(self.path))
        return [(stored.state, stored.reason) for stored in reader.after(0)]

    def postpone(self, name: str) -> None:
        self.journal.postpone(delivery(b"x", id=name, dialect="base"))
        self.run()

    def another(self) -> Rig:
        """The next process, after this one was killed."""
        self.journal.writer._store.close()
        return Rig(self.path)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "journal.sqlite")


def verified(name: str = "1") -> Delivery:
    return delivery(b"x", id=name, dialect="base", verification="signature")


API = Change(repository="api", revision="1")


def test_what_is_found_in_time_is_stored_before_the_answer(rig: Rig) -> None:
    later: Deferred[Found] = Deferred()
    answer = rig.intake.accept_late(verified(), later)
    rig.advance(4.9)
    assert not has_fired(answer)
    later.callback(Found([API]))
    assert not has_fired(answer)
    rig.run()
    assert result_of(answer) == Receipt("accepted", 1)
    rig.advance(60)
    assert rig.stored() == [("delivered", "")]


def test_what_gives_no_change_in_time_is_not_stored(rig: Rig) -> None:
    answer = rig.intake.accept_late(verified(), succeed(Found((), "a ping")))
    assert result_of(answer) == Receipt("ignored", reason="a ping")
    rig.advance(60)
    assert rig.stored() == []


def test_an_error_in_time_is_given_at_once(rig: Rig) -> None:
    later: Deferred[Any] = Deferred()
    answer = rig.intake.accept_late(verified(), later)
    later.errback(BadPayload("no"))
    with pytest.raises(BadPayload):
        result_of(answer)


def test_what_takes_longer_is_stored_answered_and_finished_later(rig: Rig) -> None:
    later: Deferred[Any] = Deferred()
    answer = rig.intake.accept_late(verified(), later)
    rig.clock.advance(5)
    assert not has_fired(answer)
    rig.run()
    assert result_of(answer) == Receipt("postponed")
    assert rig.stored() == [("pending", "")]
    later.callback(Found([API]))
    rig.run()
    assert rig.taken == [API]
    assert rig.stored() == [("delivered", "")]


def test_a_result_that_comes_while_it_is_being_stored_counts(rig: Rig) -> None:
    later: Deferred[Any] = Deferred()
    answer = rig.intake.accept_late(verified(), later)
    rig.clock.advance(5)
    later.callback(Found([API]))
    rig.run()
    assert result_of(answer) == Receipt("postponed")
    assert rig.taken == [API]


def test_what_was_accepted_before_is_not_finished_again(rig: Rig) -> None:
    rig.postpone("1")
    later: Deferred[Any] = Deferred()
    answer = rig.intake.accept_late(verified(), later)
    rig.advance(5)
    assert result_of(answer) == Receipt("duplicate")
    later.callback(Found([API]))
    rig.run()
    assert rig.taken == []


def test_what_cannot_be_stored_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.journal, "postpone", lambda _: fail(Unavailable("disk full")))
    later: Deferred[Any] = Deferred()
    answer = rig.intake.accept_late(verified(), later)
    rig.advance(5)
    with pytest.raises(Unavailable):
        result_of(answer)
    later.callback(Found([API]))
    rig.run()
    assert rig.stored() == []


def test_the_next_process_finishes_what_a_killed_one_did_not(rig: Rig) -> None:
    rig.postpone("1")
    following = rig.another()
    following.results = [succeed(Found([API]))]
    following.pending.start()
    following.run()
    assert [(each.id, each.body) for each in following.processed] == [("1", b"x")]
    assert following.processed[0].verification == "none"
    assert following.taken == [API]
    assert following.stored() == [("delivered", "")]


def test_so_many_at_once(rig: Rig) -> None:
    for number in range(CONCURRENCY + 2):
        rig.postpone(str(number))
    following = rig.another()
    waiting: list[Deferred[Any]] = [Deferred() for _ in range(CONCURRENCY + 2)]
    following.results = list(waiting)
    following.pending.start()
    following.run()
    assert len(following.processed) == CONCURRENCY
    following.advance(LOOK_AGAIN)
    assert len(following.processed) == CONCURRENCY
    waiting[0].callback(Found([API]))
    following.run()
    assert len(following.processed) == CONCURRENCY + 1


def test_a_handler_that_is_refused_something_is_asked_again_and_not_for_ever(rig: Rig) -> None:
    rig.postpone("1")
    following = rig.another()
    following.results = [fail(Unavailable("not now")) for _ in range(ATTEMPTS)]
    following.pending.start()
    following.run()
    assert following.stored() == [("pending", "not now")]
    for _ in range(ATTEMPTS):
        following.advance(LONGEST_RETRY)
    assert following.results == []
    assert following.stored() == [("failed", "not now")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadPayload("is missing", "$.ref"), "$.ref: is missing"),
        (RuntimeError("boom"), "the handler broke (incident"),
    ],
)
def test_a_handler_that_fails_leaves_a_failed_delivery(rig: Rig, error: Exception, said: str) -> None:
    later: Deferred[Any] = Deferred()
    rig.pending.start()
    rig.intake.accept_late(verified(), later)
    rig.advance(5)
    later.errback(error)
    rig.run()
    ((state, why),) = rig.stored()
    assert state == "failed"
    assert why.startswith(said)


def test_what_cannot_be_recorded_is_recorded_later(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.pending.start()
    later: Deferred[Any] = Deferred()
    rig.intake.accept_late(verified(), later)
    rig.advance(5)
    with monkeypatch.context() as broken:
        broken.setattr(rig.journal, "finish", lambda *_, **__: fail(Unavailable("disk full")))
        later.callback(Found([API]))
        rig.advance(FIRST_RETRY)
        assert rig.stored() == [("pending", "")]
    rig.advance(FIRST_RETRY)
    assert rig.taken == [API]


def test_what_a_shutdown_interrupts_is_left_for_the_next_run(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.pending.start()
    rig.run()
    handled, unwritten = Deferred[Any](), Deferred[Any]()
    rig.intake.accept_late(verified("1"), handled)
    rig.intake.accept_late(verified("2"), unwritten)
    rig.advance(5)
    rig.pending.stop()
    handled.errback(Failure(RuntimeError("connection lost, since all ends")))
    monkeypatch.setattr(rig.journal, "finish", lambda *_: fail(Unavailable("disk full")))
    unwritten.callback(Found([API]))
    rig.run()
    assert rig.stored() == [("pending", ""), ("pending", "")]
    rig.pending._look()
    assert rig.journal.writer._queue.empty()


def test_a_journal_that_cannot_be_read_is_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.postpone("1")
    following = rig.another()
    following.results = [succeed(Found([API]))]
    with monkeypatch.context() as broken:
        broken.setattr(following.journal, "pending", lambda *_: fail(Unavailable("no")))
        following.pending.start()
    following.advance(LOOK_AGAIN)
    assert following.taken == [API]


def test_a_bug_in_the_recording_does_not_stop_the_rest(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.postpone("1")
    following = rig.another()
    following.results = [succeed(Found([API]))]
    monkeypatch.setattr(following.journal, "finish", lambda *_: fail(RuntimeError("a bug")))
    following.pending.start()
    following.run()
    assert following.pending._working == 0


def test_what_was_found_in_time_is_let_go_without_the_garbage_collector(rig: Rig) -> None:
    class Large(Delivery):
        __slots__ = ("__weakref__",)

    received = Large(b"POST", b"/", Headers(), b"x", id="1", dialect="base", verification="signature")
    alive = ref(received)
    later: Deferred[Any] = Deferred()
    answer = rig.intake.accept_late(received, later)
    del received
    gc.disable()
    try:
        later.callback(Found())
        assert result_of(answer) == Receipt("ignored")
        del later, answer
        assert alive() is None
    finally:
        gc.enable()


def test_what_is_being_finished_is_not_begun_again_when_its_lease_ran_out(rig: Rig) -> None:
    rig.postpone("1")
    following = rig.another()
    following.results = [Deferred()]
    following.pending.start()
    following.run()
    with closing(connect(rig.path)) as connection:
        connection.execute("UPDATE deliveries SET lease = 0")
    following.pending._look()
    following.run()
    assert len(following.processed) == 1
