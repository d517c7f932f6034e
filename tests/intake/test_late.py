from __future__ import annotations

import gc
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
from change_hooks.journal import LEASE
from change_hooks.journal.writer import Writer
from change_hooks.outbox.dispatcher import LOOK_AGAIN, Dispatcher
from change_hooks.outbox.working import FIRST_RETRY, LONGEST_RETRY
from change_hooks.testing import MemoryJournal
from tests.conftest import delivery, has_fired, result_of


class Process:
    """A process that finishes pending deliveries; the test runs its journal's writer.

    :param before: the one that was killed before it.
    """

    def __init__(self, before: Process | None = None) -> None:
        self.clock = Clock()
        #: The clock of the leases.
        self.shared = Clock() if before is None else before.shared
        self.taken: list[Change] = []
        self.processed: list[Delivery] = []
        self.results: list[Any] = []
        store = None if before is None else before.journal.store
        self.journal = MemoryJournal(store, clock=self.shared.seconds, writer=Writer)
        self.dispatcher = Dispatcher(self.journal, {"sink": self.taken.append}, self.clock, attempts=3)
        self.pending = PendingDeliveries(self.journal, self.dispatcher, self.clock, 5.0, self.process)
        self.intake = JournalIntake(self.journal, self.dispatcher, self.pending)
        self.dispatcher.start()
        self.run()

    def process(self, received: Delivery) -> Any:
        self.processed.append(received)
        return self.results.pop(0)

    def run(self) -> None:
        self.journal.writer.run_submitted()

    def advance(self, seconds: float) -> None:
        self.shared.advance(seconds)
        self.clock.advance(seconds)
        self.run()

    def stored(self) -> list[tuple[str, str]]:
        return [(stored.state, stored.reason) for stored in self.journal.reader().after(0)]

    def postpone(self, name: str) -> None:
        self.journal.postpone(delivery(b"x", id=name, dialect="base"))
        self.run()

    def another(self) -> Process:
        """The next process, some time after this one was killed."""
        self.shared.advance(LEASE)
        return Process(self)


@pytest.fixture
def process() -> Process:
    return Process()


def verified(name: str = "1") -> Delivery:
    return delivery(b"x", id=name, dialect="base", verification="signature")


API = Change(repository="api", revision="1")


def test_what_is_found_in_time_is_stored_before_the_answer(process: Process) -> None:
    later: Deferred[Found] = Deferred()
    answer = process.intake.accept_late(verified(), later)
    process.advance(4.9)
    assert not has_fired(answer)
    later.callback(Found([API]))
    assert not has_fired(answer)
    process.run()
    assert result_of(answer) == Receipt("accepted", 1)
    process.advance(60)
    assert process.stored() == [("delivered", "")]


def test_what_gives_no_change_in_time_is_not_stored(process: Process) -> None:
    answer = process.intake.accept_late(verified(), succeed(Found((), "a ping")))
    assert result_of(answer) == Receipt("ignored", reason="a ping")
    process.advance(60)
    assert process.stored() == []


def test_an_error_in_time_is_given_at_once(process: Process) -> None:
    later: Deferred[Any] = Deferred()
    answer = process.intake.accept_late(verified(), later)
    later.errback(BadPayload("no"))
    with pytest.raises(BadPayload):
        result_of(answer)


def test_what_takes_longer_is_stored_answered_and_finished_later(process: Process) -> None:
    later: Deferred[Any] = Deferred()
    answer = process.intake.accept_late(verified(), later)
    process.clock.advance(5)
    assert not has_fired(answer)
    process.run()
    assert result_of(answer) == Receipt("postponed")
    assert process.stored() == [("pending", "")]
    later.callback(Found([API]))
    process.run()
    assert process.taken == [API]
    assert process.stored() == [("delivered", "")]


def test_a_result_that_comes_while_it_is_being_stored_counts(process: Process) -> None:
    later: Deferred[Any] = Deferred()
    answer = process.intake.accept_late(verified(), later)
    process.clock.advance(5)
    later.callback(Found([API]))
    process.run()
    assert result_of(answer) == Receipt("postponed")
    assert process.taken == [API]


def test_what_was_accepted_before_is_not_finished_again(process: Process) -> None:
    process.postpone("1")
    later: Deferred[Any] = Deferred()
    answer = process.intake.accept_late(verified(), later)
    process.advance(5)
    assert result_of(answer) == Receipt("duplicate")
    later.callback(Found([API]))
    process.run()
    assert process.taken == []


def test_what_cannot_be_stored_is_refused(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.journal, "postpone", lambda _: fail(Unavailable("disk full")))
    later: Deferred[Any] = Deferred()
    answer = process.intake.accept_late(verified(), later)
    process.advance(5)
    with pytest.raises(Unavailable):
        result_of(answer)
    later.callback(Found([API]))
    process.run()
    assert process.stored() == []


def test_the_next_process_finishes_what_a_killed_one_did_not(process: Process) -> None:
    process.postpone("1")
    following = process.another()
    following.results = [succeed(Found([API]))]
    following.pending.start()
    following.run()
    assert [(each.id, each.body) for each in following.processed] == [("1", b"x")]
    assert following.processed[0].verification == "none"
    assert following.taken == [API]
    assert following.stored() == [("delivered", "")]


def test_so_many_at_once(process: Process) -> None:
    for number in range(CONCURRENCY + 2):
        process.postpone(str(number))
    following = process.another()
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


def test_a_handler_that_is_refused_something_is_asked_again_and_not_for_ever(process: Process) -> None:
    process.postpone("1")
    following = process.another()
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
def test_a_handler_that_fails_leaves_a_failed_delivery(process: Process, error: Exception, said: str) -> None:
    later: Deferred[Any] = Deferred()
    process.pending.start()
    process.intake.accept_late(verified(), later)
    process.advance(5)
    later.errback(error)
    process.run()
    ((state, why),) = process.stored()
    assert state == "failed"
    assert why.startswith(said)


def test_what_cannot_be_recorded_is_recorded_later(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process.pending.start()
    later: Deferred[Any] = Deferred()
    process.intake.accept_late(verified(), later)
    process.advance(5)
    with monkeypatch.context() as broken:
        broken.setattr(process.journal, "finish", lambda *_, **__: fail(Unavailable("disk full")))
        later.callback(Found([API]))
        process.advance(FIRST_RETRY)
        assert process.stored() == [("pending", "")]
    process.advance(FIRST_RETRY)
    assert process.taken == [API]


def test_what_a_shutdown_interrupts_is_left_for_the_next_run(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.pending.start()
    process.run()
    handled, unwritten = Deferred[Any](), Deferred[Any]()
    process.intake.accept_late(verified("1"), handled)
    process.intake.accept_late(verified("2"), unwritten)
    process.advance(5)
    process.pending.stop()
    handled.errback(Failure(RuntimeError("connection lost, since all ends")))
    monkeypatch.setattr(process.journal, "finish", lambda *_: fail(Unavailable("disk full")))
    unwritten.callback(Found([API]))
    process.run()
    assert process.stored() == [("pending", ""), ("pending", "")]
    monkeypatch.setattr(process.journal, "pending", lambda _: pytest.fail("something is begun"))
    process.clock.advance(LOOK_AGAIN)


def test_nothing_is_left_to_come_when_it_has_stopped(process: Process) -> None:
    before = list(process.clock.getDelayedCalls())
    process.pending.start()
    assert process.clock.getDelayedCalls() != before
    process.pending.stop()
    assert process.clock.getDelayedCalls() == before


def test_a_journal_that_cannot_be_read_is_asked_again_soon(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.postpone("1")
    following = process.another()
    following.results = [succeed(Found([API]))]
    with monkeypatch.context() as broken:
        broken.setattr(following.journal, "pending", lambda *_: fail(Unavailable("no")))
        following.pending.start()
    following.advance(LOOK_AGAIN / 2)
    assert following.taken == [API]


def test_but_not_when_it_has_stopped(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(process.clock.getDelayedCalls())
    looking: Deferred[Any] = Deferred()
    monkeypatch.setattr(process.journal, "pending", lambda _: looking)
    process.pending.start()
    process.pending.stop()
    looking.errback(Unavailable("no"))
    assert process.clock.getDelayedCalls() == before


def test_a_bug_in_the_recording_does_not_stop_the_rest(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(CONCURRENCY + 1):
        process.postpone(str(number))
    following = process.another()
    following.results = [succeed(Found([API])) for _ in range(CONCURRENCY + 1)]
    monkeypatch.setattr(following.journal, "finish", lambda *_, **__: fail(RuntimeError("a bug")))
    following.pending.start()
    following.run()
    assert len(following.processed) == CONCURRENCY + 1


def test_what_was_found_in_time_is_let_go_without_the_garbage_collector(process: Process) -> None:
    received = Delivery(b"POST", b"/", Headers(), b"x", id="1", dialect="base", verification="signature")
    alive = ref(received)
    later: Deferred[Any] = Deferred()
    answer = process.intake.accept_late(received, later)
    del received
    gc.disable()
    try:
        later.callback(Found())
        assert result_of(answer) == Receipt("ignored")
        del later, answer
        assert alive() is None
    finally:
        gc.enable()


def test_what_is_being_finished_is_not_begun_again_when_its_lease_ran_out(process: Process) -> None:
    process.postpone("1")
    following = process.another()
    following.results = [Deferred()]
    following.pending.start()
    following.run()
    following.shared.advance(LEASE)
    following.pending.start()
    following.run()
    assert len(following.processed) == 1
