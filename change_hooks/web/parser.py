"""Parses the bytes of a connection into requests.

Strategy: llhttp (``httptools``) parses the bytes; this module limits how many there may be. Requests that
other software might parse differently are refused. Elements that are never completed (a header, a trailer, an
extension of a chunk) are limited by counting the bytes in which no element was completed.
"""

from __future__ import annotations

from typing import Any, Protocol

import httptools
from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade
from twisted.python.failure import Failure

from change_hooks.core.delivery import ClientAddress
from change_hooks.core.errors import BodyTooLarge, DeliveryError, HeadTooLarge, Unavailable
from change_hooks.core.headers import HeaderFields
from change_hooks.incidents import report
from change_hooks.web.request import Answering, Request
from change_hooks.web.room import SMALL

#: The largest head, in bytes: the target, and each header with its name and 32 bytes, as HTTP/2 counts.
MAX_HEAD = 16 * 1024
#: How many bytes may be sent for each byte of a body in chunks, in addition to those of two segments.
CHUNKED = 8


class Receiving(Answering, Protocol):
    """The interface that a parser needs from its connection."""

    max_body: int

    @property
    def peer(self) -> ClientAddress:
        """The address of the peer."""

    def head_came(self, request: Request) -> None:
        """The head of a request has arrived."""

    def request_came(self, request: Request) -> None:
        """The request is complete."""

    def has_room(self, request: Request) -> bool:
        """Whether a request's body may be as large as it is now."""


class RequestParser:
    """Parses the bytes of a connection into requests.

    :param reading: the request whose head has arrived, and whose body is arriving.
    :param in_head: a head is arriving.
    :param since: when that head, or that body, began.
    :param over: nothing more is read.
    """

    def __init__(self, connection: Receiving) -> None:
        self.reading: Request | None = None
        self.in_head = False
        self.since = 0.0
        self.over = False
        self._connection = connection
        self._parser: Any = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers = HeaderFields()
        self._now = 0.0
        self._head_size = 0  # The size of target and headers, including trailers.
        self._quiet = 0  # Bytes in which no element was completed.
        self._came = 0  # Bytes since the head of a body in chunks.
        self._upgrading = False
        self._error: DeliveryError | None = None

    def feed(self, data: bytes, now: float) -> None:
        """Parse received bytes.

        :raises DeliveryError: the request is refused; no more bytes may be fed.
        """
        self._now = now
        self._quiet += len(data)
        self._parse(data)
        if self._quiet > MAX_HEAD:
            raise HeadTooLarge(MAX_HEAD)
        request = self.reading
        if request is not None and request.length is None:
            self._came += len(data)
            if self._came > SMALL * 2 + CHUNKED * request.received:
                raise DeliveryError("the chunks of the body are too small")

    def stop(self) -> Request:
        """Read nothing more.

        :returns: the request that was being read, as far as it has arrived.
        """
        self.over = True
        self.in_head = False
        request, self.reading = self.reading, None
        return request or self._request(b"POST", None, "1.1")

    def close(self) -> None:
        """Drop the references to this object."""
        self.over = True
        self.reading = self._parser = None

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
        except HttpParserError as error:
            if self.over:
                return  # Data after the last request is ignored.
            raise self._refusal(error) from None
        else:
            return
        self._upgrading = False
        if self.reading is not None and not self.over:
            self._read_on(self.reading, rest)

    def _refusal(self, error: HttpParserError) -> DeliveryError:
        if self._error is not None:
            return self._error
        if "Content-Length overflow" in str(error):
            return BodyTooLarge(self._connection.max_body)
        if not isinstance(error, HttpParserCallbackError):
            return DeliveryError(f"the request is not valid HTTP/1.1: {error}")
        incident = report("the HTTP front broke", Failure(error.__context__ or error))
        return Unavailable(f"the HTTP front broke (incident {incident}); the log says why")

    def _fail(self, error: DeliveryError) -> DeliveryError:
        """To be raised in llhttp's callbacks. llhttp itself does not always report it."""
        self._error = error
        return error

    def _read_on(self, request: Request, rest: bytes) -> None:
        """Read what the parser considers another protocol as the body: a server may ignore ``Upgrade``."""
        length = request.length
        framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
        self._parser = httptools.HttpRequestParser(_Rest(self))
        self._parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n%b\r\n\r\n" % framing)
        self._parse(rest)

    # Called by llhttp.

    def on_message_begin(self) -> None:
        """The first byte of a request has arrived."""
        if self.over:
            raise self._fail(DeliveryError("nothing more is read"))
        self._quiet = self._head_size = self._came = 0
        self._headers = HeaderFields()
        self._target = b""
        self.in_head = True
        self.since = self._now

    def on_url(self, target: bytes) -> None:
        """Some of the target has arrived."""
        self._quiet = 0
        self._head_size += len(target)
        if self._head_size > MAX_HEAD:
            raise self._fail(HeadTooLarge(MAX_HEAD))
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has arrived; or a trailer, which is ignored."""
        self._quiet = 0
        size = self._head_size = self._head_size + len(name) + len(value) + 32
        if size > MAX_HEAD:
            raise self._fail(HeadTooLarge(MAX_HEAD))
        if self.in_head:
            name = name.lower()
            headers = self._headers
            if name in headers:
                headers[name].append(value.rstrip())
            else:
                headers[name] = [value.rstrip()]

    def on_headers_complete(self) -> None:
        """The head has arrived."""
        parser = self._parser
        self.in_head = False
        self.since = self._now
        self._upgrading = parser.should_upgrade()
        method = parser.get_method()
        try:
            version = parser.get_http_version()
            length = _length(self._headers, version, method)
        except DeliveryError as error:
            raise self._fail(error) from None
        request = self.reading = self._request(method, length, version)
        self._connection.head_came(request)

    def on_body(self, data: bytes) -> None:
        """Some of the body has arrived."""
        self._quiet = 0
        request = self.reading
        if request is None or request.finished:
            return
        size = request.received = request.received + len(data)
        if size > self._connection.max_body:
            raise self._fail(BodyTooLarge(self._connection.max_body))
        if size <= SMALL or self._connection.has_room(request):
            request.take(data)

    def on_message_complete(self) -> None:
        """The request is complete."""
        request = self.reading
        if self._upgrading or request is None:
            return
        self.reading, self._target = None, b""
        if request.closes or not self._parser.should_keep_alive():
            request.closes = self.over = True
        self._connection.request_came(request)

    def _request(self, method: bytes, length: int | None, version: str) -> Request:
        connection = self._connection
        return Request(
            connection,
            method,
            self._target,
            self._headers,
            client=connection.peer,
            length=length,
            version=version,
        )


class _Rest:
    """Parses the rest of a request whose head another parser has read."""

    def __init__(self, parser: RequestParser) -> None:
        self.on_body = parser.on_body
        self.on_message_complete = parser.on_message_complete


def _length(headers: HeaderFields, version: str, method: bytes) -> int | None:
    """The length of a body; None: it is sent in chunks.

    :raises DeliveryError: the head is ambiguous, so that other software may parse it differently.

    Source: RFC 9112, sections 3.2 and 6.1.
    """
    if version not in ("1.1", "1.0") or method == b"CONNECT":
        raise DeliveryError("the request is not HTTP/1.1")
    hosts = headers.get(b"host", [])
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise DeliveryError("the request must have exactly one Host header")
    codings = headers.get(b"transfer-encoding")
    if codings is None:
        return int(headers.get(b"content-length", [b"0"])[0])
    if version == "1.0" or len(codings) > 1 or codings[0].lower() != b"chunked":
        raise DeliveryError("the header Transfer-Encoding must be 'chunked', and needs HTTP/1.1")
    return None


__all__ = ["CHUNKED", "MAX_HEAD", "RequestParser"]
