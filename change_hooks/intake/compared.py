"""Changes that may arrive in more than one way, and are compared to find duplicates."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from change_hooks.core.address import repository_key
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.fetched import POLL, is_fetched


class Compared:
    """Which deliveries are compared. Since a comparison costs a look-up, only those that the configuration
    calls for are.
    """

    def __init__(self) -> None:
        #: The keys of the repositories that pollers poll.
        self.repositories: Collection[str] = frozenset()
        #: The endpoints for which pushes are fetched.
        self.endpoints: Collection[str] = frozenset()

    def way(self, delivery: Delivery, changes: Sequence[Change]) -> str:
        """How a compared delivery has arrived: ``sent``, ``polled`` or ``fetched``; empty for the others."""
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
