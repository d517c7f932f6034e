from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from change_hooks.core.errors import Unavailable
from change_hooks.web.answers import Refusal
from change_hooks.web.request import PIECE, Request
from tests.support.logs import logged


class Sent:
    """Stands for a connection."""

    def __init__(self, root: Resource) -> None:
        self.root: Any = root
        self.heads: list[bytes] = []
        self.body = b""
        self.wanted: list[Request] = []
        self.done = self.aborted = False
        self.producer: Any = None

    def go_on(self, request: Request) -> None:
        self.wanted.append(request)

    def getHost(self) -> str:
        return "here"

    def begin_answer(self, request: Request, head: bytes, body: bytes) -> None:
        self.heads.append(head)
        self.body += body

    def send(self, data: bytes) -> None:
        self.body += data

    def produced_by(self, producer: Any) -> None:
        self.producer = producer

    def end_answer(self, request: Request) -> None:
        assert not self.done
        self.done = True

    def abort(self) -> None:
        self.aborted = True


class Page(Resource):
    isLeaf = True

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def render(self, request: Any) -> Any:
        return self.answer(request) if callable(self.answer) else self.answer


def request(
    root: Resource, target: bytes = b"/", method: bytes = b"POST", version: str = "1.1", **headers: str
) -> tuple[Request, Sent]:
    sent = Sent(root)
    given = Headers({name.encode(): [value.encode()] for name, value in headers.items()})
    made = Request(sent, method, target, given, client="somebody", length=0, version=version)
    return made, sent


@pytest.mark.parametrize(
    ("target", "uri", "segments"),
    [
        (b"/a/b?c=/d", b"/a/b?c=/d", [b"a", b"b"]),
        (b"/a/b/", b"/a/b/", [b"a", b"b", b""]),
        (b"//a///b//", b"//a///b//", [b"a", b"b", b""]),
        (b"/", b"/", [b""]),
        (b"/a%2Fb/%20", b"/a%2Fb/%20", [b"a/b", b" "]),
        (b"https://ci.example.com/a?b", b"/a?b", [b"a"]),
        (b"HTTP://ci.example.com:8080", b"/", [b""]),
        (b"http://ci.example.com?b=//c", b"/?b=//c", [b""]),
        (b"http://[::1]:80//a", b"//a", [b"a"]),
        (b"*", b"*", [b""]),
        (b"", b"/", [b""]),
    ],
)
def test_a_target_in_every_form(target: bytes, uri: bytes, segments: list[bytes]) -> None:
    made, _ = request(Resource(), target)
    assert (made.uri, made.path, made.postpath) == (uri, uri.partition(b"?")[0], segments)


@given(st.binary())
def test_any_target_has_a_path(target: bytes) -> None:
    made, _ = request(Resource(), target)
    assert made.postpath


def test_it_reads_as_a_request_of_twisted_web() -> None:
    made, _ = request(Resource(), b"/x?a=1&a=2&b", Host="x")
    assert made.args == {b"a": [b"1", b"2"]}
    assert (made.getHeader("host"), made.getHeader(b"host"), made.getHeader("x")) == ("x", b"x", None)
    assert made.getClientAddress() == "somebody"
    names = {name for name in IRequest if hasattr(made, name)}
    assert {"method", "uri", "path", "args", "content", "prepath", "postpath", "write", "finish"} <= names


def test_the_answer_is_framed_here_and_nowhere_else() -> None:
    def answer(request: Any) -> bytes:
        request.setResponseCode(202)
        request.setHeader(b"content-length", b"1000")
        request.setHeader(b"transfer-encoding", b"chunked")
        request.setHeader(b"x-a", b"b\r\nc: d")
        request.responseHeaders.addRawHeader(b"x-a", b"e")
        return b"text"

    for method, body in ((b"POST", b"text"), (b"HEAD", b"")):
        made, sent = request(Page(answer), method=method)
        made.complete = True
        made.begin()
        assert sent.heads == [b"HTTP/1.1 202 Accepted\r\nX-A: b c: d\r\nX-A: e\r\nContent-Length: 4\r\n"]
        assert (sent.body, sent.done) == (body, True)


@pytest.mark.parametrize(
    ("code", "head"),
    [
        (299, b"HTTP/1.1 299 Unknown Status\r\nContent-Length: 0\r\n"),
        (204, b"HTTP/1.1 204 No Content\r\n"),
        (304, b"HTTP/1.1 304 Not Modified\r\n"),
    ],
)
def test_a_status_without_a_phrase_and_those_without_a_body(code: int, head: bytes) -> None:
    made, sent = request(Resource())
    made.setResponseCode(code)
    made.finish()
    made.finish()
    made.write(b"too late")
    assert (sent.heads, sent.body) == ([head], b"")


def test_it_waits_for_the_body_unless_the_resource_needs_none() -> None:
    made, sent = request(Page(b"x"))
    made.begin()
    assert (sent.heads, sent.wanted) == ([], [made])
    made.body_complete()
    assert sent.body == b"x"
    refused, sent = request(Refusal(Unavailable("later")))
    refused.begin()
    assert sent.body == b"later\n"


@given(st.lists(st.integers(0, 3 * PIECE), max_size=9))
def test_a_body_is_put_together_of_pieces_of_any_size(sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    made, _ = request(Page(NOT_DONE_YET))
    for piece in pieces:
        made.take(piece)
    made.body_complete()
    assert made.content.read() == b"".join(pieces)


def test_single_bytes_take_little_more_than_their_size() -> None:
    made, _ = request(Page(NOT_DONE_YET))
    tracemalloc.start()
    for _ in range(4 * PIECE):
        made.take(b"x"[:])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 6 * PIECE


@pytest.mark.parametrize(
    ("method", "version", "framing", "body"),
    [
        (b"GET", "1.1", b"Transfer-Encoding: chunked\r\n", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
        (b"GET", "1.0", b"", b"abc"),
        (b"HEAD", "1.1", b"", b""),
    ],
)
def test_it_is_answered_later_piece_by_piece(
    method: bytes, version: str, framing: bytes, body: bytes
) -> None:
    fired: list[Any] = []
    made, sent = request(Page(NOT_DONE_YET), method=method, version=version)
    made.begin()
    made.body_complete()
    made.notifyFinish().addCallback(fired.append)
    assert sent.heads == []
    for piece in (b"a", b"", b"bc"):
        made.write(piece)
    assert (sent.heads, sent.done, fired) == ([b"HTTP/1.1 200 OK\r\n" + framing], False, [])
    made.finish()
    assert (sent.body, sent.done, fired) == (body, True, [None])
    assert made.closes is (version == "1.0")
    made.lost(Failure(ConnectionError()))


def test_an_answer_whose_length_is_known_is_not_in_chunks() -> None:
    made, sent = request(Page(NOT_DONE_YET))
    made.setHeader(b"content-length", b"3")
    made.write(b"a")
    made.write(b"bc")
    made.finish()
    assert sent.heads == [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"]
    assert sent.body == b"abc"


def test_a_producer_is_made_known_to_the_connection() -> None:
    made, sent = request(Page(NOT_DONE_YET))
    producer = object()
    made.registerProducer(producer, True)
    assert sent.producer is producer
    made.unregisterProducer()
    assert sent.producer is None
    assert made.getHost() == "here"


def test_a_client_that_goes_is_told_to_whoever_waits() -> None:
    gone: list[Any] = []
    made, sent = request(Page(NOT_DONE_YET))
    made.begin()
    made.body_complete()
    deferred: Deferred[None] = made.notifyFinish()
    deferred.addErrback(gone.append)
    made.lost(Failure(ConnectionError()))
    made.write(b"x")
    made.finish()
    assert len(gone) == 1
    assert (sent.heads, sent.done) == ([], False)


@pytest.mark.parametrize("when", ["head", "body", "later"])
def test_a_resource_that_breaks_is_an_incident(when: str) -> None:
    def breaks(request: Any) -> Any:
        if when == "later":
            fail(RuntimeError("a secret")).addErrback(request.processingFailed)
            return NOT_DONE_YET
        raise RuntimeError("a secret")

    page = Page(breaks)
    if when == "head":
        page.early_answer = breaks  # type: ignore[attr-defined]
    made, sent = request(page)
    with logged() as log:
        made.begin()
        made.body_complete()
    assert sent.heads[0].startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"incident" in sent.body
    assert b"secret" not in sent.body
    assert "a resource broke: incident" in log.text


def test_one_that_breaks_in_the_middle_of_its_answer_ends_the_connection() -> None:
    made, sent = request(Page(NOT_DONE_YET))
    made.write(b"half of")
    made.processingFailed(Failure(RuntimeError()))
    assert (sent.aborted, sent.done) == (True, False)
