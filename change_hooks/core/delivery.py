"""Delivery: one HTTP request as it was received, and as it can be received again.

Strategy: a handler never sees the live request. It gets this value, which holds the raw bytes and derives
everything else (arguments, headers, the content file) from them, in the same way whether the bytes come from
a socket or from the journal. So a replayed delivery cannot differ from the live one, except that secrets are
never stored.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, AnyStr, Literal, NoReturn

import msgspec
from twisted.web.http_headers import Headers

from change_hooks.core.forms import Arguments, parse_multipart, parse_urlencoded, unquoted
from change_hooks.core.headers import HeaderFields, basic_credentials
from change_hooks.core.stored import ALL, EVERY, Stored

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twisted.web.iweb import IRequest

#: How the sender was verified: by a signature over the body, by a token, by an HTTP Basic password, or not at
#: all, since none of these is configured.
Verification = Literal["none", "signature", "token", "password"]


class ClientAddress(msgspec.Struct, frozen=True):
    """The address of a peer.

    :param type: ``TCP`` or ``UNIX``.
    :param host: the host, or the path of a Unix socket.
    """

    type: str
    host: str
    port: int = 0

    @classmethod
    def of(cls, address: object) -> ClientAddress:
        """Make one from a Twisted address."""
        if isinstance(address, cls):
            return address
        name = getattr(address, "name", None)
        if name is not None:
            return cls("UNIX", name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name))
        host = getattr(address, "host", "") or ""
        host = host.decode("utf-8", "replace") if isinstance(host, bytes) else str(host)
        return cls("TCP", host, getattr(address, "port", 0))


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """Everything in a stored delivery except its body."""

    method: bytes
    uri: bytes
    headers: list[tuple[bytes, list[bytes]]]
    client: tuple[str, str, int]
    verification: Verification | bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Head)


class Delivery:
    """One HTTP request as it was received. Immutable.

    It has the reading side of a :class:`twisted.web.server.Request`, so handlers written for that work.

    :param method: ``b"POST"`` ...
    :param uri: path and query as sent.
    :param headers: all headers; they must not be changed afterwards.
    :param body: the raw bytes, before any decoding.
    :param client: the address of the peer.
    :param id: the delivery's id, from the sender or from us.
    :param dialect: the name of the endpoint that received it.
    :param received: when it was received, in seconds since the epoch.
    :param verification: how its sender was verified; None: not verified yet.
    :param stored: which parts of it are stored.
    :param digest: a digest of what was verified, if that may be accepted only once under any id; else empty.
    """

    method: bytes
    uri: bytes
    body: bytes
    client: ClientAddress
    id: str | None
    dialect: str
    received: float
    verification: Verification | None
    stored: Stored
    digest: str
    _headers: HeaderFields
    _content: BytesIO
    _read: set[bytes]
    _made: dict[Any, Any] | None
    #: Whose word :attr:`verification` is; None: it counts for all, as that of a stored delivery does.
    _verifier: object = None

    def __init__(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | HeaderFields,
        body: bytes,
        *,
        client: object = None,
        id: str | None = None,
        dialect: str = "",
        received: float = 0.0,
        verification: Verification | None = None,
        stored: Stored = ALL,
        digest: str = "",
    ) -> None:
        self.__dict__.update(
            method=method,
            uri=uri,
            _headers=HeaderFields.of(headers),
            _read=set(),
            _made=None,
            body=body,
            client=ClientAddress.of(client),
            id=id,
            dialect=dialect,
            received=received,
            verification=verification,
            stored=stored,
            digest=digest,
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Delivery is immutable; {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Delivery is immutable; {name!r} cannot be deleted")

    @classmethod
    def from_request(
        cls, request: IRequest, *, dialect: str = "", received: float = 0.0, stored: Stored = ALL
    ) -> Delivery:
        """Read a live request. Its content file is read from the start and rewound."""
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
            stored=stored,
        )

    def replace(
        self,
        *,
        id: str | None = None,
        verification: Verification | None = None,
        client: object = None,
        body: bytes | None = None,
        uri: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        digest: str | None = None,
        verifier: object = None,
    ) -> Delivery:
        """A copy with other values.

        :param headers: the headers to set; the others stay.
        :param verifier: the handler that verified it: others that it passes the delivery to verify it again.
        """
        copy = object.__new__(Delivery)
        its = copy.__dict__
        its.update(self.__dict__)
        its["_read"] = set()
        its.pop("_content", None)
        if id is not None:
            its["id"] = id
        if verification is not None:
            its["verification"] = verification
        if digest is not None:
            its["digest"] = digest
        if verifier is not None:
            its["_verifier"] = verifier
        if uri is not None:
            its["uri"] = uri
        if client is not None:
            its["client"] = ClientAddress.of(client)
        if headers:
            sent = its["_headers"] = HeaderFields(self._headers)
            for name, value in headers.items():
                sent[name.encode("ascii").lower()] = [value.encode("utf-8", "surrogateescape")]
        if body is not None:
            its["body"] = body
        if body is not None or headers is not None:
            its["_made"] = None
        return copy

    # The reading side, with the names of twisted.web.

    @property
    def path(self) -> bytes:
        """The path, as sent (still quoted)."""
        return self.uri.partition(b"?")[0]

    @property
    def requestHeaders(self) -> Headers:
        """A copy of the headers."""
        self._read.add(EVERY)
        return self._headers.as_headers()

    @property
    def args(self) -> Arguments:
        """The arguments of the query and, in a POST, of a form body, like in twisted.web; a new dict each
        time.
        """
        args = self.query
        if self.method == b"POST":
            args.update(self.form)
        return args

    @property
    def content(self) -> BytesIO:
        """The body as a file; the same file each time."""
        content: BytesIO | None = self.__dict__.get("_content")
        if content is None:
            content = self.__dict__["_content"] = BytesIO(self.body)
        return content

    def getHeader(self, name: AnyStr) -> AnyStr | None:
        """The last value of a header, bytes for bytes and str for str; None if it was not sent."""
        if isinstance(name, str):
            return self.header(name)
        raw = name.lower()
        self._read.add(raw)
        values = self._headers.get(raw)
        return None if values is None else values[-1]

    def getClientAddress(self) -> ClientAddress:
        """The address of the peer."""
        return self.client

    def getUser(self) -> bytes:
        """The user of HTTP Basic credentials, or empty. They are never stored."""
        return basic_credentials(self.getHeader(b"authorization"))[0]

    def getPassword(self) -> bytes:
        """The password of HTTP Basic credentials, or empty. They are never stored."""
        return basic_credentials(self.getHeader(b"authorization"))[1]

    # Our own methods.

    def is_verified_for(self, handler: object) -> bool:
        """Whether the delivery was verified in such a way that *handler* need not do it again."""
        return self.verification is not None and (self._verifier is None or self._verifier is handler)

    @property
    def query(self) -> Arguments:
        """The arguments of the URL only, a new dict each time. No signature covers them."""
        return parse_urlencoded(self.uri.partition(b"?")[2])

    @property
    def form(self) -> Arguments:
        """The arguments of a form body only, a new dict each time; empty for other content types."""
        content_type = self._headers.get(b"content-type")
        if not content_type or not self.body:
            return {}
        kind = content_type[0].partition(b";")[0].strip().lower()
        if kind == b"application/x-www-form-urlencoded":
            return parse_urlencoded(self.body)
        if kind == b"multipart/form-data":
            return parse_multipart(self.body, content_type[0])
        return {}

    def header(self, name: str) -> str | None:
        """The last value of a header as text (undecodable bytes replaced); None if it was not sent."""
        raw = _raw(name)
        self._read.add(raw)
        values = self._headers.get(raw)
        return None if values is None else values[-1].decode("utf-8", "replace")

    @property
    def header_names(self) -> Collection[bytes]:
        """The names of all headers, in lower case. They come from the sender, and Twisted's headers keep the
        names that they are given, so strangers' are not looked at in :attr:`requestHeaders`.
        """
        return self._headers.keys()

    @property
    def made(self) -> dict[Any, Any]:
        """Values derived from the body, by name; shared with later copies with the same body and headers."""
        made = self._made
        if made is None:
            made = {}
            self.__dict__["_made"] = made
        return made

    def forget(self) -> None:
        """Discard the values derived from the body, here and in copies: they may be large."""
        if self._made is not None:
            self._made.clear()

    @property
    def is_opened(self) -> bool:
        """Whether there are values derived from the body."""
        return bool(self._made)

    @property
    def has_query(self) -> bool:
        """Whether the URL has a query."""
        return b"?" in self.uri

    def dump(self) -> tuple[bytes, bytes]:
        """The parts to store: a head without secrets, and the body byte for byte."""
        return self._dump(self._read)

    def _dump(self, read: Collection[bytes]) -> tuple[bytes, bytes]:
        keeps = self.stored.keeps
        head = _Head(
            self.method,
            self._stored_uri(),
            [(name, values) for name, values in self._headers.items() if keeps(name, read)],
            (self.client.type, self.client.host, self.client.port),
            self.verification or "none",
        )
        return _encoder.encode(head), self.body

    def _stored_uri(self) -> bytes:
        if not self.has_query:
            return self.uri
        path, _, query = self.uri.partition(b"?")
        kept = []
        for item in query.split(b"&"):
            name, equals, _ = item.partition(b"=")
            if self.stored.keeps_argument(unquoted(name)):
                kept.append(item)
            elif equals:
                kept.append(name + equals)
        return path + b"?" + b"&".join(kept)

    @classmethod
    def restore(
        cls, head: bytes, body: bytes, *, id: str | None = None, dialect: str = "", received: float = 0.0
    ) -> Delivery:
        """Restore the delivery from what :meth:`dump` returned."""
        stored = _decoder.decode(head)
        headers = HeaderFields({name.lower(): values for name, values in stored.headers})
        kind, host, port = stored.client
        verification = stored.verification
        return cls(
            stored.method,
            stored.uri,
            headers,
            body,
            client=ClientAddress("UNIX" if kind == "UNIX" else "TCP", host, port),
            id=id,
            dialect=dialect,
            received=received,
            # Deliveries stored before the kind of verification was recorded had all been verified.
            verification="signature" if verification is True else (verification or "none"),
        )

    def __getstate__(self) -> dict[str, Any]:
        # A copy has no handler in it, and no other handler takes it for its own.
        return {**self.__dict__, "_verifier": None if self._verifier is None else "elsewhere"}

    def __repr__(self) -> str:
        return f"<Delivery {self.id!r} to {self.dialect!r}, {len(self.body)} bytes>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Delivery):
            return NotImplemented
        return (self._dump((EVERY,)), self.id, self.dialect, self.received) == (
            other._dump((EVERY,)),
            other.id,
            other.dialect,
            other.received,
        )

    def __hash__(self) -> int:
        return hash((self.id, self.dialect, self.uri, self.body))


@lru_cache(maxsize=256)
def _raw(name: str) -> bytes:
    """The name of a header as it stands in a delivery. Names come from handlers, never from senders."""
    return name.encode("ascii").lower()


__all__ = ["Arguments", "ClientAddress", "Delivery", "Verification"]
