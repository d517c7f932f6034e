"""Receipts for deliveries, and the interface of what issues them."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec
from twisted.internet.defer import Deferred

from change_hooks.core.delivery import Delivery
from change_hooks.core.found import NOTHING_KNOWN, About, Found

Outcome = Literal["accepted", "duplicate", "postponed", "ignored"]


class Receipt(msgspec.Struct, frozen=True):
    """The receipt for a delivery.

    :param outcome: ``accepted``: its changes are stored, or the sink has them. ``duplicate``: it was accepted
        before, and nothing was stored. ``postponed``: it is stored, and its changes will be stored when they
        are known. ``ignored``: it gives no change.
    :param changes: the number of changes.
    :param reason: why there is none.
    :param about: what the delivery is about.
    :param id: the id that it is stored under, if that is not its own: the same delivery arrived under that id
        before.
    """

    outcome: Outcome
    changes: int = 0
    reason: str = ""
    about: About = NOTHING_KNOWN
    id: str = ""


def accepted(found: Found, id: str = "") -> Receipt:
    """The receipt for changes that have been stored, or delivered to the sink."""
    return Receipt("accepted", len(found), about=found.about, id=id)


def ignored(found: Found) -> Receipt:
    """The receipt for a delivery without changes."""
    return Receipt("ignored", reason=found.reason, about=found.about)


class Intake(Protocol):
    """Accepts what a handler found in a verified delivery, before it is answered."""

    def accept(self, delivery: Delivery, found: Found) -> Receipt | Deferred[Receipt]:
        """Accept changes; there is at least one.

        :raises Unavailable: (or fails with) the changes cannot be accepted now.
        """

    def accept_late(self, delivery: Delivery, found: Deferred[Found]) -> Deferred[Receipt]:
        """Accept changes that are still being looked up.

        :returns: fires when *found* has fired and its changes are accepted; or earlier, if that takes longer
            than a sender waits and the delivery itself has been stored.
        """


__all__ = ["Intake", "Outcome", "Receipt", "accepted", "ignored"]
