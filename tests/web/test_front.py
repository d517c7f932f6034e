from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from change_hooks import make_resource
from change_hooks.web.front import GRACE, IDLE_TIMEOUT, LINGER, SLOWEST
from tests.support.connections import Connection, Transport


def head(*headers: bytes) -> bytes:
    return b"\r\n".join(
        [
            b"POST /change_hook/base HTTP/1.1",
            b"Host: x",
            b"Content-Type: application/x-www-form-urlencoded",
            *headers,
            b"",
            b"",
        ]
    )


def test_a_body_is_taken_whole_and_in_chunks() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 10") + b"revision=1")
    connection.send(head(b"Transfer-Encoding: chunked") + b"5\r\nrevis\r\n5\r\nion=2\r\n0\r\n\r\n")
    assert [change.revision for change in connection.changes] == ["1", "2"]
    assert connection.answer.count(b"HTTP/1.1 202 Accepted\r\n") == 2


def another(connection: Connection) -> Connection:
    """A second connection to the same site."""
    second = Connection()
    second.site, second.changes, second.transport = connection.site, connection.changes, Transport()
    second.channel = connection.site.buildProtocol(None)
    second.channel.makeConnection(second.transport)
    return second


def test_all_bodies_together_have_a_limit_and_what_is_over_is_503() -> None:
    first = Connection(max_body=20)
    first.site.max_held = 30
    second = another(first)
    first.send(head(b"Content-Length: 20") + b"revision=1&branch=a")
    second.send(head(b"Content-Length: 20") + b"revision=2&bran")
    assert b"HTTP/1.1 503 Service Unavailable\r\n" in second.answer
    assert b"Retry-After: 5\r\n" in second.answer
    assert b"too much is being received at once" in second.answer
    # The first one is taken, and then there is room again.
    first.send(b"b")
    assert first.answer.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert first.site.held == 0
    third = another(first)
    third.send(head(b"Content-Length: 20") + b"revision=3&branch=ab")
    assert third.answer.startswith(b"HTTP/1.1 202 Accepted\r\n")


def test_a_client_that_goes_away_gives_back_its_room() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 20") + b"revision=1")
    assert connection.site.held == 10
    connection.channel.connectionLost(Failure(ConnectionDone()))
    assert connection.site.held == 0


def test_the_limit_is_eight_of_the_largest_unless_it_is_set() -> None:
    site = Connection(max_body=20).site
    assert site.max_held == 160
    site.limit(10, 15)
    assert (site.max_body, site.max_held) == (10, 15)


def test_the_arguments_of_the_query_are_read() -> None:
    connection = Connection()
    connection.send(b"POST /change_hook/base?revision=7 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert connection.changes[0].revision == "7"


def test_a_malformed_multipart_body_is_400_with_a_reason() -> None:
    connection = Connection()
    connection.send(
        b"POST /change_hook/base HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx"
    )
    assert b"400 Bad Request" in connection.answer
    assert b"boundary" in connection.answer


@pytest.mark.parametrize("length", [b"101", b"99999999999999999999"])
def test_a_body_that_announces_itself_too_large_is_refused_at_once(length: bytes) -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: " + length, b"Expect: 100-continue"))
    assert connection.answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in connection.answer
    assert b"change_hook_max_body" in connection.answer
    assert connection.transport.write_closed
    connection.send(b"x" * 101)
    assert connection.answer.count(b"HTTP/1.1") == 1
    assert connection.changes == []
    connection.clock.advance(LINGER)
    assert connection.transport.aborted


def test_a_body_in_chunks_is_refused_when_it_gets_too_large() -> None:
    connection = Connection()
    connection.send(head(b"Transfer-Encoding: chunked"))
    connection.send(b"64\r\n" + b"r" * 100 + b"\r\n")
    assert connection.answer == b""
    connection.send(b"5\r\nxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n")
    assert connection.answer.startswith(b"HTTP/1.1 413 ")
    assert connection.answer.count(b"HTTP/1.1") == 1
    assert connection.changes == []


def test_all_of_a_body_that_is_too_large_in_one_segment_is_one_refusal() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 101") + b"x" * 101)
    assert connection.answer.count(b"HTTP/1.1 413") == 1
    assert connection.changes == []


def test_a_refused_client_that_goes_is_not_waited_for() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 101"))
    connection.channel.connectionLost()
    connection.clock.advance(LINGER)
    assert not connection.transport.aborted


def test_a_client_that_goes_after_it_was_cut_off() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 101"))
    connection.clock.advance(LINGER)
    connection.channel.connectionLost()
    assert connection.transport.aborted


def test_a_second_request_waits_while_the_first_is_worked_on() -> None:
    from twisted.internet.defer import Deferred

    from change_hooks import HookHandler

    waiting: Deferred[Any] = Deferred()

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return waiting

    connection = Connection()
    www = {"change_hook_dialects": {"base": {"custom_class": Slow}}}
    connection.site.resource.putChild(b"change_hook", make_resource(www, sink=connection.changes.append))
    connection.send(head(b"Content-Length: 0"))
    connection.send(head(b"Content-Length: 0"))
    connection.clock.advance(GRACE * 10)
    assert connection.answer == b""
    waiting.callback(([{}], None))
    assert b"Content-Length: 15\r\n" in connection.answer
    assert connection.answer.count(b"HTTP/1.1 202 Accepted") == 1


def test_tls_cannot_be_half_closed_and_is_closed_later() -> None:
    connection = Connection()
    directlyProvides(connection.transport, ISSLTransport)
    connection.send(head(b"Content-Length: 101"))
    assert not connection.transport.write_closed
    connection.clock.advance(LINGER)
    assert connection.transport.aborted


def test_a_client_that_trickles_its_head_is_cut_off() -> None:
    connection = Connection()
    for byte in head(b"Content-Length: 10")[: int(GRACE) + 2]:
        connection.send(bytes([byte]))
        connection.clock.advance(1)
    assert connection.transport.aborted


def test_a_client_that_trickles_its_body_is_cut_off() -> None:
    connection = Connection(max_body=SLOWEST * 10)
    connection.send(head(b"Content-Length: %d" % (SLOWEST * 10)))
    for _ in range(int(GRACE) + 9):
        connection.clock.advance(1)
        connection.send(b"x")
    assert not connection.transport.aborted
    connection.clock.advance(2)
    connection.send(b"x")
    assert connection.transport.aborted
    assert connection.answer == b""


def test_a_body_in_chunks_has_the_time_of_the_largest() -> None:
    connection = Connection(max_body=SLOWEST)
    connection.send(head(b"Transfer-Encoding: chunked"))
    connection.clock.advance(20)
    connection.send(b"1\r\nx\r\n")
    connection.clock.advance(20)
    connection.send(b"1\r\nx\r\n")
    assert connection.transport.aborted


def test_the_time_starts_again_with_each_request() -> None:
    connection = Connection()
    for _ in range(5):
        connection.send(head(b"Content-Length: 10"))
        connection.clock.advance(GRACE - 5)
        connection.send(b"revision=1")
    assert len(connection.changes) == 5
    assert not connection.transport.aborted


def test_a_client_that_is_silent_is_cut_off() -> None:
    connection = Connection()
    connection.send(head()[:20])
    connection.clock.advance(IDLE_TIMEOUT)
    assert connection.transport.disconnecting


def test_only_http_1_1_is_offered_and_nothing_is_logged_twice() -> None:
    connection = Connection()
    assert connection.site.acceptableProtocols() == [b"http/1.1"]
    connection.site.startFactory()
    connection.site.log(None)
    connection.site.stopFactory()
    assert connection.clock.getDelayedCalls()  # the idle timeout of the one connection, and nothing else
    assert len(connection.clock.getDelayedCalls()) == 1
