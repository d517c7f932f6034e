"""What became of a delivery, and who says so."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery


class Taken(msgspec.Struct, frozen=True):
    """What an intake made of a delivery.

    :param duplicate: it was accepted before; nothing was stored.
    :param postponed: it is stored, and its changes will be, when the handler knows them.
    """

    duplicate: bool = False
    postponed: bool = False


TAKEN = Taken()


class Intake(Protocol):
    """Takes the changes of a delivery before it is answered."""

    def in_time(self, delivery: Delivery, found: Deferred[Any]) -> Deferred[Any]:
        """Wait for a handler, but not for too long.

        :param found: fires with a list of changes.
        :returns: fires like *found*; or with a :class:`Taken`, when it does not fire in time and the delivery
            has been stored to be finished later.
        """

    def take(self, delivery: Delivery, changes: list[Change]) -> Any:
        """Take the changes.

        :returns: a :class:`Taken`, or a Deferred of it.
        :raises Unavailable: they cannot be taken now.
        """


__all__ = ["TAKEN", "Intake", "Taken"]
