"""Deliveries that are answered before their changes are known.

Strategy: a sender waits only for a limited time. If a handler needs longer (it looks something up at the
forge), the verified delivery is stored as *pending* and answered, and the handler continues. When it has
finished, the changes are stored. If this process dies first, the next one, or another receiver with the same
journal, starts again with the stored delivery, which gives the handler exactly what the live one did.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.alarm import Alarm
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import DeliveryError, Unavailable
from change_hooks.core.found import Found
from change_hooks.incidents import report
from change_hooks.intake.compared import Compared
from change_hooks.intake.receipt import Outcome, Receipt, ignored
from change_hooks.interfaces import IJournal
from change_hooks.journal import Appended, Pending
from change_hooks.observer import NOBODY, Observer
from change_hooks.outbox.dispatcher import LOOK_AGAIN, Dispatcher
from change_hooks.outbox.working import back_off
from change_hooks.outbox.written import until_written

#: How many deliveries from an earlier run are processed at the same time.
CONCURRENCY = 4
#: After how many temporary failures of the handler a delivery has failed.
ATTEMPTS = 20

log = Logger()

Process = Callable[[Delivery], "Deferred[Found]"]
Accept = Callable[[Delivery, Found], "Deferred[Receipt]"]


class _InTime:
    """One response that waits for a handler, but not for too long.

    Holds no reference cycle when it is done, so large data is freed at once.
    """

    def __init__(  # noqa: PLR0917 (called in only one place)
        self,
        journal: IJournal,
        clock: IReactorTime,
        within: float,
        delivery: Delivery,
        accept: Accept,
        postponed: Callable[[int], None],
        found_later: Callable[[int | None, Delivery, Found | Failure], None],
    ) -> None:
        self._journal = journal
        self._delivery = delivery
        self._accept = accept
        self._postponed = postponed
        self._found_later = found_later
        self._answer: Deferred[Receipt] = Deferred()
        self._stored: Deferred[int | None] | None = None
        self._late: IDelayedCall = clock.callLater(max(within, 0.0), self._postpone)

    def wait_for(self, found: Deferred[Found]) -> Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept_late`."""
        answer = self._answer
        found.addBoth(self._done)
        return answer

    def _postpone(self) -> None:
        self._stored = self._journal.postpone(self._delivery).addCallbacks(self._answer_early, self._refuse)

    def _answer_early(self, appended: Appended) -> int | None:
        outcome: Outcome = "duplicate" if appended.duplicate else "postponed"
        self._answer.callback(Receipt(outcome, id=appended.id))
        if appended.duplicate:
            return None
        self._postponed(appended.seq)
        return appended.seq

    def _refuse(self, failure: Failure) -> None:
        self._answer.errback(failure)

    def _done(self, result: Found | Failure) -> None:
        if self._stored is not None:
            self._stored.addCallback(self._found_later, self._delivery, result)
            return
        self._late.cancel()
        if isinstance(result, Failure):
            self._answer.errback(result)
        elif not result:
            self._answer.callback(ignored(result))
        else:
            self._accept(self._delivery, result).chainDeferred(self._answer)


class PendingDeliveries:
    """Finishes deliveries in the background.

    :param journal: stores the deliveries.
    :param dispatcher: notified of new entries.
    :param clock: the reactor, or a clock in tests.
    :param within: how long a handler may take before the sender is answered without its result, in seconds.
    :param process: returns the changes of a stored delivery.
    :param observer: notified of stored changes.
    """

    def __init__(
        self,
        journal: IJournal,
        dispatcher: Dispatcher,
        clock: IReactorTime,
        within: float,
        process: Process,
        *,
        observer: Observer = NOBODY,
        compared: Compared | None = None,
    ) -> None:
        self._observer = observer
        self._compared = compared or Compared()
        self.within = within
        self._journal = journal
        self._dispatcher = dispatcher
        self._clock = clock
        self._process = process
        self._stopped = True
        self._working = 0
        self._looking = False
        self._alarm = Alarm(clock, self._look)

    # Before the response.

    def accept_late(self, delivery: Delivery, found: Deferred[Found], accept: Accept) -> Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept_late`.

        :param accept: stores the changes that are found in time.
        """
        waiting = _InTime(
            self._journal, self._clock, self.within, delivery, accept, self._postponed, self._found_later
        )
        return waiting.wait_for(found)

    def _postponed(self, seq: int) -> None:
        self._dispatcher.pending.add(seq)

    def _forget(self, result: Any, seq: int) -> Any:
        self._dispatcher.pending.discard(seq)
        return result

    def _found_later(self, seq: int | None, delivery: Delivery, result: Found | Failure) -> None:
        """The handler has finished late; *seq* is None if nothing was stored."""
        if seq is not None:
            recorded = self._record(Pending(seq, 0, delivery), result)
            recorded.addBoth(self._forget, seq).addErrback(_broken)

    # After the response.

    def start(self) -> None:
        """Start with the deliveries that an earlier run left unfinished."""
        self._stopped = False
        self._look()

    def stop(self) -> None:
        """Start nothing new; the next run will finish what is unfinished."""
        self._stopped = True
        self._alarm.clear()

    def _look(self) -> None:
        room = CONCURRENCY - self._working
        if self._stopped or self._looking or room <= 0:
            return
        self._alarm.set(LOOK_AGAIN)
        self._looking = True
        self._journal.pending(room).addCallbacks(self._begin, self._cannot_look)

    def _cannot_look(self, failure: Failure) -> None:
        self._looking = False
        if not self._stopped:
            self._alarm.set(back_off(3))

    def _begin(self, found: list[Pending]) -> None:
        self._looking = False
        for pending in found:
            if pending.seq in self._dispatcher.pending:
                continue  # Its lease expired while the journal could not be written.
            self._dispatcher.pending.add(pending.seq)
            self._working += 1
            work: Deferred[Any] = self._process(pending.delivery)
            work.addBoth(partial(self._record, pending))
            work.addBoth(self._forget, pending.seq)
            work.addErrback(_broken)
            work.addCallback(self._worked)

    def _worked(self, _: Any) -> None:
        self._working -= 1
        self._look()

    def _record(self, pending: Pending, result: Any) -> Deferred[None]:
        seq, delivery = pending.seq, pending.delivery
        if not isinstance(result, Failure):
            found: Found = result
            log.info(
                "{dialect} {delivery}: finished; changes: {changes}",
                dialect=delivery.dialect,
                delivery=delivery.id,
                changes=len(found),
            )
            routes = self._dispatcher.routes(found, delivery)
            return self._written(
                lambda: self._journal.finish(
                    seq,
                    found,
                    *routes,
                    about=found.about,
                    reason=found.reason,
                    way=self._compared.way(delivery, found),
                    received=delivery.received,
                ).addCallback(self._finished, delivery, found)
            )
        if self._stopped:
            return succeed(None)
        error = result.value
        if isinstance(error, Unavailable) and pending.attempts + 1 < ATTEMPTS:
            wait = back_off(pending.attempts + 1)
            refusal = error.message
            return self._written(lambda: self._journal.retry_later(seq, wait, refusal))
        if isinstance(error, DeliveryError):
            message = error.message
        else:
            incident = report(f"the handler of {delivery.dialect} broke", result, delivery=delivery.id)
            message = f"the handler broke (incident {incident})"
        log.error(
            "{dialect} {delivery} failed after it was accepted: {message}",
            dialect=delivery.dialect,
            delivery=delivery.id,
            message=message,
        )
        return self._written(lambda: self._journal.fail(seq, message))

    def _finished(self, finished: bool, delivery: Delivery, found: Found) -> None:
        if finished and found:
            self._observer.changes_accepted(delivery.dialect, len(found), "")

    def _written(self, write: Callable[[], Deferred[Any]]) -> Deferred[None]:
        return until_written(write, self._clock, lambda: self._stopped).addCallback(self._wake)

    def _wake(self, written: bool) -> None:
        if written:
            self._dispatcher.wake()


def _broken(failure: Failure) -> None:
    report("a pending delivery could not be recorded", failure)


__all__ = ["PendingDeliveries"]
