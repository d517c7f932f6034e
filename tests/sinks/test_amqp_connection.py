"""The sink ``amqp`` and its connection, with a broker that is a fake at the channel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker, NackError, UnroutableError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.testing import MemoryReactorClock

from change_hooks.core.change import Change
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.sink_answers import SinkError, SinkRefused
from change_hooks.journal import ChangeKey
from change_hooks.sinks.amqp import Amqp
from tests.conftest import has_fired, result_of
from tests.support.broker import Broker

KEY = ChangeKey("github", "guid", 3)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    broker.take_the_place(monkeypatch)
    return broker


def amqp(url: str = "amqp://guest:guest@localhost/", **options: Any) -> Amqp:
    return Amqp(url, reactor=MemoryReactorClock(), **options)


def test_what_is_published_is_persistent_and_has_the_key_of_the_change(broker: Broker) -> None:
    sink = amqp(exchange="changes")
    for revision in "12":
        assert result_of(sink.add_change(Change(revision=revision, branch="main"), KEY)) is None
    assert broker.declared == [("changes", {"exchange_type": "topic", "durable": True})]
    first, second = broker.published
    assert (first.exchange, first.key, first.mandatory) == ("changes", "github.-.main", True)
    fields = json.loads(first.body)
    assert (fields["revision"], fields["delivery"], fields["index"]) == ("1", "guid", 3)
    properties = first.properties
    assert (properties.delivery_mode, properties.content_type, properties.type) == (
        2,
        "application/json",
        "change",
    )
    assert (properties.app_id, properties.headers) == ("change-hooks", None)
    assert properties.message_id == second.properties.message_id  # The same key.


def test_a_cloud_event_in_binary_mode_has_its_attributes_in_headers(broker: Broker) -> None:
    result_of(amqp(format="cloudevents", mandatory=False).add_change(Change(branch="main"), KEY))
    (published,) = broker.published
    assert published.properties.headers["ce-subject"] == "main"
    assert published.properties.headers["cloudEvents_id"] == published.properties.message_id
    assert published.mandatory is False


def test_an_alarm_is_published_under_what_it_is_about(broker: Broker) -> None:
    alarm = ReceiverAlarm("silent", "my.forge", "it is quiet", at=5.0, id="1")
    result_of(amqp().add_alarm(alarm))
    (published,) = broker.published
    assert (published.key, published.properties.type) == ("alarm.silent.my_forge", "alarm")
    assert published.properties.message_id == "msg_1"


def test_what_no_queue_takes_and_what_the_broker_refuses_has_failed_and_the_connection_stays(
    broker: Broker,
) -> None:
    sink = amqp()
    broker.answers = [UnroutableError([]), NackError([])]
    for problem in ("no queue is bound to the exchange 'change_hooks'", "the broker refused it"):
        with pytest.raises(SinkError, match=problem) as raised:
            result_of(sink.add_change(Change(), KEY))
        assert not isinstance(raised.value, SinkRefused)
    result_of(sink.add_change(Change(), KEY))
    assert [connection.lost for connection in broker.connections] == [0]


@pytest.mark.parametrize("refused", [False, True])
def test_a_channel_that_breaks_ends_the_connection_and_the_next_one_is_new(
    broker: Broker, refused: bool
) -> None:
    sink = amqp()
    result_of(sink.add_change(Change(), KEY))
    size = len(broker.published[0].body) if refused else 9
    text = f"PRECONDITION_FAILED - message size {size} is larger than configured max size 5"
    broker.answers = [ChannelClosedByBroker(406, text)]
    with pytest.raises(SinkError, match="max_message_size" if refused else "ChannelClosedByBroker") as raised:
        result_of(sink.add_change(Change(), KEY))
    assert isinstance(raised.value, SinkRefused) == refused
    result_of(sink.add_change(Change(), KEY))
    assert [connection.lost for connection in broker.connections] == [1, 0]


def test_what_is_not_confirmed_in_time_ends_the_connection(broker: Broker) -> None:
    sink = amqp()
    broker.answers = [Deferred()]
    publishing = sink.add_change(Change(), KEY)
    assert not has_fired(publishing)
    publishing.cancel()
    with pytest.raises(CancelledError):
        result_of(publishing)
    result_of(sink.add_change(Change(), KEY))
    assert [connection.lost for connection in broker.connections] == [1, 0]


@pytest.mark.parametrize("where", ["away", "refuses"])
def test_a_broker_that_is_away_or_refuses_is_asked_anew(broker: Broker, where: str) -> None:
    sink = amqp()
    setattr(broker, where, AMQPConnectionError("no"))
    with pytest.raises(AMQPConnectionError):
        result_of(sink.add_change(Change(), KEY))
    setattr(broker, where, None)
    result_of(sink.add_change(Change(), KEY))
    assert [connection.lost for connection in broker.connections] == [1, 0]
    assert len(broker.published) == 1


def test_a_connection_that_the_broker_closes_is_made_anew(broker: Broker) -> None:
    sink = amqp()
    result_of(sink.add_change(Change(), KEY))
    (first,) = broker.connections
    first.transport = None
    first.closed.errback(AMQPConnectionError("CONNECTION_FORCED"))
    result_of(sink.add_change(Change(), KEY))
    assert len(broker.connections) == 2
    sink.close()
    assert [connection.lost for connection in broker.connections] == [0, 1]


@pytest.mark.parametrize(
    ("url", "plain"), [("amqp://broker.example/", True), ("amqps://broker.example/", False)]
)
def test_with_amqps_the_connection_is_encrypted(broker: Broker, url: str, plain: bool) -> None:
    result_of(amqp(url).add_change(Change(), KEY))
    assert isinstance(broker.endpoints[0], HostnameEndpoint) == plain
