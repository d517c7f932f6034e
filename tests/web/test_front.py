from __future__ import annotations

from typing import Any

from tests.support.connections import Connection, Transport, head
from tests.support.logs import logged

TAKEN = head(b"Content-Length: 10") + b"revision=1"


def open_connections(many: int, first: Connection, *, apart: bool = True) -> list[Connection]:
    """A second between each of them and the next."""
    made = []
    for number in range(many):
        first.clock.advance(1)
        made.append(Connection(to=first, host=f"192.0.2.{10 + number if apart else 10}"))
    return made


def test_the_limit_is_eight_of_the_largest_unless_it_is_set() -> None:
    site = Connection(max_body=20).site
    assert (site.room.limit, site.room.share) == (160, 80)
    site = Connection(max_body=20, max_held=30).site
    assert (site.room.limit, site.room.share) == (30, 20)


def test_of_too_many_connections_the_oldest_that_is_idle_goes_and_the_newcomer_gets_in() -> None:
    first = Connection(max_connections=3)
    first.send(TAKEN)
    with logged() as log:
        others = open_connections(4, first)
    assert [each.closed for each in (first, *others)] == [True, True, False, False, False]
    others[-1].send(TAKEN)
    assert others[-1].statuses == [202]
    said = [line for line in log if "change_hook_max_connections" in line]
    assert said == ["over 3 connections (change_hook_max_connections); the oldest are closed"]


def test_one_that_sends_slowly_goes_too_and_its_request_is_recorded() -> None:
    first = Connection(max_connections=1)
    first.send(head(b"Content-Length: 10"))
    with logged() as log:
        (other,) = open_connections(1, first)
    assert first.transport.aborted
    assert "base - from 192.0.2.1: 503 there are too many connections; send it again" in log.text
    other.send(TAKEN)
    assert other.statuses == [202]


def test_one_that_was_refused_goes_before_its_client_has_read_why() -> None:
    first = Connection(max_connections=1)
    first.send(head(b"Transfer-Encoding: chunked", path=b"/change_hook/nothing"))
    assert (first.statuses, first.closed) == ([404], True)
    (other,) = open_connections(1, first)
    assert first.transport.aborted
    other.send(TAKEN)
    assert other.statuses == [202]


def test_when_all_are_being_answered_the_newcomer_goes() -> None:
    from twisted.internet.defer import Deferred

    from change_hooks import HookHandler

    waiting: Deferred[Any] = Deferred()

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return waiting

    www = {"change_hook_dialects": {"base": {"custom_class": Slow}}}
    first = Connection(www=www, max_connections=1)
    first.send(TAKEN)
    (other,) = open_connections(1, first)
    assert other.transport.aborted
    waiting.callback(([{}], None))
    assert first.statuses == [202]


def test_one_client_may_have_half_of_the_connections() -> None:
    first = Connection(max_connections=10)
    others = open_connections(6, first, apart=False)
    for each in others[:-1]:
        each.send(b"P")
    assert not any(each.closed for each in others)
    others[-1].send(b"P")
    assert [each.closed for each in others] == [True] + [False] * 5
    first.send(TAKEN)
    assert first.statuses == [202]
    # Those that go make place.
    others[1].lose()
    (another,) = open_connections(1, first, apart=False)
    another.send(TAKEN)
    assert [each.closed for each in others[2:]] == [False] * 4


def test_when_all_of_one_client_are_being_answered_its_next_goes_before_it_is_read() -> None:
    from twisted.internet.defer import Deferred

    from change_hooks import HookHandler

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return Deferred()

    first = Connection(www={"change_hook_dialects": {"base": {"custom_class": Slow}}}, max_connections=2)
    first.send(TAKEN)
    other = Connection(to=first)
    other.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert other.transport.aborted
    assert other.answer == b""


def test_connections_of_a_trusted_proxy_are_not_those_of_one_client() -> None:
    from change_hooks.web.proxies import TrustedProxies

    first = Connection(max_connections=10, proxies=TrustedProxies(["192.0.2.10"]))
    others = open_connections(9, first, apart=False)
    for each in others:
        each.send(b"P")
    assert not any(each.closed for each in others)
    others[0].lose()


def test_a_connection_that_is_lost_twice_is_counted_once() -> None:
    connection = Connection()
    connection.send(TAKEN)
    connection.clock.pump([1.0] * 31)
    assert connection.transport.aborted
    connection.lose()
    assert connection.clock.getDelayedCalls() == []


def test_only_http_1_1_is_offered() -> None:
    assert Connection().site.acceptableProtocols() == [b"http/1.1"]


def test_every_answer_has_its_date_and_none_says_what_serves() -> None:
    connection = Connection()
    connection.send(TAKEN + TAKEN)
    assert connection.answer.count(b"\r\nDate: ") == 2
    assert b" GMT\r\n" in connection.answer
    assert b"Server" not in connection.answer


def test_the_address_is_known_when_bytes_come() -> None:
    """As with PROXY protocol, where the transport learns it from the first of them."""
    connection = Connection(transport=Transport("127.0.0.1"))
    connection.transport.peerAddr = Transport("192.0.2.5").getPeer()
    with logged() as log:
        connection.send(TAKEN)
    assert "from 192.0.2.5: 202" in log.text
