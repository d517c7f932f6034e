from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from change_hooks.sinks.link import Link, endpoint

from ..conftest import has_fired, result_of


class Links:
    def __init__(self) -> None:
        self.attempts: list[Deferred[Any]] = []
        self.closed: list[Any] = []
        self.link: Link[Any] = Link(self.connect, self.closed.append)

    def connect(self) -> Deferred[Any]:
        self.attempts.append(Deferred())
        return self.attempts[-1]


@pytest.fixture
def links() -> Links:
    return Links()


def test_all_share_one_connection(links: Links) -> None:
    first, second = links.link.get(), links.link.get()
    assert not has_fired(first)
    links.attempts[0].callback("connection")
    assert [result_of(each) for each in (first, second, links.link.get())] == ["connection"] * 3
    assert len(links.attempts) == 1


def test_an_attempt_that_fails_fails_for_all_and_the_next_one_tries_again(links: Links) -> None:
    waiting = [links.link.get(), links.link.get()]
    links.attempts[0].errback(OSError("refused"))
    for each in waiting:
        with pytest.raises(OSError, match="refused"):
            result_of(each)
    again = links.link.get()
    links.attempts[1].callback("connection")
    assert result_of(again) == "connection"


def test_one_that_was_dropped_is_made_anew(links: Links) -> None:
    links.link.get()
    links.attempts[0].callback("first")
    links.link.drop("another")
    assert result_of(links.link.get()) == "first"
    links.link.drop("first")
    assert links.closed == ["first"]
    again = links.link.get()
    links.attempts[1].callback("second")
    assert result_of(again) == "second"
    links.link.drop()
    assert links.closed == ["first", "second"]


def test_an_attempt_nobody_waits_for_is_given_up(links: Links) -> None:
    first, second = links.link.get(), links.link.get()
    first.cancel()
    assert not has_fired(links.attempts[0])
    second.cancel()
    for each in (first, second):
        with pytest.raises(CancelledError):
            result_of(each)
    links.link.get()
    assert len(links.attempts) == 2


def test_an_attempt_is_given_up_at_the_end(links: Links) -> None:
    waiting = links.link.get()
    links.link.drop()
    with pytest.raises(CancelledError):
        result_of(waiting)
    links.link.drop()
    assert links.closed == []


def test_addresses() -> None:
    reactor = MemoryReactorClock()
    for address in ("127.0.0.1:9989", "tcp:127.0.0.1:9990"):
        endpoint(reactor, address).connect(Factory()).addErrback(lambda _: None)
    assert [client[:2] for client in reactor.tcpClients] == [("127.0.0.1", 9989), ("127.0.0.1", 9990)]
    with pytest.raises(ValueError, match="nonsense"):
        endpoint(reactor, "nonsense")
