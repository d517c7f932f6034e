"""The intake with a journal: changes are stored before the response."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from change_hooks.core.change import RECOVERED
from change_hooks.core.delivery import Delivery
from change_hooks.core.found import Found
from change_hooks.intake.compared import Compared
from change_hooks.intake.late import PendingDeliveries
from change_hooks.intake.receipt import Receipt, accepted
from change_hooks.interfaces import IJournal
from change_hooks.journal import Appended
from change_hooks.observer import NOBODY, Observer
from change_hooks.outbox.dispatcher import Dispatcher


class JournalIntake:
    """Stores changes before the response, and wakes the dispatcher.

    :param observer: notified of stored changes.
    :param compared: the deliveries that may arrive in more than one way.
    """

    def __init__(
        self,
        journal: IJournal,
        dispatcher: Dispatcher,
        pending: PendingDeliveries,
        observer: Observer = NOBODY,
        compared: Compared | None = None,
    ) -> None:
        self._observer = observer
        self._journal = journal
        self._dispatcher = dispatcher
        self._pending = pending
        self._compared = compared or Compared()

    def accept(self, delivery: Delivery, found: Found) -> Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept`."""

        def stored(appended: Appended) -> Receipt:
            if appended.duplicate:
                return Receipt("duplicate", about=found.about, id=appended.id)
            if routes.wanted:
                self._dispatcher.wake()
            way = found[0].properties.get(RECOVERED, "") if found else ""
            self._observer.changes_accepted(delivery.dialect, len(found), way)
            return accepted(found, appended.id)

        routes = self._dispatcher.routes(found, delivery)
        way = self._compared.way(delivery, found)
        appended = self._journal.append(delivery, found, *routes, about=found.about, way=way)
        return appended.addCallbacks(stored, self._not_stored)

    def _not_stored(self, failure: Failure) -> Failure:
        # It may be stored nevertheless, if only the database's reply was lost.
        self._dispatcher.wake()
        return failure

    def accept_late(self, delivery: Delivery, found: Deferred[Found]) -> Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept_late`."""
        return self._pending.accept_late(delivery, found, self.accept)


__all__ = ["JournalIntake"]
