"""A request as resources see it: the part of :class:`twisted.web.server.Request` that they use."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, AnyStr, Protocol
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web._auth.wrapper import UnauthorizedResource
from twisted.web.http import RESPONSES
from twisted.web.resource import IResource, getChildForRequest
from twisted.web.util import DeferredResource

from change_hooks.core.errors import DeliveryError
from change_hooks.core.forms import Arguments, parse_urlencoded
from change_hooks.core.headers import HeaderFields
from change_hooks.incidents import report
from change_hooks.web.answers import Refusal, error_answer, write_answer
from change_hooks.web.room import Body

#: Resources that can respond to a request before its body arrives.
_BODILESS = (Refusal, UnauthorizedResource, DeferredResource)
_PHRASES = {**RESPONSES, 431: b"Request Header Fields Too Large"}
#: Headers that the front writes itself.
_FRAMING = frozenset({b"connection", b"content-length", b"date", b"transfer-encoding"})
#: Field names with an unusual spelling.
_TITLES = {b"etag": b"ETag", b"www-authenticate": b"WWW-Authenticate"}
#: The statuses of responses that have no body.
_EMPTY = frozenset({204, 304})
#: Smaller pieces of a body are joined to pieces of this size, in bytes.
SMALL_PIECE = 1024
PIECE = 64 * 1024
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Answering(Protocol):
    """The interface that a request needs from its connection."""

    root: IResource

    def go_on(self, request: Request) -> None:
        """The body is needed."""

    def getHost(self) -> Any:
        """Our own address."""

    def abort(self) -> None:
        """Abort the connection."""

    def begin_answer(self, request: Request, head: bytes, body: bytes) -> None:
        """Send the head of the response, and some of its body."""

    def send(self, data: bytes) -> None:
        """Send more of the response's body."""

    def end_answer(self, request: Request) -> None:
        """The response has been sent completely."""

    def produced_by(self, producer: Any) -> None:
        """Notify *producer* while the client is not reading; None: nobody."""


class Request:
    """A request whose head has arrived. It has only what our resources use.

    :param connection: the connection that it came from.
    :param method: ``b"POST"`` ...
    :param target: as in the request line, in origin-form or absolute-form.
    :param headers: all headers.
    :param client: the address of the peer.
    :param length: the length of the body, in bytes; None: it is sent in chunks.
    :param version: ``1.1`` or ``1.0``.
    """

    code = 200
    #: How much of the body has arrived, in bytes, and whether it is complete.
    received = 0
    complete = False
    finished = False
    #: The connection closes after the response.
    closes = False
    body: Body | None = None
    _resource: Any = None
    _begun = False
    _chunked = False

    def __init__(
        self,
        connection: Answering,
        method: bytes,
        target: bytes,
        headers: HeaderFields,
        *,
        client: Any,
        length: int | None,
        version: str = "1.1",
    ) -> None:
        self.method = method
        self.uri = target if target.startswith(b"/") else _origin_form(target)
        self.path = self.uri.partition(b"?")[0]
        self.prepath: list[bytes] = []
        self.postpath = _segments(self.path)
        self.requestHeaders = headers
        self.responseHeaders = HeaderFields()
        self.client = client
        self.content = BytesIO()
        self.length = length
        self.version = version
        self._pieces: list[bytes] = []
        self._small = bytearray()
        self._connection = connection
        self._notified: list[Deferred[None]] = []

    # Used by resources.

    @property
    def args(self) -> Arguments:
        """The arguments of the query; handlers parse those of a form."""
        return parse_urlencoded(self.uri.partition(b"?")[2])

    def getHeader(self, key: AnyStr) -> AnyStr | None:
        """The last value of a header."""
        values = self.requestHeaders.getRawHeaders(key)
        return None if values is None else values[-1]

    def getClientAddress(self) -> Any:
        """The address of the client."""
        return self.client

    def getHost(self) -> Any:
        """The local address that received the request."""
        return self._connection.getHost()

    def setResponseCode(self, code: int) -> None:
        """Set the status of the response."""
        self.code = code

    def setHeader(self, name: bytes, value: bytes) -> None:
        """Set a header of the response."""
        self.responseHeaders.setRawHeaders(name, [value])

    def write(self, data: bytes) -> None:
        """Send some of the body, preceded by the head the first time. Without a ``Content-Length`` the body
        is sent in chunks.
        """
        if self.finished:
            return
        if not self._begun:
            length = self.responseHeaders.getRawHeaders(b"content-length")
            self._begin(data, int(length[0]) if length else None)
        elif not self._bodiless:
            self._connection.send(self._chunk(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause *producer* while the client is not reading."""
        self._connection.produced_by(producer)

    def unregisterProducer(self) -> None:
        """The producer has finished."""
        self._connection.produced_by(None)

    def notifyFinish(self) -> Deferred[None]:
        """Fires when the request has been answered; fails if the client disconnects."""
        deferred: Deferred[None] = Deferred()
        self._notified.append(deferred)
        return deferred

    def finish(self) -> None:
        """The response is complete."""
        if self.finished:
            return
        if not self._begun:
            self._begin(b"", 0)
        elif self._chunked:
            self._connection.send(b"0\r\n\r\n")
        self.finished = True
        self._connection.end_answer(self)
        self._forget()
        notified, self._notified = self._notified, []
        for each in notified:
            each.callback(None)

    def render(self, resource: IResource) -> None:
        """Let *resource* respond: now, if it needs no body or the body is complete; otherwise once it is."""
        if self.finished:
            return  # Checking its credentials took too long.
        if not self.complete and not isinstance(resource, _BODILESS):
            early = getattr(resource, "early_answer", None)
            answer = None if early is None else early(self)
            if answer is None:
                self._resource = resource
                self._connection.go_on(self)
                return
        else:
            answer = resource.render(self)
        if isinstance(answer, bytes):
            self._answer(answer)

    def processingFailed(self, failure: Failure) -> None:
        """A resource raised an unexpected error."""
        incident = report("a resource broke", failure)
        if self._begun:
            self._connection.abort()
            return
        self.code = 500
        self.setHeader(b"content-type", b"text/plain; charset=utf-8")
        self._answer(b"the server broke (incident %b); the log says why\n" % incident.encode())

    # Called by the connection.

    def begin(self) -> None:
        """The head has arrived, and all earlier requests are answered."""
        try:
            self.render(getChildForRequest(self._connection.root, self))
        except Exception:
            self.processingFailed(Failure())

    def take(self, data: bytes) -> None:
        """Some of the body has arrived. Small pieces are joined to larger ones, since each takes up more than
        its own bytes. All are joined only once: a file in memory that grows piece by piece is copied
        repeatedly (0.7 ms for 1 MiB, compared with 0.02 ms).
        """
        if self._small or len(data) < SMALL_PIECE:
            self._small += data
            if len(self._small) < PIECE:
                return
            data = bytes(self._small)
            self._small.clear()
        self._pieces.append(data)

    def body_complete(self) -> None:
        """The request is complete."""
        self.complete = True
        if self._small:
            self._pieces.append(bytes(self._small))
        self.content = BytesIO(b"".join(self._pieces))
        self._pieces.clear()
        resource, self._resource = self._resource, None
        if resource is not None and not self.finished:
            try:
                self.render(resource)
            except Exception:
                self.processingFailed(Failure())

    def refuse(self, error: DeliveryError) -> bool:
        """Respond with an error to an incomplete request.

        :returns: whether an endpoint has recorded it.
        """
        self.closes = True
        refuse = getattr(self._resource, "refuse", None)
        answer = write_answer(self, error_answer(error)) if refuse is None else refuse(self, error)
        self._answer(answer)
        return refuse is not None

    def lost(self, reason: Failure) -> None:
        """The client has disconnected."""
        self.finished = True
        self._forget()
        notified, self._notified = self._notified, []
        for each in notified:
            each.errback(reason)

    @property
    def _bodiless(self) -> bool:
        return self.method == b"HEAD" or self.code in _EMPTY

    def _answer(self, body: bytes) -> None:
        self._begin(body, len(body))
        self.finish()

    def _begin(self, data: bytes, length: int | None) -> None:
        """Send the head, and *data*, of a body of *length* bytes; None: the length is not known."""
        self._begun = True
        lines = [b"HTTP/1.1 %d %b\r\n" % (self.code, _PHRASES.get(self.code, b"Unknown Status"))]
        for name, values in self.responseHeaders.items():
            if name not in _FRAMING:
                for value in values:
                    lines.append(b"%b: %b\r\n" % (_TITLES.get(name) or name.title(), value))
        if self._bodiless:
            data = b""
        if length is not None:
            if self.code not in _EMPTY:
                lines.append(b"Content-Length: %d\r\n" % length)
        elif self.version == "1.0":
            self.closes = True
        elif not self._bodiless:
            self._chunked = True
            lines.append(b"Transfer-Encoding: chunked\r\n")
            data = self._chunk(data)
        self._connection.begin_answer(self, b"".join(lines), data)

    def _chunk(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data

    def _forget(self) -> None:
        """Drop large data, and references to this object."""
        self._resource = None
        self.content = BytesIO()
        self._pieces.clear()
        self._small.clear()


def _origin_form(target: bytes) -> bytes:
    """Path and query of a target that is not in origin-form.

    Source: RFC 9112, section 3.2.
    """
    path = _ABSOLUTE.sub(b"", target, count=1)
    return path if path.startswith((b"/", b"*")) else b"/" + path


def _segments(path: bytes) -> list[bytes]:
    """The segments of a path. Double slashes count as one; a trailing slash gives an empty segment."""
    *inner, last = path[1:].split(b"/")
    segments = [*filter(None, inner), last]
    return [*map(unquote_to_bytes, segments)] if b"%" in path else segments


__all__ = ["Request"]
