"""Header fields of a request or an answer, as a dict: a delivery asks for them a dozen times."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import AnyStr, TypeVar

from twisted.web.http_headers import Headers

T = TypeVar("T")


class HeaderFields(dict[bytes, list[bytes]]):
    """The values of each field, by its name in lower case.

    It has what we use of :class:`twisted.web.http_headers.Headers`, at a sixth of the time for each look-up.
    Whoever knows that a name is in lower case uses it as the dict that it is.
    """

    __slots__ = ()

    @classmethod
    def of(cls, headers: Headers | HeaderFields) -> HeaderFields:
        """Those of Twisted; ours as they are."""
        if isinstance(headers, cls):
            return headers
        fields = [*headers.getAllRawHeaders()]
        # In one go, without a line of Python for each.
        return cls(zip(map(bytes.lower, map(_NAME, fields)), map(list, map(_VALUES, fields)), strict=True))

    def getRawHeaders(self, name: AnyStr, default: T | None = None) -> list[AnyStr] | T | None:
        """All values of a field, as bytes or text, as the name is; *default* when there are none."""
        if isinstance(name, bytes):
            return self.get(name.lower(), default)
        values = self.get(_lower(name))
        return default if values is None else [value.decode("utf-8", "replace") for value in values]

    def hasHeader(self, name: bytes | str) -> bool:
        """Whether a field is there."""
        return _lower(name) in self

    def getAllRawHeaders(self) -> Iterable[tuple[bytes, list[bytes]]]:
        """Each name with its values."""
        return self.items()

    def setRawHeaders(self, name: bytes | str, values: Sequence[bytes | str]) -> None:
        """Set a field. What would end its line becomes a blank."""
        self[_lower(name)] = [*map(_one_line, values)]

    def addRawHeader(self, name: bytes | str, value: bytes | str) -> None:
        """Add a value to those of a field."""
        self.setdefault(_lower(name), []).append(_one_line(value))

    def removeHeader(self, name: bytes | str) -> None:
        """Remove a field, when it is there."""
        self.pop(_lower(name), None)

    def as_headers(self) -> Headers:
        """A copy, of Twisted's kind."""
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
