"""Marks deliveries that the forge sent again because we asked it to."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred

from change_hooks.core.delivery import Delivery
from change_hooks.core.found import Found
from change_hooks.intake.receipt import Intake, Receipt
from change_hooks.interfaces import IJournal
from change_hooks.recovery.catch_up import asked_name
from change_hooks.recovery.recovered import REDELIVERED, recovered


class MarkingIntake:
    """An intake that recognises, for some endpoints, redeliveries that we asked the forge for.

    :param intake: the intake that accepts the deliveries.
    :param journal: records what was asked for.
    """

    def __init__(self, intake: Intake, journal: IJournal) -> None:
        self._intake = intake
        self._journal = journal
        #: The endpoints whose forge we ask for redeliveries.
        self.endpoints: Collection[str] = ()

    def accept(self, delivery: Delivery, found: Found) -> Receipt | Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept`."""
        if delivery.dialect not in self.endpoints:
            return self._intake.accept(delivery, found)
        return Deferred.fromCoroutine(self._accept(delivery, found))

    def accept_late(self, delivery: Delivery, found: Deferred[Found]) -> Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept_late`."""
        if delivery.dialect in self.endpoints:
            found.addCallback(lambda known: Deferred.fromCoroutine(self._marked(delivery, known)))
        return self._intake.accept_late(delivery, found)

    async def _accept(self, delivery: Delivery, found: Found) -> Receipt:
        accepted = self._intake.accept(delivery, await self._marked(delivery, found))
        return await accepted if isinstance(accepted, Deferred) else accepted

    async def _marked(self, delivery: Delivery, found: Found) -> Found:
        name = asked_name(delivery.dialect, delivery.id or "")
        if await self._journal.recall(name) is None:
            return found
        marked = (recovered(change, REDELIVERED) for change in found)
        return Found(marked, found.reason, found.about)


__all__ = ["MarkingIntake"]
