"""Decides which requests are admitted."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, succeed

from change_hooks.core.errors import CrossSiteRequest, Unavailable, UnsupportedContentType


class Gate:
    """Counts the deliveries in flight, between request and response, and closes for a shutdown."""

    def __init__(self) -> None:
        self._closed: str | None = None
        self._inside = 0
        self._empty: list[Deferred[None]] = []

    def enter(self) -> None:
        """A delivery enters.

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
        """Admit deliveries."""
        self._closed = None

    def close(self, why: str) -> Deferred[None]:
        """Refuse new deliveries. Fires when those in flight have been answered.

        :param why: the reason, for the responses to refused deliveries.
        """
        self._closed = why
        if self._inside == 0:
            return succeed(None)
        deferred: Deferred[None] = Deferred()
        self._empty.append(deferred)
        return deferred


def refuse_cross_site(request: Any) -> None:
    """Refuse what a browser sends on behalf of another site's page. If the browser says where the request
    comes from, that decides. Otherwise ``Origin`` is compared with ``Host``, and, since a proxy may have
    changed ``Host``, with the original host that a trusted proxy reports.

    :raises CrossSiteRequest: the browser says so, or the request's ``Origin`` differs from its ``Host``.

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
    """Refuse what a browser sends to this machine for a page whose host name resolves to it (DNS rebinding).
    To the browser the page and this server are the same site; only the host name shows the difference. A
    browser sends ``Sec-Fetch-Site`` if the page came over TLS or from this machine; then the name is right.

    :param hosts: the host names that an endpoint without a signature accepts; empty: any, unless a browser
        sent the request. Addresses of this machine, and ``localhost``, are always accepted.
    :raises CrossSiteRequest: the request came to the loopback interface, and its ``Host`` is not accepted.
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
            "this endpoint has no secret, so over the loopback interface it accepts only the host names"
            " 'localhost' and those in change_hook_hosts"
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
    """Refuse a body that is compressed, or has any other content encoding.

    :raises UnsupportedContentType: it has one; the message names the encoding if it is a registered one.
    """
    encodings = request.requestHeaders.getRawHeaders(b"content-encoding")
    if encodings is not None and encodings[-1].strip().lower() not in (b"", b"identity"):
        name = encodings[-1].strip().lower().decode("latin-1")
        named = f" {name}" if name in ("gzip", "x-gzip", "deflate", "br", "zstd", "compress") else ""
        raise UnsupportedContentType(f"the content encoding{named} is not supported; send the body unencoded")


def _without_port(host: bytes, origin: bytes) -> bytes:
    """A host as browsers write it in an origin: without the scheme's default port."""
    default = b":443" if origin.lower().startswith(b"https:") else b":80"
    return host.removesuffix(default)


def _authority(origin: bytes) -> bytes:
    try:
        return _without_port(urlsplit(origin.strip().lower()).netloc, origin.strip())
    except ValueError:
        return b""


__all__ = ["Gate", "refuse_cross_site", "refuse_encoding", "refuse_foreign_host"]
