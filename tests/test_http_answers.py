from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.web.client import ResponseFailed

from change_hooks.http_answers import AnswerTooLarge, NoAnswer, ask, retry_after
from tests.conftest import has_fired, result_of
from tests.support.asking import Server, head, plain_server


@pytest.fixture
def server() -> Server:
    return plain_server()


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


def test_cancelling_ends_the_connection(server: Server) -> None:
    asked = server.ask()
    server.answer(head(4) + b"ab")
    asked.cancel()
    with pytest.raises(CancelledError):
        result_of(asked)
    assert server.transports[0].aborted


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
