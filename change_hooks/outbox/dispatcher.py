"""Delivers changes from the journal to the sinks: order, retry, dead letters.

Strategy: there is one queue for each pair of sink and repository, in the journal. The dispatcher works on
many queues at the same time, and on each with one change at a time. A failure delays only that queue; after
enough failures the change becomes a dead letter, and the queue continues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.alarm import Alarm
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.incidents import report
from change_hooks.interfaces import IJournal
from change_hooks.journal import LEASE, Claimed, Outcome, Routes, Work
from change_hooks.observer import NOBODY, Observer
from change_hooks.outbox.handing import Handing
from change_hooks.outbox.routing import RoutedSink, routes
from change_hooks.outbox.sink_options import routed
from change_hooks.outbox.working import LONGEST_RETRY, QueueWorker, back_off
from change_hooks.outbox.written import unless_away

#: How often to look for work that was not announced, in seconds.
LOOK_AGAIN = 30.0

log = Logger()


class Dispatcher:
    """Delivers journalled changes to sinks.

    :param journal: stores the changes.
    :param sinks: by name; each a :class:`~change_hooks.outbox.routing.RoutedSink`, or a sink without options.
    :param clock: the reactor, or a clock in tests.
    :param attempts: failures after which a change becomes a dead letter, for sinks without this option.
    :param observer: notified of each attempt and each dead letter.
    """

    def __init__(
        self,
        journal: IJournal,
        sinks: Mapping[str, Any],
        clock: IReactorTime,
        *,
        attempts: int,
        observer: Observer = NOBODY,
    ) -> None:
        self._journal = journal
        self._routed = {
            name: sink if isinstance(sink, RoutedSink) else routed(sink, {}, attempts)[0]
            for name, sink in sinks.items()
        }
        self._workers = {
            name: QueueWorker(
                Handing(name, sink, clock, journal.delivery, observer),
                journal,
                clock,
                observer,
                lambda: self._stopped,
            )
            for name, sink in self._routed.items()
        }
        self._busy: set[tuple[str, str]] = set()
        #: The ``seq`` of the pending deliveries that this receiver works on; their leases are renewed too.
        self.pending: set[int] = set()
        self._claiming = False
        self._again = False
        self._stopped = True
        self._alarm = Alarm(clock, self.wake)
        self._renewal = Alarm(clock, self._renew)
        self._idle: list[Deferred[None]] = []

    @property
    def sinks(self) -> tuple[str, ...]:
        """The names of the sinks."""
        return tuple(self._routed)

    def routes(self, changes: list[Change], delivery: Delivery) -> Routes:
        """Which sinks want any changes of a delivery with these changes."""
        return routes(self._routed, changes, delivery)

    def start(self) -> None:
        """Start, with what an earlier run left unfinished."""
        self._stopped = False
        self._renewal.set(LEASE / 3)
        self.wake()

    def _renew(self) -> None:
        """Renew the leases on current work. While the journal is unavailable, nobody can take it over."""
        self._renewal.set(LEASE / 3)
        self._journal.renew(self._busy, self.pending).addErrback(
            unless_away, "the leases could not be renewed"
        )

    def stop(self) -> Deferred[None]:
        """Start nothing new. Fires when the current attempts have been recorded."""
        self._stopped = True
        self._alarm.clear()
        if not self._busy and not self._claiming:
            self._renewal.clear()
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    def break_off(self) -> None:
        """Stop waiting for sinks: current attempts have failed."""
        for worker in self._workers.values():
            worker.break_off()

    def wake(self) -> None:
        """Look for work soon."""
        if self._stopped:
            return
        if self._claiming:
            self._again = True
            return
        self._claiming, self._again = True, False
        self._claim(self._rooms()).addCallbacks(self._claimed, self._claim_failed)

    def _rooms(self) -> dict[str, int]:
        """How many more queues of each sink can be processed; a hanging sink does not affect the others."""
        busy = [sink for sink, _ in self._busy]
        rooms = {name: sink.concurrency - busy.count(name) for name, sink in self._routed.items()}
        return {name: room for name, room in rooms.items() if room > 0}

    @inlineCallbacks
    def _claim(self, rooms: Mapping[str, int]) -> Any:
        """Fires with the seconds until the next search for work."""
        wait = LOOK_AGAIN
        for name, room in rooms.items():
            claimed: Claimed = yield self._journal.claim((name,), room)
            if claimed.next_due is not None:
                wait = min(wait, max(claimed.next_due, 0.01))
            if not self._stopped:
                self._begin(claimed)
        return wait

    def _begin(self, claimed: Claimed) -> None:
        for work in claimed.works:
            if (work.sink, work.repository) in self._busy:
                continue  # Its lease expired while the journal could not be written.
            self._busy.add((work.sink, work.repository))
            working = self._workers[work.sink].work_on(work)
            working.addErrback(self._broke, work).addCallback(self._handed_over, work)

    def _claimed(self, wait: float) -> None:
        self._claiming = False
        self._look_in(wait)
        self._look_idle()
        if self._again:
            self.wake()

    def _claim_failed(self, failure: Failure) -> None:
        self._claiming = False
        self._look_in(back_off(3))
        self._look_idle()

    def _broke(self, failure: Failure, work: Work) -> Any:
        report("the dispatcher broke", failure)
        later = Outcome(
            work.sink,
            work.repository,
            [],
            attempts=work.attempts,
            wait=LONGEST_RETRY,
            error="the dispatcher broke",
            failing=work.failing,
        )
        return self._journal.record([later]).addErrback(
            lambda again: report("could not record the failure either", again)
        )

    def _handed_over(self, _: Any, work: Work) -> None:
        self._busy.discard((work.sink, work.repository))
        self._look_idle()
        self.wake()

    def _look_idle(self) -> None:
        if self._stopped and not self._busy and not self._claiming:
            self._renewal.clear()
            idle, self._idle = self._idle, []
            for deferred in idle:
                deferred.callback(None)

    def _look_in(self, wait: float) -> None:
        if not self._stopped:
            self._alarm.set(wait)


__all__ = ["LOOK_AGAIN", "Dispatcher"]
