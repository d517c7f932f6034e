"""Selects the headers and arguments of a delivery that are stored: none that hold credentials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

#: Never stored, since they hold credentials.
CREDENTIAL_HEADERS = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
#: Stored for every delivery, whatever its dialect reads: they describe the body and the sender.
COMMON_HEADERS = frozenset(
    {b"accept", b"content-type", b"content-length", b"date", b"host", b"user-agent", b"x-request-id"}
)
#: In the names of the headers that have been read: all headers.
EVERY = b"*"


class Stored(msgspec.Struct, frozen=True):
    """The headers and arguments of a delivery that are stored: those that the handler declares. For a handler
    that declares none, those that it reads, unless they look like a secret: proxies add tokens under many
    names.

    :param headers: the names, in lower case, of the headers to store in addition to :data:`COMMON_HEADERS`;
        None: those that have been read.
    :param secret_headers: the headers that are never stored.
    :param arguments: the names of the query arguments whose values are stored; None: all that do not look
        like a secret.
    :param secret_arguments: the arguments that are never stored.
    :param signatures: also store signatures over the body, and all headers that do not look like a secret;
        for sinks that forward deliveries.
    """

    headers: frozenset[bytes] | None = None
    secret_headers: frozenset[bytes] = frozenset()
    arguments: frozenset[bytes] | None = None
    secret_arguments: frozenset[bytes] = frozenset()
    signatures: bool = False

    def keeps(self, name: bytes, read: Collection[bytes] = ()) -> bool:
        """Whether a header is stored.

        :param name: in lower case.
        :param read: the names of the headers that have been read; with :data:`EVERY`: all.
        """
        if name in CREDENTIAL_HEADERS or name in self.secret_headers:
            return False
        if b"signature" in name:
            return self.signatures
        if name in COMMON_HEADERS or (self.headers is not None and name in self.headers):
            return True
        wanted = self.signatures or (self.headers is None and (name in read or EVERY in read))
        return wanted and not looks_secret(name)

    def keeps_argument(self, name: bytes) -> bool:
        """Whether the value of a query argument is stored."""
        if name in self.secret_arguments:
            return False
        return not looks_secret(name.lower()) if self.arguments is None else name in self.arguments


_SECRETIVE = re.compile(
    rb"token|secret|passw|auth|api.?key|credential|session|cookie|jwt|assertion|principal|oidc|saml|cert"
    rb"|identity|private|signature|^(key|sig|pw|code)$"
)


def looks_secret(name: bytes) -> bool:
    """Whether the name of a header or argument, in lower case, suggests that its value is a secret."""
    return _SECRETIVE.search(name) is not None


ALL = Stored()

__all__ = ["ALL", "EVERY", "Stored", "looks_secret"]
