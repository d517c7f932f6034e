"""What may come in: the gate, and what a browser sends for another site's page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, succeed

from change_hooks.core.errors import CrossSiteRequest, Unavailable


class Gate:
    """Counts the deliveries between their request and their answer, and closes for a shutdown."""

    def __init__(self) -> None:
        self._closed: str | None = None
        self._inside = 0
        self._empty: list[Deferred[None]] = []

    def enter(self) -> None:
        """A delivery comes in.

        :raises Unavailable: the gate is closed.
        """
        if self._closed is not None:
            raise Unavailable(f"{self._closed}; send it again later")
        self._inside += 1

    def leave(self) -> None:
        """A delivery has been answered."""
        self._inside -= 1
        if self._inside == 0:
            waiting, self._empty = self._empty, []
            for deferred in waiting:
                deferred.callback(None)

    def open(self) -> None:
        """Let deliveries in."""
        self._closed = None

    def close(self, why: str) -> Deferred[None]:
        """Refuse new deliveries. Fires when those inside have been answered.

        :param why: told to those who are refused.
        """
        self._closed = why
        if self._inside == 0:
            return succeed(None)
        deferred: Deferred[None] = Deferred()
        self._empty.append(deferred)
        return deferred


def refuse_cross_site(request: Any) -> None:
    """Refuse what a browser sends on behalf of another site's page.

    :raises CrossSiteRequest: the browser says so, or the request's ``Origin`` is not its ``Host``.

    Source: Fetch Metadata Request Headers, "Sec-Fetch-Site"; Fetch, "Origin header".
    """
    headers = request.requestHeaders
    site = headers.getRawHeaders(b"sec-fetch-site")
    if site and site[-1].strip().lower() == b"cross-site":
        raise CrossSiteRequest("a page of another site may not send this")
    origin = headers.getRawHeaders(b"origin")
    if origin:
        host = headers.getRawHeaders(b"host", [b""])[-1]
        if _authority(origin[-1]) != host.strip().lower():
            raise CrossSiteRequest("a page of another site may not send this")


def _authority(origin: bytes) -> bytes:
    try:
        return urlsplit(origin.strip().lower()).netloc
    except ValueError:
        return b""


__all__ = ["Gate", "refuse_cross_site"]
