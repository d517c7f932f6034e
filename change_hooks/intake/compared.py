"""What may come by more than one way, and so is compared with what came by the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from change_hooks.core.address import repository_key
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.fetched import POLL, is_fetched


class Compared:
    """Which deliveries are compared. Nothing is, unless a configuration says so: it costs a look-up."""

    def __init__(self) -> None:
        #: The keys of the repositories that pollers look into.
        self.repositories: Collection[str] = frozenset()
        #: The endpoints to which what was pushed is fetched.
        self.endpoints: Collection[str] = frozenset()

    def way(self, delivery: Delivery, changes: Sequence[Change]) -> str:
        """By which way a delivery comes that is compared: ``sent``, ``polled``, ``fetched``; else empty."""
        if delivery.method == POLL:
            return "polled"
        if is_fetched(delivery):
            return "fetched"
        if delivery.dialect in self.endpoints:
            return "sent"
        if self.repositories and changes and repository_key(changes[-1].repository) in self.repositories:
            return "sent"
        return ""


__all__ = ["Compared"]
