from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.web.resource import Resource
from twisted.web.server import Site

from change_hooks.admin.port import AGAIN, AdminPort

from ..conftest import has_fired, result_of


class Reactor(MemoryReactorClock):
    """Its port may be in use."""

    in_use = False

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if self.in_use:
            raise CannotListenError(interface, port, OSError("in use"))
        return super().listenTCP(port, factory, backlog, interface)


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def port(reactor: Reactor) -> AdminPort:
    return AdminPort(reactor, "tcp:8011:interface=127.0.0.1", Site(Resource()))


def test_it_listens(port: AdminPort, reactor: Reactor) -> None:
    port.start()
    ((number, _, _, interface),) = reactor.tcpServers
    assert (number, interface) == (8011, "127.0.0.1")
    assert has_fired(port.stop())


def test_a_port_in_use_is_tried_again(port: AdminPort, reactor: Reactor) -> None:
    reactor.in_use = True
    port.start()
    reactor.in_use = False
    reactor.advance(AGAIN)
    assert len(reactor.tcpServers) == 1
    result_of(port.stop())
    assert not reactor.getDelayedCalls()


def test_but_not_after_the_end(port: AdminPort, reactor: Reactor) -> None:
    reactor.in_use = True
    port.start()
    result_of(port.stop())
    reactor.in_use = False
    reactor.advance(AGAIN)
    assert not reactor.tcpServers
