"""Connections and requests in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.test.requesthelper import DummyChannel

from change_hooks import Change, make_resource
from change_hooks.web.front import HookSite


class Transport(StringTransport):
    """A TCP connection in memory."""

    aborted = False
    write_closed = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def loseWriteConnection(self) -> None:
        self.write_closed = True

    def abortConnection(self) -> None:
        self.aborted = True


class Connection:
    """A connection to a site that serves the dialect ``base``."""

    def __init__(self, max_body: int = 100) -> None:
        self.clock = Clock()
        self.changes: list[Change] = []
        root = Resource()
        www = {"change_hook_dialects": {"base": True}, "change_hook_max_body": max_body}
        root.putChild(b"change_hook", make_resource(www, sink=self.changes.append))
        self.site = HookSite(root, max_body, self.clock)  # type: ignore[arg-type]
        self.transport = Transport()
        self.channel: Any = self.site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    @property
    def answer(self) -> bytes:
        return self.transport.value()


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
