"""Limits senders by address, and the rate of unverified requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from change_hooks.core.delivery import ClientAddress
from change_hooks.core.errors import AddressNotAllowed, TooManyRequests, Unavailable
from change_hooks.core.options import UNIX, Allow
from change_hooks.web.proxies import one_client, unmapped

#: How many addresses are remembered; beyond that, the one that was idle longest is forgotten.
MOST_ADDRESSES = 10_000


class Rate:
    """Limits the rate of unverified requests from one address.

    :param per_minute: the number of requests, which may come all at once; None: no limit.
    :param clock: the reactor, or a clock in tests.
    """

    def __init__(self, per_minute: int | None, clock: IReactorTime) -> None:
        self._most = per_minute
        self._clock = clock
        #: For each address, how many requests it has left, and at what time.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, client: ClientAddress) -> None:
        """Count an unverified request.

        :raises TooManyRequests: there have been too many from this address.
        """
        if self._most is None:
            return
        name, now, most = one_client(client.host), self._clock.seconds(), self._most
        left, since = self._left.pop(name, (float(most), now))
        left = min(most, left + max(now - since, 0.0) * most / 60)
        enough = left >= 1
        self._left[name] = (left - 1 if enough else left, now)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        if not enough:
            raise TooManyRequests(retry_after=int((1 - left) * 60 / most) + 1)


class Published(Protocol):
    """A list of networks that a forge publishes."""

    @property
    def networks(self) -> Sequence[IPv4Network | IPv6Network] | None:
        """The latest list; None: not known yet."""


class Allowed:
    """The addresses from which deliveries are accepted.

    :param allow: the option; empty: all addresses.
    :param published: the published lists that it names.
    """

    def __init__(self, allow: Allow, published: Sequence[Published] = ()) -> None:
        self._allow = allow
        self._published = published

    def check(self, sender: object) -> None:
        """Refuse a delivery from any other address.

        :param sender: its address, of Twisted's kind or ours.
        :raises AddressNotAllowed: its address is not allowed.
        :raises Unavailable: the list that may contain its address is not known yet.
        """
        if not self._allow.names and not self._allow.networks:
            return
        client = ClientAddress.of(sender)
        if client.type == "UNIX":
            if UNIX in self._allow.names:
                return
            raise AddressNotAllowed
        try:
            address = unmapped(client.host)
        except ValueError:
            raise AddressNotAllowed from None
        if any(address in network for network in self._allow.networks):
            return
        lists = [each.networks for each in self._published]
        if any(address in network for networks in lists for network in networks or ()):
            return
        if None in lists:
            raise Unavailable("the forge's list of addresses is not known yet; send it again", 30)
        raise AddressNotAllowed


__all__ = ["MOST_ADDRESSES", "Allowed", "Published", "Rate"]
