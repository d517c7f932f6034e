"""With a journal: stored before the answer."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.intake.late import PendingDeliveries
from change_hooks.intake.receipt import TAKEN, Taken
from change_hooks.interfaces import IJournal
from change_hooks.journal import Appended
from change_hooks.outbox.dispatcher import Dispatcher


class JournalIntake:
    """Stores changes before the answer, and tells the dispatcher."""

    def __init__(self, journal: IJournal, dispatcher: Dispatcher, pending: PendingDeliveries) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self.in_time = pending.in_time

    def take(self, delivery: Delivery, changes: list[Change]) -> Deferred[Taken]:
        """See :meth:`change_hooks.web.resource.Intake.take`."""
        appended: Deferred[Appended] = self._journal.append(
            delivery, changes, self._dispatcher.wanting(changes, delivery.dialect)
        )
        return appended.addCallback(self._stored)

    def _stored(self, appended: Appended) -> Taken:
        if appended.duplicate:
            return Taken(duplicate=True)
        self._dispatcher.wake()
        return TAKEN


__all__ = ["JournalIntake"]
