"""The HTTP front that ``serve`` owns: limits while the bytes arrive.

Strategy: a body is counted as it comes, so one that is too large is refused before it is in memory,
and it is never spooled to the disk, because nobody knows yet who sends it. A request has so long for
its head and its body; a client that sends a byte now and then is cut off when that time is over. No
timer is set for it: the clock is looked at when bytes come, and Twisted's idle timeout catches silence.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IReactorTime, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from change_hooks.core.errors import BodyTooLarge, Unavailable
from change_hooks.web.endpoint import DEFAULT_MAX_BODY
from change_hooks.web.tracing import Tracer, name_in, no_trace, trace_refused

#: Silence after which a connection is closed, in seconds.
IDLE_TIMEOUT = 30
#: How long the head of a request may take, and a body beside the time its length allows, in seconds.
GRACE = 30.0
#: The slowest rate at which a body may come, in bytes per second.
SLOWEST = 32 * 1024
#: How many bodies of the largest size may be in memory at once.
HELD = 8
#: How long to listen to a client that was refused, so that it can read why, in seconds.
LINGER = 5.0


class LimitedRequest(Request):
    """A request whose body is counted as it comes."""

    channel: Any
    content: Any
    refused = False
    _room = DEFAULT_MAX_BODY
    _held = 0

    def gotLength(self, length: int | None) -> None:
        """The head is complete; *length* is the body's, None when it comes in chunks."""
        self._room = self.channel.site.max_body
        self.content = BytesIO()
        if length is not None and length > self._room:
            self._refuse(BodyTooLarge(self._room))

    def handleContentChunk(self, data: bytes) -> None:
        """Some of the body has come."""
        if self.refused:
            return
        site = self.channel.site
        self._room -= len(data)
        self._held += len(data)
        site.held += len(data)
        if self._room < 0:
            self._refuse(BodyTooLarge(site.max_body))
        elif site.held > site.max_held:
            self._refuse(Unavailable("too much is being received at once; send it again", retry_after=5))
        else:
            self.content.write(data)

    def _let_go(self) -> None:
        if self._held:
            self.channel.site.held -= self._held
            self._held = 0

    def finish(self) -> None:
        """It is answered."""
        self._let_go()
        super().finish()

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone, or was sent away."""
        self._let_go()
        super().connectionLost(reason)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it has come. Forms are parsed when a handler looks at them, and not before."""
        if self.refused:
            return
        self.content.seek(0)
        self.method = command
        self.uri = path
        self.clientproto = version
        self.path = path.partition(b"?")[0]
        self.args = {}
        self.process()

    def _refuse(self, error: BodyTooLarge | Unavailable) -> None:
        self.refused = True
        dialect = _endpoint_in(self.channel._path)
        trace_refused(self.channel.site.tracer, self, error.status, error.message, dialect=dialect)
        self.content = BytesIO()
        self._let_go()
        # Otherwise the client would be told to go on.
        self.requestHeaders.removeHeader(b"expect")
        body = error.message.encode() + b"\n"
        later = b"Retry-After: %d\r\n" % error.retry_after if isinstance(error, Unavailable) else b""
        self.channel.transport.write(
            b"HTTP/1.1 %d %s\r\nConnection: close\r\n%s"
            b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (error.status, RESPONSES[error.status], later, len(body), body)
        )
        self.channel.linger()


def _endpoint_in(path: bytes) -> str:
    """The name of the endpoint in a path, when it is ``/change_hook/NAME``."""
    segments = path.partition(b"?")[0].split(b"/")
    return name_in(segments[2]) if len(segments) > 2 and segments[1] == b"change_hook" else ""


class LimitedChannel(HTTPChannel):
    """A connection on which a request has so long to arrive."""

    factory: Any = None
    site: Any = None
    transport: Any
    _deadline: float | None = None
    _lingering: Any = None

    def dataReceived(self, data: bytes) -> None:
        """Some bytes have come."""
        if self._lingering is not None:
            return
        if not self._handlingRequest:
            now = self.factory.reactor.seconds()
            if self._deadline is None:
                self._deadline = now + GRACE
            elif now > self._deadline:
                self.forceAbortClient()
                return
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        """The head is complete; the body gets a time of its own."""
        length = self.site.max_body if self.length is None else min(self.length, self.site.max_body)
        self._deadline = self.factory.reactor.seconds() + GRACE + length / SLOWEST
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """The body is complete."""
        self._deadline = None
        super().allContentReceived()

    def linger(self) -> None:
        """Say no more, and hear nothing more, but give the client time to read the last answer."""
        self.setTimeout(None)
        self._lingering = self.callLater(LINGER, self.transport.abortConnection)
        if not ISSLTransport.providedBy(self.transport):
            self.transport.loseWriteConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        super().connectionLost(reason)


class HookSite(Site):
    """A site for change hooks.

    :param resource: the root.
    :param max_body: the largest body taken, in bytes.
    :param max_held: the most that all bodies in memory may be together, in bytes.
    :param reactor: for the time.
    :param tracer: keeps a trace of each request that is refused here.
    """

    requestFactory = LimitedRequest
    protocol: Any = LimitedChannel
    # One line for each delivery is logged by the resource, and where it listens by who listens.
    displayTracebacks = False
    noisy = False

    def __init__(
        self,
        resource: IResource,
        max_body: int,
        reactor: IReactorTime,
        *,
        max_held: int | None = None,
        tracer: Tracer = no_trace,
    ) -> None:
        super().__init__(resource, timeout=IDLE_TIMEOUT, reactor=reactor)
        self.tracer = tracer
        self.held = 0
        self.limit(max_body, max_held)

    def limit(self, max_body: int, max_held: int | None) -> None:
        """Set the limits, for what comes from now on."""
        self.max_body = max_body
        self.max_held = HELD * max_body if max_held is None else max_held

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 alone: the limits are those of its channel."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """No access log."""

    def stopFactory(self) -> None:
        """No access log."""

    def log(self, request: Any) -> None:
        """No access log."""


__all__ = ["HookSite"]
