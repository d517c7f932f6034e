"""Determines the client of a request that comes through a proxy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, cast

from twisted.internet import address as twisted_address
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from change_hooks.core.delivery import ClientAddress

#: Among the networks, means every peer of a Unix socket.
UNIX = "unix"
#: The parameter ``for`` of one hop in ``Forwarded``.
_FOR = re.compile(rb'(?:^|;)\s*for\s*=\s*("?)([^";]*)\1\s*(?:;|$)', re.IGNORECASE)
#: Its parameter ``host``.
_HOST = re.compile(rb'(?:^|;)\s*host\s*=\s*("?)([^";]*)\1\s*(?:;|$)', re.IGNORECASE)


class TrustedProxies:
    """The proxies whose forwarding headers are trusted.

    :param networks: their addresses: single ones, networks (``10.0.0.0/8``), or ``unix``.
    :raises ValueError: an entry is neither an address nor a network.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        given = list(networks)
        self._unix = UNIX in given
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(each) for each in given if each != UNIX]

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def trusts(self, address: ClientAddress) -> bool:
        """Whether *address* is a trusted proxy."""
        return self._unix if address.type == "UNIX" else self._trusts_host(address.host)

    def _trusts_host(self, host: str) -> bool:
        try:
            address = unmapped(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def hosts(self, request: Any) -> list[bytes]:
        """The host names that the client used, according to trusted proxies, which may have changed ``Host``.

        Source: RFC 7239; MDN, "X-Forwarded-Host".
        """
        if not self.trusts(ClientAddress.of(request.getClientAddress())):
            return []
        headers = request.requestHeaders
        named = [_HOST.search(hop) for hop in _hops(headers.getRawHeaders(b"forwarded"))]
        return [
            *_hops(headers.getRawHeaders(b"x-forwarded-host")),
            *(found[2] for found in named if found is not None),
        ]

    def client(self, request: Any) -> str | None:
        """The address from which the first trusted proxy got the request; None: the peer's.

        Each proxy adds an address at the right, so the list is read from there. If ``X-Forwarded-For`` and
        ``Forwarded`` are both present and differ, one of them was not written by a trusted proxy, and neither
        is used.

        Source: RFC 7239; MDN, "X-Forwarded-For".
        """
        if not self.trusts(ClientAddress.of(request.getClientAddress())):
            return None
        headers = request.requestHeaders
        named = {
            self._rightmost(hops)
            for hops in (
                _hops(headers.getRawHeaders(b"x-forwarded-for")),
                [_for(hop) for hop in _hops(headers.getRawHeaders(b"forwarded"))],
            )
            if hops
        }
        return named.pop() if len(named) == 1 else None

    def _rightmost(self, hops: list[bytes]) -> str | None:
        """The last address that is not a trusted proxy; the first one if all are."""
        found = None
        for hop in reversed(hops):
            host = _host(hop)
            if host is None:
                break
            found = host
            if not self._trusts_host(host):
                break
        return found


def _hops(values: Iterable[bytes] | None) -> list[bytes]:
    return [hop.strip() for value in values or () for hop in value.split(b",")]


def _for(hop: bytes) -> bytes:
    found = _FOR.search(hop)
    return found[2] if found else b""


def _host(written: bytes) -> str | None:
    """An address as proxies write it, with or without a port; None if it is not valid."""
    text = written.decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(unmapped(text))
    except ValueError:
        return None


def one_client(host: str) -> str:
    """The key of a client: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        address = unmapped(host)
    except ValueError:
        return host
    return str(ip_network((int(address), 64), strict=False)) if address.version == 6 else str(address)


def unmapped(host: str) -> IPv4Address | IPv6Address:
    """Parse an address; an IPv4-mapped IPv6 address becomes the IPv4 address.

    :raises ValueError: this is not an address.
    """
    address = ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


class BehindProxies(Resource):
    """A resource behind proxies: its requests get the address of the real client, and the host names that it
    used.

    :param resource: the resource behind the proxies.
    """

    def __init__(self, resource: IResource, proxies: TrustedProxies) -> None:
        super().__init__()
        self._resource = resource
        self._proxies = proxies

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """See :meth:`twisted.web.resource.IResource.getChildWithDefault`."""
        self._see_through(request)
        return cast("IResource", self._resource.getChildWithDefault(path, request))

    def render(self, request: IRequest) -> Any:
        """See :meth:`twisted.web.resource.IResource.render`."""
        self._see_through(request)
        return self._resource.render(request)

    def _see_through(self, request: Any) -> None:
        if request.requestHeaders.hasHeader(b"origin"):
            # Only requests from browsers are compared with them.
            request.forwarded_hosts = self._proxies.hosts(request)
        host = self._proxies.client(request)
        if host is not None:
            kind = twisted_address.IPv6Address if ":" in host else twisted_address.IPv4Address
            request.client = kind("TCP", host, 0)


__all__ = ["UNIX", "BehindProxies", "TrustedProxies", "one_client", "unmapped"]
