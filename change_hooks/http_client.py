"""The client for requests to other servers: see :mod:`change_hooks.http_answers`.

Compressed responses are decompressed here piece by piece, so that a small one cannot become a large one in
memory.
"""

from __future__ import annotations

import zlib
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from OpenSSL.SSL import Connection
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
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
    ResponseNeverReceived,
)
from twisted.web.iweb import IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from change_hooks.http_answers import abort

#: How much is decompressed at once, in bytes.
PIECE = 64 * 1024


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


__all__ = ["PIECE", "KeptConnections", "http_client"]
