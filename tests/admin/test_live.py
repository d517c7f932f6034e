"""The stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.web.test.requesthelper import DummyRequest

from change_hooks.admin.live import LOOK, QUIET, STREAMS, Live, News
from change_hooks.admin.query import Query
from change_hooks.core.errors import Unavailable
from change_hooks.core.sink_answers import SinkError
from change_hooks.testing import Receiver
from tests.support.waiting import Waiting

from .conftest import Made

Make = Callable[..., Made]


def push(receiver: Receiver, **fields: str) -> None:
    receiver.post("base", form={"revision": "1c9f", "branch": "main", **fields})


def events(text: bytes) -> list[dict[str, str]]:
    blocks = [block for block in text.decode().split("\n\n") if "data:" in block]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]  # type: ignore[misc]


class Stream:
    """A client of a stream."""

    def __init__(self, live: Live, uri: bytes = b"/live", last: bytes | None = None) -> None:
        self.request: Any = DummyRequest([b"live"])
        self.request.uri = uri
        self.request.client = IPv4Address("TCP", "127.0.0.1", 1)
        if last is not None:
            self.request.requestHeaders.setRawHeaders(b"last-event-id", [last])
        self.producers: list[Any] = []
        self.request.registerProducer = lambda producer, streaming: self.producers.append(producer)
        self.request.unregisterProducer = lambda: None
        self.answer = live.render_GET(self.request)

    @property
    def written(self) -> bytes:
        return b"".join(self.request.written)

    def seqs(self) -> list[int]:
        return [json.loads(event["data"])["seq"] for event in events(self.written) if "id" in event]


def live_of(receiver: Receiver) -> Live:
    return Live(receiver.journal, receiver.clock)


def test_a_stream_begins_with_what_comes_next(made: Make) -> None:
    receiver, _ = made()
    push(receiver)
    stream = Stream(live_of(receiver))
    push(receiver)
    receiver.advance(LOOK)
    assert stream.seqs() == [2]
    assert events(stream.written)[0]["id"] == "2"
    headers = stream.request.responseHeaders
    assert headers.getRawHeaders("content-type") == ["text/event-stream; charset=utf-8"]


def test_a_client_that_comes_back_goes_on_where_it_was(made: Make) -> None:
    receiver, _ = made()
    for _ in range(3):
        push(receiver)
    assert Stream(live_of(receiver), last=b"1").seqs() == [2, 3]
    assert Stream(live_of(receiver), b"/live?after=2").seqs() == [3]
    assert Stream(live_of(receiver), b"/live?after=0").seqs() == [1, 2, 3]
    assert Stream(live_of(receiver), last=b"nonsense").seqs() == []


def test_what_becomes_of_it_is_an_update(made: Make) -> None:
    receiver, _ = made()
    stream = Stream(live_of(receiver))
    push(receiver)
    stream.producers[0].resumeProducing()
    receiver.settle()
    receiver.advance(LOOK)
    told = [(event.get("event"), json.loads(event["data"])["state"]) for event in events(stream.written)]
    assert told[-1][1] == "delivered"
    assert len({state for _, state in told}) == len(told)


def test_rows_are_markup_and_what_was_on_the_screen_comes_once_more(made: Make) -> None:
    receiver, _ = made()
    push(receiver, author="<b>\n")
    news = News(Query(), 1, as_rows=True)
    first = events(news.look(receiver.journal.reader()))
    assert [event.get("event") for event in first] == ["update"]
    assert first[0]["data"].startswith("<tr")
    assert "<b>" not in first[0]["data"]
    assert news.look(receiver.journal.reader()) == b""


def test_a_row_that_matches_no_longer_goes(made: Make) -> None:
    asleep = [True]

    def sink(change: Any) -> None:
        if asleep:
            raise SinkError("asleep")

    receiver, _ = made(sink=sink)
    news = News(Query(branch="main", state="waiting"), 0, as_rows=True)
    push(receiver, branch="dev")
    push(receiver)
    told = events(news.look(receiver.journal.reader()))
    asleep.clear()
    receiver.settle()
    told += events(news.look(receiver.journal.reader()))
    assert ("gone", "d2") in [(event.get("event"), event["data"]) for event in told]
    assert "d1" not in [event["data"] for event in told if "id" in event]


def test_one_that_is_slow_costs_nothing(made: Make) -> None:
    receiver, _ = made()
    stream = Stream(live_of(receiver))
    before = len(stream.written)
    stream.producers[0].pauseProducing()
    push(receiver)
    receiver.advance(10 * LOOK)
    assert len(stream.written) == before
    stream.producers[0].resumeProducing()
    assert stream.seqs() == [1]
    stream.producers[0].stopProducing()
    push(receiver)
    receiver.advance(LOOK)
    assert stream.seqs() == [1]


def test_one_without_news_says_that_it_lives(made: Make) -> None:
    receiver, _ = made()
    stream = Stream(live_of(receiver))
    for _ in range(QUIET):
        receiver.advance(LOOK)
    assert b": nothing new\n\n" in stream.written


def test_streams_end_at_the_end(made: Make) -> None:
    receiver, _ = made()
    live = live_of(receiver)
    stream = Stream(live)
    live.end()
    assert stream.request.finished == 1
    live.end()
    assert stream.request.finished == 1


def test_there_are_only_so_many(made: Make) -> None:
    receiver, _ = made()
    live = live_of(receiver)
    streams = [Stream(live) for _ in range(STREAMS)]
    refused = Stream(live)
    assert refused.request.responseCode == 503
    streams[0].request.processingFailed(Exception("gone"))
    assert Stream(live).request.responseCode != 503
    assert Stream(live_of(receiver), b"/live?" + b"a=1&" * 3000).request.responseCode == 400


def test_one_that_becomes_slow_while_it_looks_waits(made: Make) -> None:
    receiver, _ = made()
    looked: list[Deferred[bytes]] = []

    class Slow:
        def read(self, look_up: Any) -> Deferred[bytes]:
            looked.append(Deferred())
            return looked[-1]

    stream = Stream(Live(Slow(), receiver.clock))  # type: ignore[arg-type]
    stream.producers[0].pauseProducing()
    looked[0].callback(b"")
    receiver.advance(10 * LOOK)
    assert len(looked) == 1
    stream.producers[0].resumeProducing()
    stream.producers[0].resumeProducing()
    assert len(looked) == 2
    looked[1].errback(Unavailable("not now"))
    receiver.advance(LOOK)
    assert len(looked) == 3
    looked[2].errback(ValueError("broken"))
    assert stream.request.finished == 1


def test_what_is_read_for_one_that_has_ended_is_not_sent(made: Make) -> None:
    receiver, _ = made()
    looked: list[Deferred[bytes]] = []

    class Slow:
        def read(self, look_up: Any) -> Deferred[bytes]:
            looked.append(Deferred())
            return looked[-1]

    stream = Stream(Live(Slow(), receiver.clock))  # type: ignore[arg-type]
    before = stream.written
    stream.producers[0].finish()
    stream.producers[0].finish()
    looked[0].callback(b"data: late\n\n")
    assert (stream.written, stream.request.finished) == (before, 1)


def test_of_what_is_under_way_the_newest_are_watched(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.admin.live.WATCHED", 2)
    waiting = Waiting()

    receiver, _ = made({"change_hook_sinks": {"a": waiting}})
    news = News(Query(), None, as_rows=False)
    news.look(receiver.journal.reader())
    for number in range(3):
        push(receiver, repository=f"r{number}")
    news.look(receiver.journal.reader())
    for each in waiting:
        each.callback(None)
    receiver.settle()
    told = news.look(receiver.journal.reader())
    assert [seq for seq in (1, 2, 3) if b'"seq":%d,' % seq in told] == [2, 3], told
