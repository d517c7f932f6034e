from __future__ import annotations

import pytest
from pika.exceptions import AMQPError, ChannelClosedByBroker

from change_hooks.core.change import Change
from change_hooks.interfaces import IChangeSink, SinkRefused
from change_hooks.journal import ChangeKey
from change_hooks.sinks.amqp import LONGEST_PART, Amqp, _failure, routing_key

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
    assert isinstance(_failure(closed, 1000), SinkRefused)
    assert "takes 512" in str(_failure(closed, 1000))
    for error, size in (
        (closed, 999),
        (ChannelClosedByBroker(404, "NOT_FOUND"), 1000),
        (AMQPError("x"), 1000),
    ):
        assert not isinstance(_failure(error, size), SinkRefused)


def test_a_change_without_a_queue_is_not_lost_by_default() -> None:
    assert Amqp("amqp://localhost/")._mandatory
