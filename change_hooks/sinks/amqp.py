"""Publish every change to an exchange of RabbitMQ, or another AMQP 0-9-1 broker.

Source: RabbitMQ, "Consumer Acknowledgements and Publisher Confirms"; AMQP 0-9-1, "exchange types".
"""

from __future__ import annotations

from hashlib import sha256
from time import time
from typing import Any

import msgspec
from pika import BasicProperties, URLParameters
from pika.adapters.twisted_connection import TwistedProtocolConnection
from pika.exceptions import AMQPError, NackError, UnroutableError
from twisted.internet.defer import CancelledError, inlineCallbacks
from twisted.internet.endpoints import (
    HostnameEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.interfaces import IChangeSink, SinkError
from change_hooks.sinks.link import Link

#: The longest part of a routing key, in bytes: the whole has room for 255.
LONGEST_PART = 80


@implementer(IChangeSink)
class Amqp:
    """Publishes every change to a durable topic exchange, and waits for the broker's confirmation.

    The message is one JSON object: the change's fields, ``dialect``, ``delivery`` and ``index``. Its routing
    key is ``dialect.repository.branch`` (see :func:`routing_key`), its ``message_id`` is made of the change's
    key, and it is persistent.

    :param url: ``amqp://user:password@host:port/vhost``, or ``amqps://`` for TLS.
    :param exchange: declared when it is not there.
    :param mandatory: a change that no queue is bound for has failed, and is tried again; otherwise the broker
        confirms it, and drops it.
    :param name: what the journal calls this sink.
    :param time_limit: for each change, in seconds.
    :raises ValueError: *url* is none.
    """

    def __init__(
        self,
        url: str,
        *,
        exchange: str = "change_hooks",
        mandatory: bool = False,
        name: str = "amqp",
        time_limit: float = 30.0,
        reactor: Any = None,
    ) -> None:
        if not isinstance(url, str) or not url.startswith(("amqp://", "amqps://")):
            raise ValueError("url must begin with amqp:// or amqps://")
        self.name = name
        self.time_limit = time_limit
        self._exchange = exchange
        self._mandatory = mandatory
        self._parameters = URLParameters(url)
        self._parameters.blocked_connection_timeout = time_limit
        self._reactor = reactor
        self._link: Link[_Publishing] = Link(self._connect, lambda publishing: publishing.close())

    @inlineCallbacks
    def add_change(self, change: Change, key: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        fields = change.as_dict()
        if key is not None:
            fields.update(key._asdict())
        body = msgspec.json.encode(fields)
        publishing = yield self._link.get()
        try:
            yield publishing.channel.basic_publish(
                self._exchange, routing_key(change, key), body, _properties(body, key), self._mandatory
            )
        except NackError as error:
            raise SinkError("the broker refuses it") from error
        except UnroutableError as error:
            raise SinkError("no queue is bound for it") from error
        except AMQPError as error:
            self._link.drop(publishing)
            raise SinkError(f"{type(error).__name__}: {error}") from error
        except CancelledError:
            self._link.drop(publishing)
            raise

    def close(self) -> None:
        """End the connection."""
        self._link.drop()

    @inlineCallbacks
    def _connect(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        parameters = self._parameters
        endpoint: Any = HostnameEndpoint(self._reactor, parameters.host, parameters.port)
        if parameters.ssl_options is not None:
            from twisted.internet.ssl import optionsForClientTLS

            endpoint = wrapClientTLS(optionsForClientTLS(parameters.host), endpoint)
        protocol = TwistedProtocolConnection(parameters, custom_reactor=self._reactor)
        ready = protocol.ready
        yield connectProtocol(endpoint, protocol)
        try:
            yield ready
            channel = yield protocol.channel()
            yield channel.confirm_delivery()
            yield channel.exchange_declare(self._exchange, exchange_type="topic", durable=True)
        except Exception:
            protocol.transport.loseConnection()
            raise
        publishing = _Publishing(protocol, channel)
        protocol.closed.addBoth(lambda _: self._link.drop(publishing))
        return publishing


class _Publishing:
    """A connection, and a channel of it in confirm mode."""

    def __init__(self, protocol: TwistedProtocolConnection, channel: Any) -> None:
        self._protocol = protocol
        self.channel = channel

    def close(self) -> None:
        if self._protocol.transport is not None:
            self._protocol.transport.loseConnection()


def routing_key(change: Change, key: Any) -> str:
    """``dialect.repository.branch``: three words, so that a queue can be bound to any of them.

    Of the repository's address the scheme and a ``.git`` at its end are left out; a ``.`` within a word
    becomes ``_``; a word that is not known is ``-``; a long one is cut.
    """
    dialect = key.dialect if key is not None else ""
    repository = change.repository.partition("://")[2] or change.repository
    return ".".join(map(_word, (dialect, repository.removesuffix(".git"), change.branch or "")))


def _word(text: str) -> str:
    return text.replace(".", "_").encode()[:LONGEST_PART].decode("utf-8", "ignore") or "-"


def _properties(body: bytes, key: Any) -> BasicProperties:
    name = "|".join(map(str, key)).encode() if key is not None else body
    return BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        message_id="msg_" + sha256(name).hexdigest()[:32],
        timestamp=int(time()),
        type="change",
        app_id="change-hooks",
    )


__all__ = ["Amqp", "routing_key"]
