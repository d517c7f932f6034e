from __future__ import annotations

from inspect import signature
from types import SimpleNamespace
from typing import Any

import pytest
from pika import BasicProperties
from pika.adapters.twisted_connection import TwistedChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError
from pika.frame import Method
from pika.spec import Basic

from change_hooks.core.change import Change
from change_hooks.core.sink_answers import SinkRefused
from change_hooks.interfaces import IChangeSink
from change_hooks.journal import ChangeKey
from change_hooks.sinks.amqp import LONGEST_PART, Amqp, Publishing, failure_of, routing_key
from tests.conftest import has_fired, result_of

KEY = ChangeKey("github", "guid", 0)


def test_it_is_a_sink() -> None:
    sink = Amqp("amqp://guest:guest@localhost/", name="queue", time_limit=5.0)
    assert IChangeSink.providedBy(sink)
    assert (sink.name, sink.time_limit) == ("queue", 5.0)
    sink.close()


def test_the_address_is_checked() -> None:
    with pytest.raises(ValueError, match="url must begin with amqp"):
        Amqp("http://localhost/")


@pytest.mark.parametrize(
    ("repository", "branch", "key"),
    [
        ("https://github.com/octo-org/api.git", "main", "github.github_com/octo-org/api.main"),
        ("git@host:a/b", "v1.0", "github.git@host:a/b.v1_0"),
        ("", None, "github.-.-"),
    ],
)
def test_a_routing_key_has_three_words(repository: str, branch: str | None, key: str) -> None:
    assert routing_key(Change(repository=repository, branch=branch), KEY) == key


def test_a_routing_key_is_never_too_long() -> None:
    long = Change(repository="\u00e4" * 500, branch="\U0001f600" * 500)
    key = routing_key(long, ChangeKey("x" * 500, "1", 0))
    assert len(key.encode()) <= 255
    assert [len(word.encode()) <= LONGEST_PART for word in key.split(".")] == [True] * 3
    assert routing_key(Change(), None) == "-.-.-"


def test_only_the_message_that_was_too_large_is_refused_for_good() -> None:
    text = "PRECONDITION_FAILED - message size 1000 is larger than configured max size 512"
    closed = ChannelClosedByBroker(406, text)
    assert isinstance(failure_of(closed, 1000), SinkRefused)
    assert "accepts 512" in str(failure_of(closed, 1000))
    for error, size in (
        (closed, 999),
        (ChannelClosedByBroker(404, "NOT_FOUND"), 1000),
        (AMQPError("x"), 1000),
    ):
        assert not isinstance(failure_of(error, size), SinkRefused)


def test_a_change_without_a_queue_is_not_lost_by_default() -> None:
    assert signature(Amqp).parameters["mandatory"].default is True


class Wire:
    """A channel of pika's, as its Twisted part uses it, and the broker behind it."""

    def __init__(self) -> None:
        self._returned: list[Any] = []
        self.published: list[BasicProperties] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None

    def add_on_return_callback(self, callback: Any) -> None:
        self._returned.append(callback)

    def confirm_delivery(self, ack_nack_callback: Any, callback: Any) -> None:
        self._confirmed = ack_nack_callback
        callback(None)

    def basic_publish(self, properties: BasicProperties, **arguments: Any) -> None:
        self.published.append(properties)

    def returns(self, number: int) -> None:
        for callback in self._returned:
            callback(SimpleNamespace(channel_number=1), Basic.Return(), self.published[number], b"")

    def confirms(self, tag: int, kind: type = Basic.Ack) -> None:
        self._confirmed(Method(1, kind(tag, multiple=True)))


def publishing() -> tuple[Publishing, Wire]:
    wire = Wire()
    channel = TwistedChannel(wire)  # type: ignore[arg-type]
    result_of(channel.confirm_delivery())
    return Publishing(SimpleNamespace(transport=None), channel), wire  # type: ignore[arg-type]


@pytest.mark.parametrize("returned", [(), (0,), (2,), (1, 3), (0, 1, 2, 3)])
def test_of_many_that_are_confirmed_together_just_those_that_no_queue_took_are_returned(
    returned: tuple[int, ...],
) -> None:
    link, wire = publishing()
    published = [
        link.publish("x", "key", b"", BasicProperties(message_id=str(number)), True) for number in range(4)
    ]
    for number in returned:
        wire.returns(number)
    assert not any(map(has_fired, published))
    wire.confirms(4)
    assert [result_of(each) for each in published] == [number in returned for number in range(4)]


def test_what_was_returned_may_be_published_again() -> None:
    link, wire = publishing()
    for refused in (True, False):
        again = link.publish("x", "key", b"", BasicProperties(message_id="1"), True)
        if refused:
            wire.returns(-1)
        wire.confirms(len(wire.published))
        assert result_of(again) is refused


def test_what_the_broker_refuses_is_no_success() -> None:
    link, wire = publishing()
    refused = link.publish("x", "key", b"", BasicProperties(message_id="1"), True)
    wire.confirms(1, Basic.Nack)
    with pytest.raises(NackError):
        result_of(refused)
    link.close()
