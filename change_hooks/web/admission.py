"""What may come in, and what may not."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, succeed

from change_hooks.core.errors import CrossSiteRequest, Unavailable, UnsupportedContentType


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
    """Refuse what a browser sends on behalf of another site's page. The browser's own word is enough where it
    gives one; ``Origin`` is compared with ``Host`` only for those that do not, since a proxy may have changed
    it, and with what a trusted proxy says that it was.

    :raises CrossSiteRequest: the browser says so, or the request's ``Origin`` is not its ``Host``.

    Source: Fetch Metadata Request Headers, "Sec-Fetch-Site"; Fetch, "Origin header".
    """
    headers = request.requestHeaders
    site = headers.getRawHeaders(b"sec-fetch-site")
    origin = headers.getRawHeaders(b"origin")
    if site:
        word = site[-1].strip().lower()
        if word in (b"same-origin", b"none"):
            return
        if word != b"same-site" or not origin:
            raise CrossSiteRequest("a page of another site may not send this")
    if origin:
        hosts = [headers.getRawHeaders(b"host", [b""])[-1], *getattr(request, "forwarded_hosts", ())]
        ours = {_without_port(host.strip().lower(), origin[-1]) for host in hosts if host.strip()}
        if _authority(origin[-1]) not in ours:
            raise CrossSiteRequest("a page of another site may not send this")


def refuse_foreign_host(request: Any, hosts: Collection[str] = ()) -> None:
    """Refuse what a browser sends to this machine for a page whose name leads here (DNS rebinding).
    To the browser the page and this server are one site; only the name tells them apart. It says
    ``Sec-Fetch-Site`` where the page came by TLS or from this machine, and then the name is right.

    :param hosts: the names under which an endpoint without a signature answers; empty: any, to who is no
        browser. Addresses of this machine, and ``localhost``, are always among them.
    :raises CrossSiteRequest: the request came to the loopback interface, and its ``Host`` is another.
    """
    headers = request.requestHeaders
    from_browser = headers.hasHeader(b"origin") or headers.hasHeader(b"accept-language")
    if not (hosts or (from_browser and not headers.hasHeader(b"sec-fetch-site"))):
        return
    if not _is_loopback(getattr(request.getHost(), "host", "")):
        return
    name = _host_name(headers.getRawHeaders(b"host", [b""])[-1].decode("latin-1"))
    if name not in hosts and name != "localhost" and not _is_loopback(name):
        raise CrossSiteRequest(
            "this endpoint has no secret: over the loopback interface it answers only to 'localhost', and to"
            " the names in change_hook_hosts"
        )


def _host_name(host: str) -> str:
    """The name or address in a ``Host`` header, in lower case, without its port."""
    try:
        return urlsplit(f"//{host.strip()}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def refuse_encoding(request: Any) -> None:
    """Refuse a body that is compressed, or encoded otherwise.

    :raises UnsupportedContentType: it is; the encoding is named when it is one of those that are registered.
    """
    encodings = request.requestHeaders.getRawHeaders(b"content-encoding")
    if encodings is not None and encodings[-1].strip().lower() not in (b"", b"identity"):
        name = encodings[-1].strip().lower().decode("latin-1")
        named = f" {name}" if name in ("gzip", "x-gzip", "deflate", "br", "zstd", "compress") else ""
        raise UnsupportedContentType(f"the content encoding{named} is not supported; send the body as it is")


def _without_port(host: bytes, origin: bytes) -> bytes:
    """A host as browsers write it in an origin: without the scheme's own port."""
    default = b":443" if origin.lower().startswith(b"https:") else b":80"
    return host.removesuffix(default)


def _authority(origin: bytes) -> bytes:
    try:
        return _without_port(urlsplit(origin.strip().lower()).netloc, origin.strip())
    except ValueError:
        return b""


__all__ = ["Gate", "refuse_cross_site", "refuse_encoding", "refuse_foreign_host"]
