from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from change_hooks.http_answers import (
    PIECE,
    Answer,
    AnswerTooLarge,
    KeptConnections,
    NoAnswer,
    ask,
    http_client,
    retry_after,
)
from tests.conftest import has_fired, result_of
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


@pytest.fixture
def server() -> Server:
    return Server(lambda reactor: http_client(reactor, verify=True, connect_timeout=5.0))


@pytest.fixture
def keeping() -> Server:
    return Server(lambda reactor: KeptConnections(reactor, verify=True, connect_timeout=5.0))


def head(length: int, *more: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {length}", *more, "", ""]).encode()


def test_an_answer_is_read_to_its_end(server: Server) -> None:
    asked = server.ask(data=b"x")
    server.answer(head(4, "X-A: 1", "X-A: 2") + b"ab")
    assert not has_fired(asked)
    server.answer(b"cd")
    answer = result_of(asked)
    assert (answer.status, answer.body, answer.header("x-a"), answer.header("x-b")) == (
        200,
        b"abcd",
        "2",
        None,
    )


def test_an_answer_that_ends_with_its_connection_is_whole(server: Server) -> None:
    asked = server.ask()
    server.answer(b"HTTP/1.1 200 OK\r\n\r\nab")
    server.lose()
    assert result_of(asked).body == b"ab"


def test_an_answer_that_breaks_off_is_an_error(server: Server) -> None:
    asked = server.ask()
    server.answer(head(4) + b"ab")
    server.lose()
    with pytest.raises(ResponseFailed):
        result_of(asked)


def test_an_answer_over_the_bound_ends_the_connection(server: Server) -> None:
    asked = server.ask(most=3)
    server.answer(head(1000) + b"abc")
    assert not has_fired(asked)
    server.answer(b"d")
    with pytest.raises(AnswerTooLarge, match="3 bytes"):
        result_of(asked)
    assert server.transports[0].aborted
    server.answer(b"more")
    server.lose()


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip"])
def test_a_packed_answer_is_unpacked(server: Server, name: str) -> None:
    packed = gzip.compress(b"answer" * PIECE)
    asked = server.ask()
    assert b"Accept-Encoding: gzip" in server.transports[0].value()
    server.answer(head(len(packed), f"Content-Encoding: {name}") + packed)
    assert result_of(asked).body == b"answer" * PIECE


def test_a_small_answer_that_unpacks_to_a_large_one_is_over_the_bound(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[int] = []
    packed = gzip.compress(bytes(100 * 1024 * 1024))
    real = zlib.decompressobj(16 + zlib.MAX_WBITS)

    class Counting:
        unconsumed_tail = b""

        def decompress(self, data: bytes, most: int) -> bytes:
            piece = real.decompress(data, most)
            self.unconsumed_tail = real.unconsumed_tail
            unpacked.append(len(piece))
            return piece

    monkeypatch.setattr("change_hooks.http_answers.zlib.decompressobj", lambda _: Counting())
    asked = server.ask(most=1024 * 1024)
    server.answer(head(len(packed), "Content-Encoding: gzip") + packed)
    with pytest.raises(AnswerTooLarge):
        result_of(asked)
    assert server.transports[0].aborted
    assert sum(unpacked) <= 1024 * 1024 + 2 * PIECE
    assert max(unpacked) <= PIECE


def test_what_is_packed_twice_stays_packed(server: Server) -> None:
    packed = gzip.compress(gzip.compress(b"x"))
    for more in (["Content-Encoding: gzip, gzip"], ["Content-Encoding: gzip", "Content-Encoding: gzip"]):
        asked = server.ask()
        server.answer(head(len(packed), *more) + packed)
        assert result_of(asked).body == packed


@pytest.mark.parametrize("packed", [b"abcd", gzip.compress(b"abcd", mtime=0)[:-9]])
def test_what_is_not_packed_as_it_says_is_an_error(server: Server, packed: bytes) -> None:
    asked = server.ask()
    server.answer(head(len(packed), "Content-Encoding: gzip") + packed)
    with pytest.raises(zlib.error):
        result_of(asked)
    server.lose()


@pytest.mark.parametrize("so_far", [b"", head(4), head(4) + b"ab"])
def test_one_limit_covers_waiting_and_reading(server: Server, so_far: bytes) -> None:
    asked = server.ask()
    server.reactor.advance(4.0)
    if so_far:
        server.answer(so_far)
    assert not has_fired(asked)
    server.reactor.advance(1.0)
    with pytest.raises(NoAnswer, match="within 5 s"):
        result_of(asked)
    assert server.transports[0].aborted


def test_the_limit_covers_connecting() -> None:
    clock = Clock()

    class Unreachable:
        def request(self, *_: Any, **__: Any) -> Deferred[Any]:
            return Deferred()

    asked = ask(Unreachable(), "GET", "http://127.0.0.1/", clock=clock, time_limit=5.0)
    clock.advance(5.0)
    with pytest.raises(NoAnswer):
        result_of(asked)


def test_a_redirection_is_an_answer(server: Server) -> None:
    asked = server.ask()
    server.answer(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    assert result_of(asked).status == 302
    assert len(server.transports) == 1


def test_no_cookie_is_kept(keeping: Server) -> None:
    asked = keeping.ask()
    keeping.answer(head(0, "Set-Cookie: a=b"))
    result_of(asked)
    keeping.ask()
    assert b"ookie" not in keeping.transports[0].value()


def test_a_connection_is_kept_and_used_again(keeping: Server) -> None:
    for _ in range(3):
        asked = keeping.ask(data=b"x")
        keeping.answer(head(0))
        result_of(asked)
    assert len(keeping.transports) == 1


def test_what_a_closed_connection_did_not_answer_is_sent_again_over_a_fresh_one(keeping: Server) -> None:
    asked = keeping.ask(data=b"first")
    keeping.answer(head(0))
    result_of(asked)
    asked = keeping.ask(data=b"second")
    keeping.lose(0)
    assert len(keeping.transports) == 2
    assert keeping.transports[1].value().endswith(b"second")
    keeping.answer(head(2) + b"ok")
    assert result_of(asked).body == b"ok"


def test_what_got_no_answer_over_a_fresh_connection_is_not_sent_again(keeping: Server) -> None:
    asked = keeping.ask(data=b"x")
    keeping.lose(0)
    with pytest.raises(ResponseNeverReceived):
        result_of(asked)
    assert len(keeping.transports) == 1


def test_of_two_at_once_just_the_one_over_a_kept_connection_is_sent_again(keeping: Server) -> None:
    asked = keeping.ask(data=b"first")
    keeping.answer(head(0))
    result_of(asked)
    kept, fresh = keeping.ask(data=b"kept"), keeping.ask(data=b"fresh")
    assert len(keeping.transports) == 2
    keeping.lose(1)
    with pytest.raises(ResponseNeverReceived):
        result_of(fresh)
    keeping.lose(0)
    keeping.answer(head(0), 2)
    assert result_of(kept).status == 200
    assert [transport.value()[-4:] for transport in keeping.transports] == [b"kept", b"resh", b"kept"]


def test_and_only_once(keeping: Server) -> None:
    asked = keeping.ask(data=b"first")
    keeping.answer(head(0))
    result_of(asked)
    asked = keeping.ask(data=b"x")
    keeping.lose(0)
    keeping.lose(1)
    with pytest.raises(ResponseNeverReceived):
        result_of(asked)
    assert len(keeping.transports) == 2


def test_what_was_answered_in_part_is_not_sent_again(keeping: Server) -> None:
    asked = keeping.ask(data=b"x")
    keeping.answer(b"HTTP/1.1 2")
    keeping.lose(0)
    with pytest.raises(ResponseFailed):
        result_of(asked)
    assert len(keeping.transports) == 1


def test_what_came_too_late_is_not_sent_again(keeping: Server) -> None:
    asked = keeping.ask(data=b"x")
    keeping.reactor.advance(5.0)
    with pytest.raises(NoAnswer):
        result_of(asked)
    assert len(keeping.transports) == 1


def test_cancelling_ends_the_connection(server: Server) -> None:
    asked = server.ask()
    server.answer(head(4) + b"ab")
    asked.cancel()
    with pytest.raises(CancelledError):
        result_of(asked)
    assert server.transports[0].aborted


def test_kept_connections_are_closed_at_the_end(keeping: Server) -> None:
    asked = keeping.ask()
    keeping.answer(head(0))
    result_of(asked)
    closed = keeping.http.close()
    assert keeping.transports[0].disconnecting
    keeping.lose(0)
    result_of(closed)


def test_any_certificate_is_taken_when_that_is_wanted() -> None:
    reactor: Any = MemoryReactorClock()
    client = http_client(reactor, verify=False, connect_timeout=5.0)
    assert isinstance(client, HTTPClient)
    ask(client, "GET", "https://127.0.0.1:99/", clock=reactor, time_limit=5.0).addErrback(lambda _: None)
    factory = reactor.tcpClients[0][2]
    transport = Transport()
    factory.buildProtocol(None).makeConnection(transport)
    assert transport.value()[:1] == b"\x16"  # A TLS handshake.


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        (" 17 ", 17),
        ("9" * 20, 999_999_999),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2020 07:28:00 GMT", 0),
        ("soon", 0),
        ("-1", 0),
        ("\u0663", 0),
    ],
)
def test_what_retry_after_asks_for(header: str | None, seconds: float) -> None:
    assert retry_after(header, 1792567620) == seconds
