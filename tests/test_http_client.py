from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from treq.client import HTTPClient
from twisted.internet.testing import MemoryReactorClock
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from change_hooks.http_answers import AnswerTooLarge, NoAnswer, ask
from change_hooks.http_client import PIECE, KeptConnections, http_client
from tests.conftest import result_of
from tests.support.asking import Server, head, plain_server
from tests.support.connections import Transport


@pytest.fixture
def server() -> Server:
    return plain_server()


@pytest.fixture
def keeping() -> Server:
    return Server(lambda reactor: KeptConnections(reactor, verify=True, connect_timeout=5.0))


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

    monkeypatch.setattr("change_hooks.http_client.zlib.decompressobj", lambda _: Counting())
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
