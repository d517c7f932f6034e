"""Publishes every change to an exchange of RabbitMQ or another AMQP 0-9-1 broker.

Source: RabbitMQ, "Consumer Acknowledgements and Publisher Confirms"; AMQP 0-9-1, "exchange types";
CloudEvents 1.0.2, AMQP binding.
"""

from __future__ import annotations

import re
from contextlib import suppress
from time import time
from typing import Any

from pika import BasicProperties, URLParameters
from pika.adapters.twisted_connection import TwistedProtocolConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError
from twisted.internet.defer import CancelledError, inlineCallbacks
from twisted.internet.endpoints import (
    HostnameEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from zope.interface import implementer

from change_hooks.core.address import server_url
from change_hooks.core.change import Change
from change_hooks.core.options import flag, seconds, text
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.sink_answers import SinkError, SinkRefused
from change_hooks.flow import reactor_unless
from change_hooks.interfaces import IAlarmSink, IChangeSink
from change_hooks.sinks.base import read_option
from change_hooks.sinks.link import Link
from change_hooks.sinks.messages import (
    FORMATS,
    Message,
    alarm_message,
    event_properties,
    known_format,
    message_of,
)

#: The default exchange, and the default time limit for each change, in seconds.
EXCHANGE = "change_hooks"
TIME_LIMIT = 30.0
#: The longest word of a routing key, in bytes: the whole key can have 255.
LONGEST_PART = 80
#: RabbitMQ's reason for closing the channel when a message is too large. Source: its option max_message_size.
_TOO_LARGE = re.compile(r"message size (\d+) is larger than configured max size (\d+)")


@implementer(IChangeSink, IAlarmSink)
class Amqp:
    """Publishes every change to a durable topic exchange, and waits for the broker's confirmation.

    The message is one JSON object: the change's fields, ``dialect``, ``delivery`` and ``index``. Its routing
    key is ``dialect.repository.branch`` (see :func:`routing_key`), its ``message_id`` is derived from the
    change's key, and it is persistent.

    :param url: ``amqp://user:password@host:port/vhost``, or ``amqps://`` for TLS.
    :param exchange: declared if it does not exist.
    :param mandatory: a change for which no queue is bound counts as failed, and is retried; with False the
        broker confirms it and drops it.
    :param format: ``'change'``; ``'cloudevents'``: the same object as a CloudEvent in binary mode;
        ``'cloudevents-structured'``: in structured mode.
    :param name: what the journal calls this sink.
    :param time_limit: for each change, in seconds.
    :raises TypeError: an option has the wrong type; None selects an option's default.
    :raises ValueError: *url* or *format* is invalid.
    """

    def __init__(
        self,
        url: str,
        *,
        exchange: str | None = EXCHANGE,
        mandatory: bool | None = True,
        format: str | None = "change",
        name: str = "amqp",
        time_limit: float | None = TIME_LIMIT,
        reactor: Any = None,
    ) -> None:
        server_url(url, "amqp", "amqps")
        self.name = name
        self.time_limit = read_option("time_limit", time_limit, seconds, default=TIME_LIMIT)
        self._exchange = read_option("exchange", exchange, text, default=EXCHANGE)
        self._mandatory = read_option("mandatory", mandatory, flag, default=True)
        self._format = read_option("format", format, known_format, default=FORMATS[0])
        self._parameters = URLParameters(url)
        self._parameters.blocked_connection_timeout = self.time_limit
        self._reactor = reactor
        self._link: Link[Publishing] = Link(self._connect, lambda publishing: publishing.close())

    def add_change(self, change: Change, key: Any) -> Any:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        return self._publish(routing_key(change, key), message_of(change, key, self._format), "change")

    def add_alarm(self, alarm: ReceiverAlarm) -> Any:
        """See :meth:`change_hooks.interfaces.IAlarmSink.add_alarm`. The routing key is
        ``alarm.event.subject``.
        """
        key = ".".join(map(_word, ("alarm", alarm.event, alarm.subject)))
        return self._publish(key, alarm_message(alarm, self._format), "alarm")

    @inlineCallbacks
    def _publish(self, key: str, message: Message, kind: str) -> Any:
        publishing = yield self._link.get()
        try:
            returned = yield publishing.publish(
                self._exchange, key, message.body, _properties(message, kind), self._mandatory
            )
        except NackError as error:
            raise SinkError("the broker refused it") from error
        except AMQPError as error:
            self._link.drop(publishing)
            raise failure_of(error, len(message.body)) from error
        except CancelledError:
            self._link.drop(publishing)
            raise
        if returned:
            raise SinkError(f"no queue is bound to the exchange {self._exchange!r} for its routing key")

    def close(self) -> None:
        """Close the connection."""
        self._link.drop()

    @inlineCallbacks
    def _connect(self) -> Any:
        self._reactor = reactor_unless(self._reactor)
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
        publishing = Publishing(protocol, channel)
        protocol.closed.addBoth(lambda _: self._link.drop(publishing))
        return publishing


class Publishing:
    """A connection, and one of its channels in confirm mode.

    The broker returns a message that no queue accepted before it confirms it. Returned messages are
    identified by their ids: one confirmation may cover many messages, and pika reports that one was returned,
    but not which.
    """

    def __init__(self, protocol: TwistedProtocolConnection, channel: Any) -> None:
        self._protocol = protocol
        self._channel = channel
        self._returned: set[str] = set()
        channel.add_on_return_callback(lambda returned: self._returned.add(returned.properties.message_id))

    @inlineCallbacks
    def publish(
        self, exchange: str, key: str, body: bytes, properties: BasicProperties, mandatory: bool
    ) -> Any:
        """Publish a message that has an id. Fires when it is confirmed, with whether it was returned."""
        name = properties.message_id
        self._returned.discard(name)
        with suppress(UnroutableError):
            yield self._channel.basic_publish(exchange, key, body, properties, mandatory)
        return name in self._returned

    def close(self) -> None:
        if self._protocol.transport is not None:
            self._protocol.transport.loseConnection()


def routing_key(change: Change, key: Any) -> str:
    """``dialect.repository.branch``: three words, so that a queue can be bound to any of them.

    The scheme and a final ``.git`` of the repository's address are left out; a ``.`` within a word becomes
    ``_``; an unknown word is ``-``; a long one is cut.
    """
    dialect = key.dialect if key is not None else ""
    repository = change.repository.partition("://")[2] or change.repository
    return ".".join(map(_word, (dialect, repository.removesuffix(".git"), change.branch or "")))


def _word(text: str) -> str:
    return text.replace(".", "_").encode()[:LONGEST_PART].decode("utf-8", "ignore") or "-"


def failure_of(error: AMQPError, size: int) -> SinkError:
    """What a broken channel means for a message of *size* bytes; others may have been in flight."""
    if isinstance(error, ChannelClosedByBroker):
        too_large = _TOO_LARGE.search(error.reply_text)
        if too_large is not None and int(too_large[1]) == size:
            return SinkRefused(
                f"its message has {size} bytes; the broker accepts {too_large[2]} (max_message_size)"
            )
    return SinkError(f"{type(error).__name__}: {error}")


def _properties(message: Message, kind: str) -> BasicProperties:
    return BasicProperties(
        content_type=message.content_type,
        delivery_mode=2,
        message_id=message.id,
        timestamp=int(time()),
        type=kind,
        app_id="change-hooks",
        headers=event_properties(message) or None,
    )


__all__ = ["Amqp", "failure_of", "routing_key"]
