"""What of a delivery's headers and query is stored: nothing that opens a door here or elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

#: Never stored: what they hold opens a door here or elsewhere.
CREDENTIAL_HEADERS = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
#: Stored of every delivery, whatever its dialect reads: what the body is, and who says so.
COMMON_HEADERS = frozenset(
    {b"accept", b"content-type", b"content-length", b"date", b"host", b"user-agent", b"x-request-id"}
)
#: Stands for all headers among those that have been read.
EVERY = b"*"


class Stored(msgspec.Struct, frozen=True):
    """What of a delivery's headers and query is stored: what the handler declares. Of one that declares
    nothing, what it reads, unless that looks like a secret. Proxies add tokens under many names.

    :param headers: the names, in lower case, of the headers to keep beside :data:`COMMON_HEADERS`; None:
        those that have been read.
    :param secret_headers: are never kept.
    :param arguments: the names of the arguments in the query whose values are kept; None: all that do not
        look like a secret.
    :param secret_arguments: are never kept.
    :param signatures: signatures over the body are kept, and all headers that do not look like a secret; for
        sinks that send a delivery on as it came.
    """

    headers: frozenset[bytes] | None = None
    secret_headers: frozenset[bytes] = frozenset()
    arguments: frozenset[bytes] | None = None
    secret_arguments: frozenset[bytes] = frozenset()
    signatures: bool = False

    def keeps(self, name: bytes, read: Collection[bytes] = ()) -> bool:
        """True for a header that is stored.

        :param name: in lower case.
        :param read: the names of those that have been read; :data:`EVERY` among them: all.
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
        """True for an argument of the query whose value is stored."""
        if name in self.secret_arguments:
            return False
        return not looks_secret(name.lower()) if self.arguments is None else name in self.arguments


_SECRETIVE = re.compile(
    rb"token|secret|passw|auth|api.?key|credential|session|cookie|jwt|assertion|principal|oidc|saml|cert"
    rb"|identity|private|signature|^(key|sig|pw|code)$"
)


def looks_secret(name: bytes) -> bool:
    """True when the name of a header or argument, in lower case, says that its value may be a secret."""
    return _SECRETIVE.search(name) is not None


ALL = Stored()

__all__ = ["ALL", "EVERY", "Stored", "looks_secret"]
