from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from change_hooks.sinks.link import Link, endpoint

from ..conftest import has_fired, result_of


class Rig:
    def __init__(self) -> None:
        self.attempts: list[Deferred[Any]] = []
        self.closed: list[Any] = []
        self.link: Link[Any] = Link(self.connect, self.closed.append)

    def connect(self) -> Deferred[Any]:
        self.attempts.append(Deferred())
        return self.attempts[-1]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_all_share_one_connection(rig: Rig) -> None:
    first, second = rig.link.get(), rig.link.get()
    assert not has_fired(first)
    rig.attempts[0].callback("connection")
    assert [result_of(each) for each in (first, second, rig.link.get())] == ["connection"] * 3
    assert len(rig.attempts) == 1


def test_an_attempt_that_fails_fails_for_all_and_the_next_one_tries_again(rig: Rig) -> None:
    waiting = [rig.link.get(), rig.link.get()]
    rig.attempts[0].errback(OSError("refused"))
    for each in waiting:
        with pytest.raises(OSError, match="refused"):
            result_of(each)
    again = rig.link.get()
    rig.attempts[1].callback("connection")
    assert result_of(again) == "connection"


def test_one_that_was_dropped_is_made_anew(rig: Rig) -> None:
    rig.link.get()
    rig.attempts[0].callback("first")
    rig.link.drop("another")
    assert result_of(rig.link.get()) == "first"
    rig.link.drop("first")
    assert rig.closed == ["first"]
    again = rig.link.get()
    rig.attempts[1].callback("second")
    assert result_of(again) == "second"
    rig.link.drop()
    assert rig.closed == ["first", "second"]


def test_an_attempt_nobody_waits_for_is_given_up(rig: Rig) -> None:
    first, second = rig.link.get(), rig.link.get()
    first.cancel()
    assert not has_fired(rig.attempts[0])
    second.cancel()
    for each in (first, second):
        with pytest.raises(CancelledError):
            result_of(each)
    rig.link.get()
    assert len(rig.attempts) == 2


def test_an_attempt_is_given_up_at_the_end(rig: Rig) -> None:
    waiting = rig.link.get()
    rig.link.drop()
    with pytest.raises(CancelledError):
        result_of(waiting)
    rig.link.drop()
    assert rig.closed == []


def test_addresses() -> None:
    reactor = MemoryReactorClock()
    for address in ("127.0.0.1:9989", "tcp:127.0.0.1:9990"):
        endpoint(reactor, address).connect(Factory()).addErrback(lambda _: None)
    assert [client[:2] for client in reactor.tcpClients] == [("127.0.0.1", 9989), ("127.0.0.1", 9990)]
    with pytest.raises(ValueError, match="nonsense"):
        endpoint(reactor, "nonsense")
