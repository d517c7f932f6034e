"""Requests to other servers, and their responses, read to the end within limits.

Strategy: another server must not use up this one's time or memory. All requests go through :func:`ask`: one
time limit covers connecting, waiting and reading; a response that is larger, uncompressed, than the caller
allows ends the connection at once; redirections are not followed. Compressed responses are decompressed here
piece by piece, so that a small one cannot become a large one in memory.
"""

from __future__ import annotations

import zlib
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NamedTuple

from OpenSSL.SSL import Connection
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, maybeDeferred, succeed
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

#: The largest response that is read unless the caller sets another limit, in bytes.
LARGEST_ANSWER = 16 * 1024 * 1024
#: How much is decompressed at once, in bytes.
PIECE = 64 * 1024


class NoAnswer(Exception):
    """There was no complete response in time."""


class Answer(NamedTuple):
    """A complete response.

    :param status: the HTTP status.
    :param body: the decompressed body.
    """

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The last value of a header, or None."""
        values = self.headers.getRawHeaders(name)
        return values[-1] if values else None


class AnswerTooLarge(Exception):
    """A response is over the limit; the rest of it was not read.

    :param answer: the response, as far as it was read.
    """

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


def ask(
    http: Any,
    method: str,
    url: str,
    *,
    clock: Any,
    time_limit: float,
    most: int = LARGEST_ANSWER,
    **arguments: Any,
) -> Deferred[Answer]:
    """Send one request, and read the response to its end.

    :param http: a treq ``HTTPClient``, or an object with the same ``request`` method.
    :param clock: the reactor, or a clock in tests.
    :param time_limit: for the whole exchange, in seconds.
    :param most: the largest decompressed body accepted, in bytes.
    :param arguments: of ``HTTPClient.request``: ``headers``, ``data``, ``params`` …
    :returns: fails with :class:`NoAnswer`, :class:`AnswerTooLarge`, or the error of the connection.
    """
    asked: Deferred[Answer] = _ask(http, method, url, most, arguments)
    return asked.addTimeout(time_limit, clock, onTimeoutCancel=_too_late)


def begin(
    http: Any, method: str, url: str, *, clock: Any, time_limit: float, **arguments: Any
) -> Deferred[Any]:
    """Send one request. Fires when the head of the response has arrived; :func:`collect` reads its body.

    The parameters are those of :func:`ask`.

    :returns: fails with :class:`NoAnswer`, or the error of the connection.
    """
    begun = _begin(http, method, url, arguments)
    return begun.addTimeout(time_limit, clock, onTimeoutCancel=_too_late)


def _too_late(_: object, seconds: float) -> Any:
    raise NoAnswer(f"no answer within {seconds:g} s")


@inlineCallbacks
def _ask(http: Any, method: str, url: str, most: int, arguments: dict[str, Any]) -> Any:
    response = yield _begin(http, method, url, arguments)
    return (yield collect(response, most))


def _begin(http: Any, method: str, url: str, arguments: dict[str, Any]) -> Deferred[Any]:
    return maybeDeferred(http.request, method, url, allow_redirects=False, unbuffered=True, **arguments)


def collect(response: Any, most: int) -> Deferred[Answer]:
    """Read a response to its end.

    :param response: an ``IResponse``, or treq's.
    :param most: the largest body accepted, in bytes.
    :returns: fails with :class:`AnswerTooLarge`; cancelling it closes the connection.
    """
    collector = _Collector(response, most)
    response.deliverBody(collector)
    return collector.done


class _Collector(Protocol):
    """Collects a body, up to a limit."""

    def __init__(self, response: Any, most: int) -> None:
        self._response = response
        self._most = most
        self._body = bytearray()
        self._ended = False
        self.done: Deferred[Answer] = Deferred(lambda _: self._end())

    def _end(self) -> None:
        self._ended = True
        abort(self.transport)

    def _answer(self) -> Answer:
        return Answer(self._response.code, self._response.headers, bytes(self._body))

    def dataReceived(self, data: bytes) -> None:
        if self._ended:
            return
        room = self._most - len(self._body)
        self._body += data[:room]
        if len(data) > room:
            self._end()
            self.done.errback(AnswerTooLarge(f"the answer is over {self._most} bytes", self._answer()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._ended:
            return
        self._ended = True
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(self._answer())
        else:
            self.done.errback(reason)


def abort(transport: Any) -> None:
    """Abort the connection of a response.

    The transport that Twisted gives to a response can only close the connection in an orderly way, which over
    TLS waits for the other side; it wraps the connection itself.
    """
    transport = getattr(transport, "_producer", transport)
    if transport is not None:
        getattr(transport, "abortConnection", transport.stopProducing)()


class _Unpacked(proxyForInterface(IResponse)):  # type: ignore[misc]
    """A response whose body is compressed with gzip."""

    def deliverBody(self, protocol: Any) -> None:
        self.original.deliverBody(_Unpacking(protocol))


class _Unpacking(Protocol):
    """Decompresses a body, one piece at a time, until its receiver has had enough."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._enough = False

    def connectionMade(self) -> None:
        self._protocol.makeConnection(self)

    def abortConnection(self) -> None:
        self._enough = True
        abort(self.transport)

    stopProducing = abortConnection

    def dataReceived(self, data: bytes) -> None:
        try:
            while data and not self._enough:
                self._protocol.dataReceived(self._unpack.decompress(data, PIECE))
                data = self._unpack.unconsumed_tail
        except zlib.error:
            self.abortConnection()
            self._protocol.connectionLost(Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._unpack.eof:
            reason = Failure(zlib.error("the compressed body is incomplete"))
        self._protocol.connectionLost(reason)


@implementer(IAgent)
class _UnpackingAgent:
    """Decompresses the responses of another agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Any:
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(_unpacked)


def _unpacked(response: Any) -> Any:
    packed = response.headers.getRawHeaders("content-encoding") or []
    if [name.strip().lower() for name in packed] not in (["gzip"], ["x-gzip"]):
        # A body with another encoding, or with several, stays as it is; none of them was asked for.
        response.headers.removeHeader("content-encoding")
        return response
    response.headers.removeHeader("content-encoding")
    return _Unpacked(response)


@implementer(IBodyProducer)
class _Body:
    """A body in memory, written all at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """The body has already been written."""

    resumeProducing = stopProducing = pauseProducing


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Makes TLS connections without verifying the host's certificate."""

    def __init__(self, hostname: bytes) -> None:
        self._hostname = hostname
        self._context = CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Connection:
        connection = Connection(self._context, None)
        connection.set_tlsext_host_name(self._hostname)
        return connection


@implementer(IPolicyForHTTPS)
class _AnyCertificate:
    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return _Unverified(hostname)


def http_client(
    reactor: Any, *, verify: bool, connect_timeout: float, pool: HTTPConnectionPool | None = None
) -> HTTPClient:
    """A client for :func:`ask`. It keeps no cookies.

    :param verify: verify the server's certificate.
    :param connect_timeout: in seconds.
    :param pool: of persistent connections; None: each request has a connection of its own.
    """
    policy = BrowserLikePolicyForHTTPS() if verify else _AnyCertificate()
    agent = Agent(reactor, policy, connectTimeout=connect_timeout, pool=pool)
    # treq has a cookie jar of its own from 26.7 on, which is not needed here.
    no_cookies: Any = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return HTTPClient(_UnpackingAgent(agent), no_cookies, _Body)


@implementer(IStreamClientEndpoint)
class _Way:
    """An endpoint that records whether a request opened a connection to it."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint
        self.is_fresh = False

    def connect(self, factory: Any) -> Any:
        self.is_fresh = True
        return self._endpoint.connect(factory)


class _Pool(HTTPConnectionPool):
    """Persistent connections.

    :ivar way: the endpoint of the last request that asked for a connection.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, persistent=True)  # type: ignore[no-untyped-call]
        self.way = _Way(None)

    def getConnection(self, key: Any, endpoint: Any) -> Any:
        self.way = _Way(endpoint)
        return super().getConnection(key, self.way)


class KeptConnections:
    """Requests over persistent connections.

    A server may close an idle connection, and the next request is lost. So a request over a connection that
    was used before, and that got no response at all, is immediately sent again, once, over a new connection.

    :param verify: verify the server's certificate.
    :param connect_timeout: in seconds.
    """

    def __init__(self, reactor: Any, *, verify: bool, connect_timeout: float) -> None:
        self._pool: Any = _Pool(reactor)
        self._kept = http_client(reactor, verify=verify, connect_timeout=connect_timeout, pool=self._pool)
        self._fresh = http_client(reactor, verify=verify, connect_timeout=connect_timeout)

    @inlineCallbacks
    def request(self, method: str, url: str, **arguments: Any) -> Any:
        """See ``HTTPClient.request`` of treq. A body must be bytes."""
        asked = self._kept.request(method, url, **arguments)
        way = self._pool.way
        try:
            response = yield asked
        except (ResponseNeverReceived, RequestTransmissionFailed) as error:
            if way.is_fresh or any(reason.check(CancelledError) for reason in error.reasons):
                raise
            response = yield self._fresh.request(method, url, **arguments)
        return response

    def close(self) -> Deferred[None]:
        """Close the persistent connections."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


def retry_after(header: str | None, now: float) -> float:
    """The seconds that a ``Retry-After`` header asks for, as a number or a date; 0 if it is neither.

    :param now: seconds since the epoch.

    Source: RFC 9110, section 10.2.3.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


__all__ = [
    "LARGEST_ANSWER",
    "Answer",
    "AnswerTooLarge",
    "KeptConnections",
    "NoAnswer",
    "ask",
    "begin",
    "collect",
    "http_client",
    "retry_after",
]
