"""``/healthz`` and ``/readyz``."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from change_hooks.admin.health import FRESH, WITHIN, Health
from change_hooks.admin.root import Admin
from change_hooks.admin.watch import Watch
from change_hooks.core.errors import Unavailable
from change_hooks.observer import Observers
from change_hooks.testing import Receiver

from ..support.operator import Operator, operator_of

BASE = {"change_hook_dialects": {"base": True}}


class Journal:
    """Is asked to be written."""

    def __init__(self) -> None:
        self.asked: list[Deferred[None]] = []

    def remember(self, name: str, value: bytes) -> Deferred[None]:
        self.asked.append(Deferred())
        return self.asked[-1]


class Looked:
    def __init__(self) -> None:
        self.clock, self.journal = Clock(), Journal()
        journal: Any = self.journal
        self.health = Health(journal, self.clock)
        self.health.state = ""
        self.said: list[str] = []

    def ask(self) -> None:
        self.health.problem().addCallback(self.said.append)


@pytest.fixture
def looked() -> Looked:
    return Looked()


def test_it_is_alive_and_ready() -> None:
    with Receiver(BASE) as receiver:
        operator = operator_of(receiver)
        assert operator.get("healthz")[:2] == (200, "alive\n")
        assert operator.get("readyz")[:2] == (200, "ready\n")


def test_it_is_not_ready_while_it_starts_and_while_it_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver(BASE)
    operator = operator_of(receiver)
    receiver.service.drain()
    assert operator.get("readyz")[:2] == (503, "shutting down\n")
    assert operator.get("healthz").status == 200
    receiver.stop()
    assert operator.get("readyz").status == 503
    opened: Deferred[None] = Deferred()
    other = Receiver(BASE)
    other.stop()
    really = other.journal.open
    monkeypatch.setattr(other.journal, "open", lambda: opened.addCallback(lambda _: really()))
    other.service.startService()
    assert operator_of(other).get("readyz")[:2] == (503, "starting\n")
    opened.callback(None)
    assert operator_of(other).get("readyz").status == 200
    other.stop()


def test_one_that_drains_while_it_starts_is_not_ready_when_it_has_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: Deferred[None] = Deferred()
    receiver = Receiver(BASE)
    receiver.stop()
    monkeypatch.setattr(receiver.journal, "open", lambda: opened)
    receiver.service.startService()
    receiver.service.drain()
    opened.callback(None)
    assert operator_of(receiver).get("readyz").status == 503
    receiver.stop()


def test_it_is_not_ready_while_the_journal_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(BASE) as receiver:
        operator = operator_of(receiver)
        with monkeypatch.context() as patch:
            patch.setattr(receiver.journal, "remember", lambda *_: fail(Unavailable("disk full")))
            receiver.advance(FRESH)
            assert operator.get("readyz")[:2] == (503, "the journal cannot be written\n")
        assert operator.get("readyz").status == 200


def test_a_journal_that_does_not_answer_is_not_waited_for(looked: Looked) -> None:
    looked.ask()
    looked.clock.advance(WITHIN - 0.1)
    assert looked.said == []
    looked.clock.advance(0.2)
    assert looked.said == ["the journal does not respond"]
    looked.journal.asked[0].callback(None)
    looked.ask()
    looked.journal.asked[1].callback(None)
    assert looked.said[1:] == [""]


def test_those_who_ask_at_once_share_a_transaction_and_a_fresh_one_suffices(looked: Looked) -> None:
    for _ in range(5):
        looked.ask()
    assert len(looked.journal.asked) == 1
    looked.journal.asked[0].callback(None)
    assert looked.said == [""] * 5
    looked.ask()
    assert (len(looked.journal.asked), looked.said) == (1, [""] * 6)
    looked.clock.advance(FRESH)
    looked.ask()
    assert len(looked.journal.asked) == 2
    looked.health.journal_committed(0.1)
    looked.ask()
    assert len(looked.said) == 7
    looked.health.journal_unavailable()
    looked.ask()
    assert len(looked.said) == 7


def test_without_a_journal_nothing_has_to_be_written() -> None:
    health = Health(None, Clock())
    said: list[str] = []
    health.problem().addCallback(said.append)
    health.state = ""
    health.problem().addCallback(said.append)
    assert said == ["starting", ""]


def test_who_goes_away_is_not_answered(looked: Looked) -> None:
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure
    from twisted.web.test.requesthelper import DummyRequest

    from change_hooks.admin.health import Ready

    request: Any = DummyRequest([b""])
    Ready(looked.health.problem).render_GET(request)
    request.processingFailed(Failure(ConnectionDone()))
    looked.journal.asked[0].callback(None)
    assert request.written == []


def test_a_service_that_drains_before_it_has_started_is_not_ready_later() -> None:
    admin = Admin(None)
    watch = Watch(admin, Observers(), None, {}, Clock())
    watch.starting()
    watch.draining()
    watch.started()
    assert Operator(admin).get("readyz")[:2] == (503, "shutting down\n")


def test_without_a_journal_it_is_ready_once_it_has_started() -> None:
    admin = Admin(None)
    watch = Watch(admin, Observers(), None, {}, Clock())
    watch.starting()
    assert Operator(admin).get("readyz").status == 503
    watch.started()
    assert Operator(admin).get("readyz")[:2] == (200, "ready\n")
