"""Delivery: one HTTP request as it was received, and as it can be received again.

Strategy: a handler never sees the live request. It gets this value, which holds the raw bytes and
derives everything else (arguments, headers, the content file) from them, in the same way whether the
bytes come from a socket or from the journal. So a replayed delivery cannot differ from the live one.

Credentials that have done their work before a handler is asked (``Authorization``, cookies) are
dropped at the door. Tokens that a handler checks itself (``X-Gitlab-Token``) are there while the
delivery is live, and are left out of what is stored.
"""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import compat32
from email.utils import collapse_rfc2231_value
from io import BytesIO
from typing import Any, AnyStr
from urllib.parse import unquote_to_bytes

import msgspec
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.web.http_headers import Headers
from twisted.web.iweb import IRequest

Arguments = dict[bytes, list[bytes]]

#: Never reach a handler: what they prove has been proved, or is none of our business.
CREDENTIAL_HEADERS = (b"authorization", b"proxy-authorization", b"cookie")
#: Reach a handler, but not the journal: the header's value *is* the secret.
TOKEN_HEADERS = (b"x-gitlab-token",)


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """All of a stored delivery but its body."""

    method: bytes
    uri: bytes
    headers: list[tuple[bytes, list[bytes]]]
    client: tuple[str, str, int]
    verified: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Head)


class Delivery:
    """One HTTP request as it was received.

    Immutable, but for the receiver's :meth:`stamp` and :meth:`mark_verified`.

    It has the reading side of a :class:`twisted.web.server.Request`, so handlers written for one work.

    :param method: ``b"POST"`` ...
    :param uri: path and query as sent.
    :param headers: all of them; credentials are dropped.
    :param body: the raw bytes, before any decoding.
    :param client: the address of the peer.
    :param id: the delivery's name, from the sender or from us.
    :param dialect: the name of the endpoint it came to.
    :param received: when, in seconds since the epoch.
    :param verified: True for one that has been proved genuine before: handlers skip that step.
    """

    __slots__ = (
        "_args",
        "_body",
        "_client",
        "_content",
        "_dialect",
        "_headers",
        "_id",
        "_method",
        "_received",
        "_uri",
        "_verified",
    )

    def __init__(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers,
        body: bytes,
        *,
        client: IAddress | None = None,
        id: str | None = None,
        dialect: str = "",
        received: float = 0.0,
        verified: bool = False,
    ) -> None:
        self._method = method
        self._uri = uri
        self._headers = _without(headers, CREDENTIAL_HEADERS)
        self._body = body
        self._client = client
        self._id = id
        self._dialect = dialect
        self._received = received
        self._verified = verified
        self._args: Arguments | None = None
        self._content: BytesIO | None = None

    @classmethod
    def from_request(cls, request: IRequest, *, dialect: str = "", received: float = 0.0) -> Delivery:
        """Read a live request. Its content file is read from the start and left at the start."""
        content = request.content
        content.seek(0)
        if isinstance(content, BytesIO):
            body = content.getvalue()  # Not a copy.
        else:
            body = content.read()
            content.seek(0)
        return cls(
            request.method,
            request.uri,
            request.requestHeaders,
            body,
            client=request.getClientAddress(),
            dialect=dialect,
            received=received,
        )

    # What a handler reads, under the names of twisted.web.

    @property
    def method(self) -> bytes:
        """The HTTP method."""
        return self._method

    @property
    def uri(self) -> bytes:
        """Path and query, as sent."""
        return self._uri

    @property
    def path(self) -> bytes:
        """The path, as sent (still quoted)."""
        return self._uri.partition(b"?")[0]

    @property
    def requestHeaders(self) -> Headers:
        """The headers, without credentials."""
        return self._headers

    @property
    def args(self) -> Arguments:
        """The arguments of the query and, in a POST, of a form body, as twisted.web gives them."""
        if self._args is None:
            args = self.query
            if self._method == b"POST":
                args.update(self.form)
            self._args = args
        return self._args

    @property
    def content(self) -> BytesIO:
        """The body as a file; one and the same file each time."""
        if self._content is None:
            self._content = BytesIO(self._body)
        return self._content

    def getHeader(self, name: AnyStr) -> AnyStr | None:
        """The last value of a header, bytes for bytes and str for str; None when it was not sent."""
        if isinstance(name, str):
            return self.header(name)
        values = self._headers.getRawHeaders(name)
        return None if values is None else values[-1]

    def getClientAddress(self) -> IAddress:
        """The address of the peer."""
        return _address(*_address_fields(self._client))

    # What is ours.

    @property
    def body(self) -> bytes:
        """The raw body: what signatures are made over."""
        return self._body

    @property
    def id(self) -> str | None:
        """The delivery's name."""
        return self._id

    @property
    def dialect(self) -> str:
        """The name of the endpoint."""
        return self._dialect

    @property
    def received(self) -> float:
        """Seconds since the epoch."""
        return self._received

    @property
    def verified(self) -> bool:
        """True when it has been proved genuine before it was stored."""
        return self._verified

    def mark_verified(self) -> None:
        """Note that it has been proved genuine. A handler's business, once its checks have passed."""
        self._verified = True

    @property
    def query(self) -> Arguments:
        """The arguments of the URL alone, a new dict each time. No signature covers them."""
        return parse_urlencoded(self._uri.partition(b"?")[2])

    @property
    def form(self) -> Arguments:
        """The arguments of a form body alone, a new dict each time; empty for another content type."""
        content_type = self._headers.getRawHeaders(b"content-type")
        if not content_type or not self._body:
            return {}
        kind = content_type[0].partition(b";")[0].strip().lower()
        if kind == b"application/x-www-form-urlencoded":
            return parse_urlencoded(self._body)
        if kind == b"multipart/form-data":
            return parse_multipart(self._body, content_type[0])
        return {}

    def header(self, name: str) -> str | None:
        """The last value of a header as text (undecodable bytes replaced); None when not sent."""
        values = self._headers.getRawHeaders(name.encode("ascii"))
        return None if values is None else values[-1].decode("utf-8", "replace")

    def stamp(self, id: str) -> None:
        """Give it its name. The receiver's business, before a handler sees it."""
        self._id = id

    def dump(self) -> tuple[bytes, bytes]:
        """What to store: a head, and the body byte for byte.

        A stored delivery has been proved genuine, so the head says so, and it holds no token.
        """
        headers = _without(self._headers, TOKEN_HEADERS)
        head = _Head(
            self._method,
            self._uri,
            [(name, list(values)) for name, values in headers.getAllRawHeaders()],
            _address_fields(self._client),
            verified=True,
        )
        return _encoder.encode(head), self._body

    @classmethod
    def restore(
        cls, head: bytes, body: bytes, *, id: str | None = None, dialect: str = "", received: float = 0.0
    ) -> Delivery:
        """The delivery that :meth:`dump` took apart."""
        stored = _decoder.decode(head)
        headers = Headers()
        for name, values in stored.headers:
            headers.setRawHeaders(name, values)
        return cls(
            stored.method,
            stored.uri,
            headers,
            body,
            client=_address(*stored.client),
            id=id,
            dialect=dialect,
            received=received,
            verified=stored.verified,
        )

    def __repr__(self) -> str:
        return f"<Delivery {self._id!r} to {self._dialect!r}, {len(self._body)} bytes>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Delivery):
            return NotImplemented
        return (self.dump(), self._id, self._dialect, self._received) == (
            other.dump(),
            other._id,
            other._dialect,
            other._received,
        )

    def __hash__(self) -> int:
        return hash((self._id, self._dialect, self._uri, self._body))


def parse_urlencoded(text: bytes) -> Arguments:
    """``a=1&b=2`` as twisted.web reads it: blank values kept, items without ``=`` ignored."""
    args: Arguments = {}
    for item in text.replace(b";", b"&").split(b"&"):
        name, equals, value = item.partition(b"=")
        if equals:
            key = unquote_to_bytes(name.replace(b"+", b" "))
            args.setdefault(key, []).append(unquote_to_bytes(value.replace(b"+", b" ")))
    return args


def parse_multipart(body: bytes, content_type: bytes) -> Arguments:
    """A ``multipart/form-data`` body as twisted.web reads it; empty when it is none."""
    head = b"MIME-Version: 1.0\r\nContent-Type: " + content_type + b"\r\n\r\n"
    message: Any = BytesParser(policy=compat32).parsebytes(head + body)
    args: Arguments = {}
    if not message.is_multipart():
        return args
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        if not name:
            continue
        name = collapse_rfc2231_value(name)
        value = part.get_payload(decode=True)
        args.setdefault(name.encode("utf-8", "surrogateescape"), []).append(value or b"")
    return args


def _without(headers: Headers, names: tuple[bytes, ...]) -> Headers:
    present = [name for name in names if headers.hasHeader(name)]
    if not present:
        return headers
    kept = headers.copy()
    for name in present:
        kept.removeHeader(name)
    return kept


def _address_fields(address: Any) -> tuple[str, str, int]:
    if isinstance(address, UNIXAddress):
        return "UNIX", _as_text(address.name), 0
    kind = "IPv6" if isinstance(address, IPv6Address) else "IPv4"
    return kind, _as_text(getattr(address, "host", "")), getattr(address, "port", 0)


def _as_text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")


def _address(kind: str, host: str, port: int) -> IAddress:
    if kind == "IPv6":
        return IPv6Address("TCP", host, port)
    if kind == "UNIX":
        return UNIXAddress(host.encode())
    return IPv4Address("TCP", host, port)


__all__ = ["Arguments", "Delivery", "parse_multipart", "parse_urlencoded"]
