"""A broker of AMQP that is a fake at the channel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pika import BasicProperties
from pika.exceptions import UnroutableError
from twisted.internet.defer import Deferred, fail, succeed


class Channel:
    """A channel in confirm mode."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._returned: list[Any] = []

    def add_on_return_callback(self, callback: Any) -> None:
        self._returned.append(callback)

    def confirm_delivery(self) -> Deferred[None]:
        return succeed(None)

    def exchange_declare(self, exchange: str, **how: Any) -> Deferred[None]:
        self._broker.declared.append((exchange, how))
        return fail(self._broker.refuses) if self._broker.refuses else succeed(None)

    def basic_publish(
        self, exchange: str, key: str, body: bytes, properties: BasicProperties, mandatory: bool
    ) -> Deferred[Any]:
        self._broker.published.append(SimpleNamespace(**{**locals(), "self": None}))
        answer = self._broker.answers.pop(0) if self._broker.answers else None
        if isinstance(answer, UnroutableError):
            for callback in self._returned:
                callback(SimpleNamespace(properties=properties))
        if isinstance(answer, Exception):
            return fail(answer)
        return succeed(None) if answer is None else answer


class Protocol:
    """A connection. It is ready at once, unless the broker lets nobody in."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.ready: Deferred[None] = fail(broker.away) if broker.away else succeed(None)
        self.closed: Deferred[None] = Deferred()
        self.transport: Any = SimpleNamespace(loseConnection=self._lose)
        self.lost = 0

    def _lose(self) -> None:
        self.lost += 1

    def channel(self) -> Deferred[Channel]:
        return succeed(Channel(self._broker))


class Broker:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.connections: list[Protocol] = []
        self.endpoints: list[Any] = []
        self.declared: list[Any] = []
        self.published: list[Any] = []
        #: What it says to what is published; nothing: it confirms.
        self.answers: list[Any] = []
        self.away: Exception | None = None
        self.refuses: Exception | None = None

    def take_the_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the sink connect to it."""
        monkeypatch.setattr("change_hooks.sinks.amqp.TwistedProtocolConnection", self.protocol)
        monkeypatch.setattr("change_hooks.sinks.amqp.connectProtocol", self.connect)

    def protocol(self, parameters: Any, custom_reactor: Any) -> Protocol:
        self.connections.append(Protocol(self))
        return self.connections[-1]

    def connect(self, endpoint: Any, protocol: Protocol) -> Deferred[Protocol]:
        self.endpoints.append(endpoint)
        return succeed(protocol)
