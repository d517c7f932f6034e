from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import directlyProvides

from change_hooks import HookHandler
from change_hooks.core.verification import verify_token
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.journal import Trace
from change_hooks.observer import NOBODY
from change_hooks.web.connection import GRACE, IDLE_TIMEOUT, LINGER, MOST_WAITING, SLOWEST
from change_hooks.web.connection import Connection as Connection_
from change_hooks.web.parser import CHUNKED, MAX_HEAD
from change_hooks.web.room import SMALL
from change_hooks.web.tracing import telling
from tests.support.connections import Connection, Transport, head
from tests.support.logs import logged

BODY = b"revision=1"
TAKEN = head(b"Content-Length: 10") + BODY
CHUNKS = b"Transfer-Encoding: chunked"
LARGE = 10 * SMALL


class Slow(HookHandler):
    """Answers when it is told to."""

    waiting: list[Deferred[Any]]

    def getChanges(self, request: Any) -> Any:
        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        return waiting


def slow(**more: Any) -> tuple[Connection, list[Deferred[Any]]]:
    waiting: list[Deferred[Any]] = []
    handler = type("Mine", (Slow,), {"waiting": waiting})
    www = {"change_hook_dialects": {"base": {"custom_class": handler}}}
    return Connection(www=www, **more), waiting


def traced(**more: Any) -> tuple[Connection, list[Trace]]:
    traces: list[Trace] = []
    return Connection(tracer=telling(traces.append, NOBODY), **more), traces


# How large -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [b"101", b"99999999999999999999"])
def test_a_body_that_announces_itself_too_large_is_refused_at_once(length: bytes) -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: " + length, b"Expect: 100-continue"))
    assert connection.statuses == [413]
    assert b"change_hook_max_body" in connection.answer
    assert connection.transport.write_closed
    connection.send(b"x" * 101)
    assert connection.statuses == [413]
    assert connection.changes == []
    connection.clock.advance(LINGER)
    assert connection.transport.aborted


def test_a_body_in_chunks_is_refused_when_it_gets_too_large() -> None:
    connection = Connection()
    connection.send(head(CHUNKS))
    connection.send(b"64\r\n" + b"r" * 100 + b"\r\n")
    assert connection.answer == b""
    connection.send(b"5\r\nxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n" + TAKEN)
    assert connection.statuses == [413]
    assert connection.changes == []


def test_a_body_that_is_too_large_is_refused_behind_a_password_too() -> None:
    from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

    users: Any = InMemoryUsernamePasswordDatabaseDontUse(user=b"password")
    connection = Connection(www={"change_hook_auth": [users]})
    right = b"Authorization: Basic dXNlcjpwYXNzd29yZA=="
    connection.send(head(right, b"Content-Length: 101"))
    assert connection.statuses == [413]
    taken = Connection(to=connection)
    taken.send(head(right, b"Content-Length: 10") + BODY)
    assert (taken.statuses, taken.revisions) == ([202], ["1"])


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("step", [100, 10 * MAX_HEAD])
def test_a_head_that_is_too_large_is_431_and_a_line_in_the_log(many: bool, step: int) -> None:
    connection, traces = traced()
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(1000)) if many else b"x" * MAX_HEAD
    sent = head(b"X: " + lines)[: -4 if many else None]
    with logged() as log:
        for start in range(0, len(sent), step):
            connection.send(sent[start : start + step])
    assert connection.statuses == [431]
    assert b"431 Request Header Fields Too Large" in connection.answer
    assert b"over 16384 bytes" in connection.answer
    assert connection.closed
    assert [(trace.dialect, trace.status, trace.client) for trace in traces] == [("base", 431, "192.0.2.1")]
    assert "base - from 192.0.2.1: 431 the request line and headers are over 16384 bytes" in log.text


def test_a_target_that_does_not_end_is_431() -> None:
    connection = Connection()
    for _ in range(3):
        connection.send(b"POST /" + b"x" * MAX_HEAD if not connection.answer else b"x" * MAX_HEAD)
    assert connection.statuses == [431]


@pytest.mark.parametrize("piece", [b"\r\n", b"x" * 50])
def test_what_never_becomes_anything_is_refused(piece: bytes) -> None:
    connection = Connection()
    if piece != b"\r\n":
        connection.send(head(CHUNKS) + b"0\r\nTrailer: ")
    for _ in range(MAX_HEAD // len(piece) + 2):
        connection.send(piece)
    assert connection.statuses == [431]


def test_trailers_have_the_limit_of_a_head() -> None:
    connection = Connection()
    connection.send(head(CHUNKS) + b"0\r\n" + b"Trailer: 1\r\n" * 500 + b"\r\n")
    assert connection.statuses == [431]


def test_chunks_of_single_bytes_are_taken_but_not_what_is_mostly_framing() -> None:
    body = b"revision=1&comments=" + b"x" * 2 * SMALL
    connection = Connection(max_body=LARGE)
    connection.send(head(CHUNKS))
    for byte in body:
        connection.send(b"1\r\n%c\r\n" % byte)
    connection.send(b"0\r\n\r\n")
    assert connection.revisions == ["1"]
    connection = Connection(max_body=LARGE)
    connection.send(head(CHUNKS))
    for _ in range(2 * SMALL):
        connection.send(b"1;" + b"e" * 2 * CHUNKED + b"\r\nx\r\n")
    assert connection.statuses == [400]
    assert b"the chunks of the body are too small" in connection.answer


# When ----------------------------------------------------------------------------------------------


def test_a_client_that_trickles_its_head_is_told_and_cut_off() -> None:
    connection, traces = traced()
    sent = head(b"Content-Length: 10")
    connection.send_slowly((sent[index : index + 1] for index in range(len(sent))), every=1)
    assert connection.statuses == [408]
    assert [(trace.dialect, trace.status) for trace in traces] == [("base", 408)]
    connection.clock.pump([1.0] * int(LINGER + 1))
    assert connection.transport.aborted


def test_a_body_earns_time_by_what_has_come_and_not_by_what_was_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("change_hooks.dialects.handler.in_thread", maybeDeferred)
    connection = Connection(max_body=100 * SLOWEST)
    connection.send(head(b"Content-Length: %d" % (100 * SLOWEST)))
    connection.send_slowly([b"x"] * 100, every=1)
    assert connection.statuses == [408]
    assert connection.clock.seconds() <= GRACE + 2
    honest = Connection(to=connection)
    honest.send(head(b"Content-Length: %d" % (100 * SLOWEST)))
    began = honest.clock.seconds()
    honest.send_slowly([b"x" * SLOWEST] * 99, every=1)
    assert honest.clock.seconds() - began > 2 * GRACE
    honest.send(b"x" * SLOWEST)
    assert honest.statuses == [400]  # There is nothing in it.


def test_a_body_in_chunks_earns_its_time_too() -> None:
    connection = Connection(max_body=100 * SLOWEST)
    connection.send(head(CHUNKS))
    connection.send_slowly([b"1\r\nx\r\n"] * 100, every=1)
    assert connection.statuses == [408]


def test_a_client_that_earned_much_time_may_not_be_silent_for_it() -> None:
    connection = Connection(max_body=100 * SLOWEST)
    connection.send(head(b"Content-Length: %d" % (100 * SLOWEST)) + b"x" * (99 * SLOWEST))
    connection.clock.pump([1.0] * int(IDLE_TIMEOUT + 1))
    assert connection.statuses == [408]


def test_the_time_starts_again_with_each_request() -> None:
    connection = Connection()
    for _ in range(5):
        connection.send(head(b"Content-Length: 10"))
        connection.clock.pump([1.0] * int(GRACE - 5))
        connection.send(BODY)
        connection.clock.pump([1.0] * int(GRACE - 5))
    assert connection.statuses == [202] * 5
    assert not connection.closed


def test_a_client_that_is_silent_between_requests_is_cut_off_without_a_word() -> None:
    connection, traces = traced()
    connection.send(TAKEN)
    connection.clock.pump([1.0] * int(IDLE_TIMEOUT - 1))
    assert not connection.closed
    connection.clock.pump([1.0, 1.0])
    assert connection.transport.aborted
    assert connection.statuses == [202]
    assert traces == []


def test_a_client_that_does_not_read_is_not_read_and_cut_off() -> None:
    connection = Connection()
    connection.channel.pauseProducing()
    connection.send(TAKEN)
    assert connection.transport.producerState == "paused"
    assert connection.answer == b""
    connection.clock.pump([1.0] * int(IDLE_TIMEOUT - 1))
    assert not connection.closed
    connection.clock.pump([1.0, 1.0])
    assert connection.transport.aborted
    assert connection.changes == []


def test_a_client_that_reads_again_is_read_again() -> None:
    connection = Connection()
    connection.channel.pauseProducing()
    connection.send(TAKEN)
    connection.send(TAKEN)
    connection.clock.advance(IDLE_TIMEOUT - 1)
    connection.channel.resumeProducing()
    assert connection.statuses == [202, 202]
    assert connection.transport.producerState == "producing"
    connection.clock.advance(IDLE_TIMEOUT - 1)
    assert not connection.closed


def test_of_requests_in_one_segment_no_more_are_answered_than_are_read() -> None:
    class Small(Transport):
        def write(self, data: bytes) -> None:
            super().write(data)
            if b" 202 " in data:
                self.producer.pauseProducing()

    connection = Connection(transport=Small())
    connection.send(TAKEN * 3)
    assert connection.statuses == [202]
    connection.channel.resumeProducing()
    assert connection.statuses == [202, 202]


# One after the other ---------------------------------------------------------------------------------


def test_a_request_waits_until_the_one_before_it_is_answered_however_long_that_takes() -> None:
    connection, waiting = slow()
    connection.send(TAKEN + TAKEN + TAKEN[:-5])
    connection.send(TAKEN[-5:] + TAKEN)
    assert connection.transport.producerState == "paused"
    connection.clock.pump([1.0] * int(GRACE * 3))
    assert connection.answer == b""
    for number in range(4):
        assert len(waiting) == number + 1
        waiting[number].callback(([{"revision": str(number)}], None))
    assert connection.statuses == [202] * 4
    assert connection.revisions == ["0", "1", "2", "3"]
    assert connection.transport.producerState == "producing"


def test_many_requests_in_one_segment_are_answered_without_recursion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.web.connection.MOST_WAITING", 1000)
    connection = Connection()
    connection.channel.pauseProducing()
    connection.send(head(b"Content-Length: 0", path=b"/change_hook/x") * 500)
    connection.channel.resumeProducing()
    assert connection.statuses == [404] * 500


def test_what_is_malformed_after_good_requests_leaves_their_answers_alone() -> None:
    connection, waiting = slow()
    with logged() as log:
        connection.send(TAKEN + TAKEN + head(b"Content-Length: 20") + b"x" + b"\0" * 3)
        connection.send(b"more")
    assert log.text == ""
    connection, waiting = slow()
    with logged() as log:
        connection.send(TAKEN + TAKEN + head(b"Content-Length: x"))
    assert "400 the request is not valid HTTP/1.1: Invalid character in Content-Length" in log.text
    waiting[0].callback(([{}], None))
    assert not connection.closed
    waiting[1].callback(([{}], None))
    assert connection.statuses == [202, 202]
    assert connection.closed


def test_a_body_that_gets_too_large_after_a_good_request() -> None:
    connection, waiting = slow()
    connection.send(TAKEN + head(CHUNKS) + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
    waiting[0].callback(([{}], None))
    assert connection.statuses == [202]
    assert connection.closed


def test_what_is_refused_is_told_although_an_error_is_being_handled() -> None:
    connection, waiting = slow()
    connection.send(TAKEN)
    connection.send(head(b"Content-Length: 101", CHUNKS))
    connection.send(b"x")
    waiting[0].errback(RuntimeError())
    assert connection.statuses == [500, 400]
    connection, waiting = slow()
    connection.send(TAKEN)
    connection.send(head(CHUNKS) + b"65\r\n" + b"x" * 101)
    try:
        raise RuntimeError
    except RuntimeError:
        waiting[0].callback(([{}], None))
    assert connection.statuses == [202, 413]


def test_a_client_that_goes_is_not_answered() -> None:
    connection, waiting = slow()
    connection.send(TAKEN + TAKEN + TAKEN[:-5])
    connection.lose()
    waiting[0].callback(([{"revision": "1"}], None))
    assert connection.answer == b""
    assert connection.revisions == ["1"]
    assert len(waiting) == 1


class Streaming(Resource):
    """Answers as long as it is told to."""

    isLeaf = True
    request: Any

    def render(self, request: Any) -> Any:
        self.request = request
        request.registerProducer(self, True)
        request.write(b"begun")
        return NOT_DONE_YET

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def streaming() -> tuple[Connection, Streaming]:
    connection, resource = Connection(), Streaming()
    connection.site.resource.putChild(b"live", resource)
    connection.send(head(path=b"/live", method=b"GET"))
    assert connection.answer.endswith(b"\r\n\r\n5\r\nbegun\r\n")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in connection.answer
    return connection, resource


def test_an_answer_may_take_as_long_as_it_is_read() -> None:
    connection, resource = streaming()
    connection.clock.pump([1.0] * int(IDLE_TIMEOUT * 2))
    connection.channel.pauseProducing()
    connection.channel.resumeProducing()
    connection.clock.pump([1.0] * int(IDLE_TIMEOUT * 2))
    assert resource.told == ["pause", "resume"]
    assert resource.request.getHost() == connection.transport.getHost()
    resource.request.unregisterProducer()
    resource.request.finish()
    assert connection.answer.endswith(b"0\r\n\r\n")
    connection.channel.pauseProducing()
    connection.channel.resumeProducing()
    connection.send(TAKEN)
    assert (connection.statuses, resource.told) == ([200, 202], ["pause", "resume"])


def test_an_answer_that_is_not_read_ends() -> None:
    connection, resource = streaming()
    connection.channel.pauseProducing()
    connection.clock.pump([1.0] * int(IDLE_TIMEOUT + 1))
    assert connection.transport.aborted
    connection.lose()
    assert resource.told == ["pause", "stop"]


def test_who_begins_to_answer_a_client_that_does_not_read_is_paused_at_once() -> None:
    connection, _waiting = slow()
    resource = Streaming()
    connection.send(TAKEN)
    connection.channel.pauseProducing()
    connection.channel.produced_by(resource)
    assert resource.told == ["pause"]


# On the head -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(b"Content-Length: 90", path=b"/change_hook/nothing"), 404),
        (head(b"Content-Length: 90", path=b"/change_hook/base/more"), 404),
        (head(b"Content-Length: 90", method=b"PUT"), 405),
        (head(b"Content-Length: 90", b"Content-Encoding: br"), 415),
    ],
)
def test_what_needs_no_body_is_answered_on_the_head(sent: bytes, status: int) -> None:
    connection = Connection()
    connection.send(sent)
    assert connection.statuses == [status]
    assert not connection.closed
    # What is short is let come, and the connection goes on.
    connection.send(b"x" * 50)
    connection.send(b"x" * 40 + TAKEN)
    assert connection.statuses == [status, 202]


def test_the_rest_of_a_body_that_nobody_wants_must_come_in_time() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 90", path=b"/change_hook/nothing"))
    connection.clock.pump([1.0] * int(GRACE + 1))
    assert (connection.statuses, connection.closed) == ([404], True)


def test_after_such_a_body_the_connection_ends_when_the_client_wants_that() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 5", b"Connection: close", path=b"/change_hook/x") + b"12345")
    assert (connection.statuses, connection.closed) == ([404], True)
    bytewise = Connection()
    bytewise.send(head(b"Content-Length: 5", b"Connection: close", path=b"/change_hook/x"))
    assert (bytewise.statuses, bytewise.closed) == ([404], False)
    bytewise.send(b"12345")
    assert bytewise.closed


@pytest.mark.parametrize(
    "more", [CHUNKS, b"Content-Length: 90\r\nExpect: 100-continue", b"Content-Length: 99999"]
)
def test_for_a_body_that_nobody_wants_nobody_waits(more: bytes) -> None:
    connection = Connection()
    connection.send(head(more, path=b"/change_hook/nothing"))
    assert (connection.statuses, connection.closed) == ([404], True)


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % LARGE, CHUNKS])
def test_a_large_delivery_without_signature_is_refused_on_the_head(framing: bytes) -> None:
    github = {"github": {"secret": "a long enough secret", "strict": True}}
    connection = Connection(max_body=LARGE, www={"change_hook_dialects": github})
    path = b"/change_hook/github"
    connection.send(head(framing, b"X-GitHub-Event: push", path=path))
    assert (connection.statuses, connection.closed) == ([403], True)
    assert b"the signature is missing" in connection.answer
    signed = Connection(to=connection)
    signed.send(head(framing, b"X-Hub-Signature-256: sha256=" + b"0" * 64, path=path))
    assert signed.answer == b""


def test_a_verification_that_reads_the_body_waits_for_it() -> None:
    class Own(GitHubEventHandler):
        def verify(self, delivery: Any, secrets: Any) -> Any:
            verify_token(json.loads(delivery.body)["token"], secrets)
            return "token"

    dialects = {"github": {"secret": "a long enough secret", "strict": True, "custom_class": Own}}
    connection = Connection(max_body=LARGE, www={"change_hook_dialects": dialects})
    body = json.dumps({"token": "a long enough secret", "zen": "x" * 2 * SMALL}).encode()
    kind = b"X-GitHub-Event: ping\r\nContent-Type: application/json"
    connection.send(head(b"Content-Length: %d" % len(body), kind, path=b"/change_hook/github"))
    assert connection.answer == b""
    connection.send(body)
    assert connection.statuses == [202]


def test_who_may_not_send_from_there_is_refused_on_the_head() -> None:
    dialects = {"base": {"allow": ["198.51.100.0/24"]}}
    connection = Connection(max_body=LARGE, www={"change_hook_dialects": dialects})
    connection.send(head(b"Content-Length: %d" % LARGE))
    assert (connection.statuses, connection.closed) == ([403], True)


def test_a_secret_that_is_asked_for_is_asked_for_once_the_body_has_come() -> None:
    asked: list[bytes] = []

    def secret(delivery: Any) -> str:
        asked.append(delivery.body)
        return "a long enough secret"

    dialects = {"github": {"secret": secret, "strict": True}}
    connection = Connection(max_body=LARGE, www={"change_hook_dialects": dialects})
    connection.send(head(b"Content-Length: %d" % (2 * SMALL), path=b"/change_hook/github"))
    assert (connection.answer, asked) == (b"", [])
    connection.send(b"x" * 2 * SMALL)
    assert (connection.statuses, asked) == ([403], [b"x" * 2 * SMALL])


def test_without_credentials_the_body_is_not_taken() -> None:
    from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

    users: Any = InMemoryUsernamePasswordDatabaseDontUse(user=b"password")
    connection = Connection(max_body=LARGE, www={"change_hook_auth": [users]})
    connection.send(head(b"Content-Length: %d" % LARGE))
    assert (connection.statuses, connection.closed) == ([401], True)
    assert b'WWW-Authenticate: basic realm="change_hook"' in connection.answer


def test_a_password_may_be_found_out_later_than_the_body_comes() -> None:
    from twisted.cred.checkers import ICredentialsChecker
    from twisted.cred.credentials import IUsernamePassword
    from zope.interface import implementer

    asked: list[Deferred[Any]] = []

    @implementer(ICredentialsChecker)
    class Later:
        credentialInterfaces = (IUsernamePassword,)

        def requestAvatarId(self, credentials: Any) -> Any:
            asked.append(Deferred())
            return asked[-1]

    connection = Connection(www={"change_hook_auth": [Later()]})
    credentials = b"Authorization: Basic dXNlcjpwYXNzd29yZA=="
    connection.send(head(credentials, b"Content-Length: 10") + BODY + TAKEN)
    connection.send(head(credentials, b"Content-Length: 10") + BODY)
    assert connection.answer == b""
    asked[0].callback("user")
    assert connection.statuses == [202, 401]
    asked[1].callback("user")
    assert connection.statuses == [202, 401, 202]


# Room ------------------------------------------------------------------------------------------------


def test_the_slowest_goes_and_the_newcomer_and_small_bodies_get_in() -> None:
    first = Connection(max_body=LARGE, max_held=LARGE)
    traces: list[Trace] = []
    first.site.tracer = traces.append
    first.send(head(b"Content-Length: %d" % LARGE) + b"x" * (LARGE // 2))
    first.clock.advance(20)
    fast = Connection(to=first, host="192.0.2.2")
    fast.send(head(b"Content-Length: %d" % LARGE) + b"x" * (LARGE - 20))
    assert first.statuses == [503]
    assert b"\r\nRetry-After: 5\r\n" in first.answer
    assert b"too much is being received at once" in first.answer
    assert first.closed
    small = Connection(to=first, host="192.0.2.3")
    small.send(TAKEN)
    assert small.statuses == [202]
    fast.send(b"&revision=2&branch=a")
    assert fast.revisions == ["1", "2"]
    assert first.site.room.held == 0


def test_when_all_bodies_are_being_answered_the_newcomer_has_to_wait() -> None:
    connection, waiting = slow(max_body=LARGE, max_held=LARGE)
    connection.send(head(b"Content-Length: %d" % LARGE) + b"x" * LARGE)
    newcomer = Connection(to=connection)
    newcomer.send(head(b"Content-Length: %d" % LARGE) + b"x" * SMALL)
    assert newcomer.answer == b""
    newcomer.send(b"x" * SMALL + b"y" * 10)
    assert (newcomer.statuses, connection.statuses) == ([503], [])
    waiting[0].callback(([{}], None))
    assert connection.statuses == [202]
    assert connection.site.room.held == 0


def test_a_body_that_is_evicted_by_its_own_bytes_takes_nothing_more_of_the_segment() -> None:
    connection = Connection(max_body=LARGE, max_held=SMALL)
    connection.send(head(b"Content-Length: %d" % (2 * SMALL)) + b"x" * (2 * SMALL) + TAKEN)
    assert connection.statuses == [503]
    assert connection.changes == []


def test_a_client_that_goes_away_gives_back_its_room() -> None:
    connection = Connection(max_body=LARGE)
    connection.send(head(b"Content-Length: %d" % LARGE) + b"x" * 2 * SMALL)
    assert connection.site.room.held == 2 * SMALL
    connection.lose()
    assert connection.site.room.held == 0


def test_one_client_has_half_of_the_room_by_its_real_address_behind_a_proxy() -> None:
    www = {"change_hook_trusted_proxies": ["127.0.0.1"]}
    first = Connection(max_body=LARGE, max_held=2 * LARGE, www=www, host="127.0.0.1")

    def send(client: bytes, size: int) -> Connection:
        connection = Connection(to=first, host="127.0.0.1")
        connection.send(head(b"X-Forwarded-For: " + client, b"Content-Length: %d" % LARGE) + b"x" * size)
        first.clock.advance(1)
        return connection

    slow, fast, other = (
        send(b"192.0.2.1", SMALL * 4),
        send(b"192.0.2.1", SMALL * 8),
        send(b"192.0.2.2", SMALL * 8),
    )
    assert (slow.statuses, fast.statuses, other.statuses) == ([503], [], [])


# The end of a connection ---------------------------------------------------------------------------


def test_a_refused_client_that_goes_is_not_waited_for() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 101"))
    connection.lose()
    connection.clock.advance(LINGER)
    assert not connection.transport.aborted
    assert not connection.clock.getDelayedCalls()


def test_a_refused_client_is_heard_out_although_what_it_sent_waited() -> None:
    connection, waiting = slow()
    connection.send(TAKEN)
    connection.send(head(b"Content-Length: x"))
    assert connection.transport.producerState == "paused"
    waiting[0].callback(([{}], None))
    assert (connection.statuses, connection.closed) == ([202, 400], True)
    assert connection.transport.producerState == "producing"


def test_an_upgrade_whose_body_nobody_wants_ends_the_connection() -> None:
    connection = Connection(max_body=2 * SMALL)
    large = b"Content-Length: %d" % (SMALL + 1)
    connection.send(
        head(b"Connection: Upgrade", b"Upgrade: h2c", large, path=b"/change_hook/x") + b"x" * SMALL
    )
    assert (connection.statuses, connection.closed) == ([404], True)


def test_what_a_question_about_methods_brings_is_let_come() -> None:
    connection = Connection()
    connection.send(head(b"Content-Length: 5", method=b"OPTIONS"))
    assert connection.statuses == []
    connection.send(b"12345")
    assert (connection.statuses, connection.closed) == ([204], False)


def test_an_upgrade_does_not_get_around_a_limit() -> None:
    connection = Connection()
    connection.send(
        head(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 101") + b"x" * 101 + TAKEN
    )
    assert (connection.statuses, connection.closed) == ([413], True)
    chunked = Connection()
    chunked.send(head(b"Connection: Upgrade", b"Upgrade: h2c", CHUNKS) + b"65\r\n" + b"x" * 101)
    assert (chunked.statuses, chunked.closed) == ([413], True)


def test_tls_cannot_be_half_closed() -> None:
    connection = Connection()
    directlyProvides(connection.transport, ISSLTransport)
    connection.send(head(b"Content-Length: 101"))
    assert not connection.transport.write_closed
    connection.clock.advance(LINGER)
    assert connection.transport.aborted
    whole = Connection()
    directlyProvides(whole.transport, ISSLTransport)
    whole.send(head(b"Connection: close", b"Content-Length: 10") + BODY)
    assert whole.transport.disconnecting


@pytest.mark.parametrize("apart", [False, True])
def test_of_many_requests_at_once_the_first_are_answered_and_then_the_connection_is_closed(
    apart: bool,
) -> None:
    connection = Connection()
    last = TAKEN if not apart else head(b"Content-Length: 10")
    connection.send(TAKEN * (MOST_WAITING - 1) + last + (TAKEN * 1000 if not apart else b""))
    if apart:
        assert not connection.closed
        connection.send(BODY + TAKEN)
    assert connection.statuses == [202] * MOST_WAITING
    assert connection.closed
    assert connection.answer.count(b"Connection: close") == 1
    connection.send(TAKEN)
    assert len(connection.revisions) == MOST_WAITING


def test_so_it_is_with_those_that_wait_for_a_slow_one() -> None:
    connection, waiting = slow()
    connection.send(TAKEN * 1000)
    for number in range(MOST_WAITING):
        assert len(connection.statuses) == number
        waiting[number].callback(([], None))
    assert connection.statuses == [202] * MOST_WAITING
    assert (len(waiting), connection.closed) == (MOST_WAITING, True)


def test_requests_that_come_one_after_the_other_are_never_too_many() -> None:
    connection = Connection()
    for _ in range(3):
        connection.send(TAKEN * (MOST_WAITING - 1))
    assert connection.statuses == [202] * 3 * (MOST_WAITING - 1)
    assert not connection.closed


class Socket(Transport):
    """A transport on a socket that has some room.

    :param room: for so many bytes; None: the connection is lost.
    """

    def __init__(self, room: int | None) -> None:
        super().__init__()
        self.room = room
        self.now = b""

    def writeSomeData(self, data: bytes) -> int | Exception:
        if self.room is None:
            return ConnectionLost()
        fits = data[: self.room]
        self.room -= len(fits)
        self.now += fits
        return len(fits)


def test_what_fits_into_the_socket_is_written_at_once_and_the_rest_after_it() -> None:
    transport = Socket(500)
    connection = Connection(transport=transport)
    connection.send(TAKEN)
    assert transport.now.startswith(b"HTTP/1.1 202 ")
    assert transport.value() == b""
    connection.send(TAKEN * 3)
    assert len(transport.now) == 500
    transport.room = 500
    connection.send(TAKEN)
    answers = transport.now + transport.value()
    assert (answers.count(b"HTTP/1.1 202 "), answers.count(b"\n1 change found\n")) == (5, 5)
    assert len(transport.now) == 500


def test_a_connection_that_is_lost_is_found_out_by_its_transport() -> None:
    connection = Connection(transport=Socket(None))
    connection.send(TAKEN)
    assert connection.statuses == [202]


def test_nothing_is_written_past_tls() -> None:
    class Inside(Socket):
        def registerProducer(self, producer: Any, streaming: bool) -> None: ...

    inside = Inside(10_000)
    wrapper = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
    wrapper.transport = inside  # type: ignore[assignment]
    connection = Connection()
    channel = connection.site.buildProtocol(None)
    channel.makeConnection(wrapper)
    channel.dataReceived(TAKEN)
    assert inside.now == b""
    assert inside.value().startswith(b"HTTP/1.1 202 ")


def test_a_unix_socket_has_no_delay_to_turn_off() -> None:
    class Local(Transport):
        setTcpNoDelay: Any = property()

    transport = Local()
    transport.peerAddr = UNIXAddress("/run/hooks.sock")
    connection = Connection(transport=transport)
    connection.send(TAKEN)
    assert connection.statuses == [202]


def test_a_bug_in_the_front_is_an_incident_and_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection()
    monkeypatch.delattr(Connection_, "head_came")
    with logged() as log:
        connection.send(TAKEN)
    assert (connection.statuses, connection.closed) == ([503], True)
    assert "the HTTP front broke: incident" in log.text


def test_nothing_is_left_when_all_connections_are_gone() -> None:
    connection = Connection()
    connection.channel.stopProducing()
    other = Connection(to=connection)
    connection.send(TAKEN)
    for each in (connection, other):
        each.channel.connectionLost(Failure(ConnectionError()))
    assert connection.clock.getDelayedCalls() == []
