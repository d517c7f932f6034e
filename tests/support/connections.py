"""Connections and requests in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.test.requesthelper import DummyChannel

from change_hooks import Change, make_resource
from change_hooks.observer import NOBODY
from change_hooks.web.front import HookSite
from change_hooks.web.tracing import no_trace, telling

#: The HTTP front of ``serve``, and twisted.web's own.
FrontKind = Literal["own", "twisted"]


class Transport(StringTransport):
    """A TCP connection in memory."""

    aborted = False
    write_closed = False

    def __init__(self, host: str = "192.0.2.1") -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 50000))

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        self.producer = None

    def resumeProducing(self) -> None:
        self.producerState = "producing"

    def loseWriteConnection(self) -> None:
        self.write_closed = True

    def abortConnection(self) -> None:
        self.aborted = True


class Connection:
    """A connection to a site, by default one of its own that serves the dialect ``base``.

    :param to: another connection to the same site.
    """

    def __init__(
        self,
        max_body: int = 100,
        *,
        www: dict[str, Any] | None = None,
        host: str = "192.0.2.1",
        front: FrontKind = "own",
        to: Connection | None = None,
        transport: Transport | None = None,
        **limits: Any,
    ) -> None:
        self.clock: Any = Clock() if to is None else to.clock
        self.changes: list[Change] = [] if to is None else to.changes
        if to is None:
            given = {"change_hook_dialects": {"base": True}, "change_hook_max_body": max_body, **(www or {})}
            resource = make_resource(given, sink=self.changes.append, clock=self.clock)
            self.site: Any = site(resource, max_body, self.clock, front, **limits)
        else:
            self.site = to.site
        self.transport = transport or Transport(host)
        self.channel: Any = self.site.buildProtocol(self.transport.getPeer())
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send it, if the connection is open in that direction."""
        if not (self.transport.aborted or self.transport.disconnecting):
            self.channel.dataReceived(data)

    def send_slowly(self, pieces: Iterable[bytes], *, every: float) -> None:
        """Send one piece after the other, until the connection is cut off."""
        for piece in pieces:
            if self.closed:
                return
            self.send(piece)
            self.clock.pump([1.0] * int(every))

    def lose(self) -> None:
        self.channel.connectionLost(Failure(ConnectionError()))

    @property
    def answer(self) -> bytes:
        return self.transport.value()

    @property
    def statuses(self) -> list[int]:
        """Of all answers, in order."""
        return [int(each) for each in re.findall(rb"HTTP/1\.[01] (\d{3}) ", self.answer)]

    @property
    def closed(self) -> bool:
        """Whether nothing more is answered on it."""
        transport = self.transport
        return transport.aborted or transport.write_closed or transport.disconnecting

    @property
    def revisions(self) -> list[str | None]:
        """Of the changes that were found."""
        return [change.revision for change in self.changes]


def site(resource: IResource, max_body: int, clock: IReactorTime, front: FrontKind, **limits: Any) -> Any:
    """*resource* at ``/change_hook``, behind a front."""
    root = Resource()
    root.putChild(b"change_hook", resource)
    limits = {"tracer": telling(no_trace, NOBODY), **limits}
    return HookSite(root, max_body, clock, **limits) if front == "own" else Site(root, reactor=clock)


def head(*headers: bytes, path: bytes = b"/change_hook/base", method: bytes = b"POST") -> bytes:
    """The head of a request with a form."""
    first = (
        method + b" " + path + b" HTTP/1.1",
        b"Host: x",
        b"Content-Type: application/x-www-form-urlencoded",
    )
    return b"\r\n".join([*first, *headers, b"", b""])


def twisted_request(method: bytes, uri: bytes, headers: dict[bytes, bytes], body: bytes) -> Any:
    """A request as twisted.web parses it."""
    channel = DummyChannel()
    channel.site = Site(Resource())
    request = Request(channel, False)
    request.process = lambda: None  # type: ignore[method-assign]
    for name, value in headers.items():
        request.requestHeaders.setRawHeaders(name, [value])
    request.gotLength(len(body))
    request.content.write(body)
    request.requestReceived(method, uri, b"HTTP/1.1")
    return request
