"""What both fronts do with bytes: that of ``serve``, and twisted.web's own under an embedded resource."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.connections import Connection, FrontKind, head

FRONTS: tuple[FrontKind, ...] = ("own", "twisted")
BODY = b"revision=1"
LENGTH = b"Content-Length: 10"
CHUNKED = b"Transfer-Encoding: chunked"
#: What a misread body turns into.
SMUGGLED = head(b"Content-Length: 17") + b"revision=smuggled"


@pytest.fixture(params=FRONTS)
def front(request: Any) -> FrontKind:
    kind: FrontKind = request.param
    return kind


TAKEN = {
    "a length": head(LENGTH) + BODY,
    "chunks": head(CHUNKED) + b"5\r\nrevis\r\n5\r\nion=1\r\n0\r\n\r\n",
    "chunks with extensions": head(CHUNKED) + b'5;a=b;c="d"\r\nrevis\r\n5\r\nion=1\r\n0\r\n\r\n',
    "trailers": head(CHUNKED) + b"A\r\nrevision=1\r\n0\r\nX-Trailer: Content-Length: 5\r\nX-2:\r\n\r\n",
    "a trailer that would matter in the head": head(CHUNKED)
    + b"A\r\nrevision=1\r\n0\r\nContent-Encoding: gzip\r\n\r\n",
    "hexadecimal in both cases": head(CHUNKED) + b"a\r\nrevision=1\r\n0\r\n\r\n",
    "leading zeros": head(CHUNKED) + b"000A\r\nrevision=1\r\n0\r\n\r\n",
    "odd capitals": head(b"cOnTeNt-lEnGtH: 10") + BODY,
    "blanks around a value": head(b"Content-Length: \t 10 \t") + BODY,
    "no blank": head(b"Content-Length:10") + BODY,
    "an empty value": head(b"X-Empty:", LENGTH) + BODY,
    "bytes beyond ASCII": head(b"X-Name: \xff\xe9", LENGTH) + BODY,
    "a line feed before it": b"\r\n" + head(LENGTH) + BODY,
    "an upgrade": head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA", LENGTH)
    + BODY,
    "an upgrade, in chunks": head(b"Connection: Upgrade", b"Upgrade: h2c", CHUNKED)
    + b"A\r\nrevision=1\r\n0\r\n\r\n",
    "no upgrade": head(b"Upgrade: h2c", LENGTH) + BODY,
    "a slash at the end": head(LENGTH, path=b"/change_hook/base/") + BODY,
    "an escaped path": head(LENGTH, path=b"/change_hook/%62ase") + BODY,
    "a doubled slash": head(LENGTH, path=b"/change_hook//base") + BODY,
    "a query": head(b"Content-Length: 0", path=b"/change_hook/base?revision=1"),
    "HTTP/1.0": head(LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0") + BODY,
}


@pytest.mark.parametrize("sent", TAKEN.values(), ids=TAKEN)
def test_it_is_taken_in_one_piece_and_byte_by_byte(front: FrontKind, sent: bytes) -> None:
    whole = Connection(front=front)
    whole.send(sent)
    assert (whole.statuses, whole.revisions) == ([202], ["1"])
    bytewise = Connection(front=front)
    for index in range(len(sent)):
        bytewise.send(sent[index : index + 1])
    assert (bytewise.statuses, bytewise.revisions) == ([202], ["1"])


REFUSED = {
    "length and chunks": head(LENGTH, CHUNKED) + b"0\r\n\r\n" + SMUGGLED,
    "chunks and length": head(CHUNKED, b"Content-Length: 5") + b"0\r\n\r\n" + SMUGGLED,
    "two lengths": head(b"Content-Length: 0", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
    "two lengths, turned round": head(b"Content-Length: %d" % len(SMUGGLED), b"Content-Length: 0") + SMUGGLED,
    "a list of lengths": head(b"Content-Length: 0, %d" % len(SMUGGLED)) + SMUGGLED,
    "a length with a sign": head(b"Content-Length: +0") + SMUGGLED,
    "a negative length": head(b"Content-Length: -1") + SMUGGLED,
    "a hexadecimal length": head(b"Content-Length: 0x0") + SMUGGLED,
    "a length with an underscore": head(b"Content-Length: 0_0") + SMUGGLED,
    "an empty length": head(b"Content-Length:") + SMUGGLED,
    "another coding": head(b"Transfer-Encoding: gzip") + SMUGGLED,
    "another coding beside chunks": head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n" + SMUGGLED,
    "another coding after chunks": head(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n" + SMUGGLED,
    "chunks of chunks": head(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n" + SMUGGLED,
    "two codings": head(CHUNKED, b"Transfer-Encoding: identity") + b"0\r\n\r\n" + SMUGGLED,
    "a coding of another name": head(b"Transfer-Encoding: xchunked") + SMUGGLED,
    "an odd blank before a coding": head(b"Transfer-Encoding: \x0bchunked") + SMUGGLED,
    "a blank before the colon": head(b"Transfer-Encoding : chunked") + b"0\r\n\r\n" + SMUGGLED,
    "a folded header": head(b"X-Folded: a\r\n Content-Length: 5") + SMUGGLED,
    "a header before any": head(LENGTH).replace(b"\r\nHost", b"\r\n Host", 1) + BODY + SMUGGLED,
    "bare line feeds": head(LENGTH).replace(b"\r\n", b"\n") + BODY + SMUGGLED,
    "a bare carriage return": head(b"X: a\rContent-Length: 5") + SMUGGLED,
    "a NUL in a value": head(b"X: a\0b", b"Content-Length: 0") + SMUGGLED,
    "a NUL in a name": head(b"X\0: a", b"Content-Length: 0") + SMUGGLED,
    "a NUL in the path": head(b"Content-Length: 0", path=b"/change_hook/ba\0se") + SMUGGLED,
    "no colon": head(b"X-Nothing", b"Content-Length: 0") + SMUGGLED,
    "a chunk with a sign": head(CHUNKED) + b"+5\r\nrevis\r\n0\r\n\r\n" + SMUGGLED,
    "a negative chunk": head(CHUNKED) + b"-5\r\nrevis\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk with 0x": head(CHUNKED) + b"0x5\r\nrevis\r\n0\r\n\r\n" + SMUGGLED,
    "an endless chunk": head(CHUNKED) + b"F" * 17 + b"\r\nrevis\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk without size": head(CHUNKED) + b"\r\nrevis\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk that is longer": head(CHUNKED) + b"5\r\nrevision\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk with bare line feeds": head(CHUNKED) + b"5\nrevis\n0\n\n" + SMUGGLED,
    "a line feed in an extension": head(CHUNKED) + b"5;a\nb\r\nrevis\r\n0\r\n\r\n" + SMUGGLED,
    "a length among the trailers": head(CHUNKED) + b"0\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
    "HTTP/0.9": b"POST /change_hook/base?revision=smuggled\r\n\r\n" + SMUGGLED,
    "HTTP/0.9, said": b"POST /change_hook/base?revision=smuggled HTTP/0.9\r\n\r\n" + SMUGGLED,
    "HTTP/2.0": b"POST /change_hook/base?revision=smuggled HTTP/2.0\r\n\r\n" + SMUGGLED,
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01" + SMUGGLED,
    "blanks in the path": head(b"Content-Length: 0", path=b"/change_hook/base x") + SMUGGLED,
    "another method in front": b"x" + head(b"Content-Length: 0") + SMUGGLED,
    "two hosts": head(b"Host: y", b"Content-Length: 0") + SMUGGLED,
    "no host": head(b"Content-Length: 0").replace(b"Host: x\r\n", b"") + SMUGGLED,
    "a tunnel": head(b"Content-Length: 0", method=b"CONNECT", path=b"x:80") + SMUGGLED,
    "chunks in HTTP/1.0": head(CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0") + b"A\r\nrevision=1\r\n0\r\n\r\n",
}
#: Those that twisted.web reads in a way of its own.
READ_BY_TWISTED = {
    "chunks in HTTP/1.0",
    "two codings",
    "a folded header",
    "an endless chunk",
    "a length among the trailers",
    "another method in front",
    "two hosts",
    "no host",
    "a tunnel",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_others_may_read_otherwise_is_refused_and_nothing_after_it_is_read(
    front: FrontKind, name: str
) -> None:
    if front == "twisted" and name in READ_BY_TWISTED:
        pytest.skip("twisted.web's own business")
    whole = Connection(front=front, max_body=1000)
    whole.send(REFUSED[name])
    assert whole.revisions == []
    assert whole.statuses in ([400], [501], [])
    assert whole.closed
    bytewise = Connection(front=front, max_body=1000)
    for index in range(len(REFUSED[name])):
        bytewise.send(REFUSED[name][index : index + 1])
    assert (bytewise.revisions, bytewise.statuses) == ([], whole.statuses)


def test_requests_on_one_connection_are_answered_in_order(front: FrontKind) -> None:
    connection = Connection(front=front)
    connection.send(head(LENGTH) + BODY)
    connection.send(b"".join(head(LENGTH) + b"revision=%d" % number for number in range(2, 6)))
    assert connection.statuses == [202] * 5
    assert connection.revisions == ["1", "2", "3", "4", "5"]
    assert not connection.closed


def test_a_client_of_http_1_0_is_told_nothing() -> None:
    connection = Connection()
    connection.send(
        head(b"Content-Length: 10", b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0") + b"revision=1"
    )
    assert connection.statuses == [202]
    assert b"100 Continue" not in connection.answer


@pytest.mark.parametrize(
    ("sent", "closed"),
    [
        (head(b"Connection: close", LENGTH) + BODY, True),
        (head(b"Connection: keep-alive", LENGTH) + BODY, False),
        (head(LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0") + BODY, True),
    ],
)
def test_a_connection_is_kept_when_both_sides_want_that(front: FrontKind, sent: bytes, closed: bool) -> None:
    connection = Connection(front=front)
    connection.send(sent)
    assert connection.statuses == [202]
    assert connection.closed is closed


def test_what_comes_after_the_last_request_is_not_read(front: FrontKind) -> None:
    connection = Connection(front=front)
    connection.send(head(b"Connection: close", LENGTH) + BODY + SMUGGLED)
    connection.send(SMUGGLED)
    assert (connection.statuses, connection.revisions) == ([202], ["1"])


def test_a_client_that_asks_is_told_to_send_the_body(front: FrontKind) -> None:
    connection = Connection(front=front)
    connection.send(head(LENGTH, b"Expect: 100-continue"))
    assert connection.answer == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(BODY)
    assert connection.statuses == [100, 202]


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (head(b"Content-Length: 0", path=b"/change_hook/nothing"), 404, b"change_hook_dialects"),
        (head(b"Content-Length: 0", path=b"/change_hook/base/more"), 404, b"change_hook_dialects"),
        (head(b"Content-Length: 0", method=b"PUT"), 405, b"\r\nAllow: POST, OPTIONS\r\n"),
        (head(b"Content-Length: 0", b"Content-Encoding: gzip"), 415, b"gzip"),
        (head(b"Content-Length: 0", b"Origin: http://evil.example"), 403, b"another site"),
        (head(b"Content-Length: 0", b"Accept: application/json"), 400, b"application/json"),
        (head(method=b"OPTIONS"), 204, b"\r\nAllow: POST, OPTIONS\r\n"),
    ],
)
def test_answers_are_the_same(front: FrontKind, sent: bytes, status: int, said: bytes) -> None:
    connection = Connection(front=front)
    connection.send(sent)
    assert connection.statuses == [status]
    assert said in connection.answer
    assert not connection.closed
    if status != 204:
        assert b"\r\nX-Content-Type-Options: nosniff\r\n" in connection.answer


def test_the_answer_to_head_has_no_body(front: FrontKind) -> None:
    connection = Connection(front=front)
    connection.send(head(method=b"HEAD"))
    assert connection.statuses == [405]
    assert connection.answer.endswith(b"\r\n\r\n")


def test_a_body_that_is_too_large_is_refused(front: FrontKind) -> None:
    connection = Connection(front=front)
    connection.send(head(b"Content-Length: 101") + b"x" * 101)
    assert connection.statuses == [413]
    assert connection.changes == []
