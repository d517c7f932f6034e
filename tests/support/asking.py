"""A client that asks a server in memory, which a test answers by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from change_hooks.http_answers import Answer, ask
from change_hooks.http_client import http_client
from tests.support.connections import Transport


class Server:
    """Answers, by hand, what a client sends over connections in memory."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.http = make(self.reactor)
        self.transports: list[Transport] = []
        self.protocols: list[Any] = []

    def ask(self, **arguments: Any) -> Deferred[Answer]:
        arguments = {"time_limit": 5.0, "method": "POST", **arguments}
        asked = ask(self.http, url="http://127.0.0.1:99/", clock=self.reactor, **arguments)
        self.connect()
        return asked

    def connect(self) -> None:
        while len(self.protocols) < len(self.reactor.tcpClients):
            factory = self.reactor.tcpClients[len(self.protocols)][2]
            protocol, transport = factory.buildProtocol(None), Transport()
            self.transports.append(transport)
            self.protocols.append(protocol)
            protocol.makeConnection(transport)

    def answer(self, data: bytes, number: int = -1) -> None:
        self.protocols[number].dataReceived(data)

    def lose(self, number: int = -1) -> None:
        self.protocols[number].connectionLost(Failure(ConnectionDone()))
        self.connect()


def head(length: int, *more: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {length}", *more, "", ""]).encode()


def plain_server() -> Server:
    """One that is asked over a connection for each request."""
    return Server(lambda reactor: http_client(reactor, verify=True, connect_timeout=5.0))
