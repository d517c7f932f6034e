"""From the journal to the sinks: order, retry, dead letters.

Strategy: one queue for each pair of sink and repository (the journal keeps them). The dispatcher works
on many queues at once and on each with one change at a time. A failure puts the queue, and only it,
off for a while; after enough failures the change becomes a dead letter and the queue goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import random
from time import time
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.alarm import Alarm
from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IJournal
from change_hooks.journal import LEASE, Attempt, Claimed, DeadLetter, Outcome, Routes, Work
from change_hooks.observer import NOBODY, Observer
from change_hooks.outbox.handing import Attempted, Given, Handing
from change_hooks.outbox.routing import RoutedSink, routes
from change_hooks.outbox.sink_options import routed
from change_hooks.outbox.written import until_written

#: The wait after the first failure, and the longest one, in seconds.
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
#: For how long what is handed over may stay unrecorded, in seconds; a crash repeats no more than that.
RECORD_WITHIN = 1.0
#: How often to look for work that nobody announced, in seconds.
LOOK_AGAIN = 30.0

log = Logger()


def back_off(attempts: int) -> float:
    """Seconds to wait after the *attempts*-th failure in a row: doubling, capped, with jitter of a half."""
    wait: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(attempts - 1, 30))
    return wait * (0.5 + random() / 2)  # noqa: S311 (jitter)


class Dispatcher:
    """Hands journalled changes to sinks.

    :param journal: where they stand.
    :param sinks: by name; each a :class:`~change_hooks.outbox.routing.RoutedSink`, or a sink without options.
    :param clock: all waiting goes through it.
    :param attempts: failures after which a change is given up, for sinks that say nothing of it.
    :param observer: told of each attempt and each dead letter.
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
        self._handings = {
            name: Handing(name, sink, clock, journal.delivery, observer)
            for name, sink in self._routed.items()
        }
        self._clock = clock
        self._observer = observer
        self._busy: set[tuple[str, str]] = set()
        #: The places of the pending deliveries that this receiver works on; their leases are renewed too.
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

    def routes(self, changes: list[Change], dialect: str) -> Routes:
        """Which sinks want something of a delivery with these changes."""
        return routes(self._routed, changes, dialect)

    def start(self) -> None:
        """Begin, with what an earlier run left over."""
        self._stopped = False
        self._renewal.set(LEASE / 3)
        self.wake()

    def _renew(self) -> None:
        """Keep what is being worked on from the other receivers; a journal that is down keeps it itself."""
        self._renewal.set(LEASE / 3)
        self._journal.renew(self._busy, self.pending).addErrback(
            lambda failure: failure.trap(Unavailable) and None
        )

    def stop(self) -> Deferred[None]:
        """Begin nothing new. Fires when what is being handed over has been recorded."""
        self._stopped = True
        self._alarm.clear()
        if not self._busy and not self._claiming:
            self._renewal.clear()
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    def wake(self) -> None:
        """There may be work."""
        if self._stopped or not self._routed:
            return
        if self._claiming:
            self._again = True
            return
        rooms = self._rooms()
        if not rooms:
            return
        self._claiming, self._again = True, False
        self._claim(rooms).addCallbacks(self._claimed, self._claim_failed)

    def _rooms(self) -> dict[str, int]:
        """For how many queues of each sink there is room: one that hangs takes no places from the others."""
        busy = [sink for sink, _ in self._busy]
        rooms = {name: sink.concurrency - busy.count(name) for name, sink in self._routed.items()}
        return {name: room for name, room in rooms.items() if room > 0}

    @inlineCallbacks
    def _claim(self, rooms: Mapping[str, int]) -> Any:
        """Fires with the seconds until the next look."""
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
                continue  # Its lease has run out, while the journal could not be written.
            self._busy.add((work.sink, work.repository))
            self._hand_over(work).addErrback(self._broke, work).addCallback(self._handed_over, work)

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
        log.failure("the dispatcher broke", failure)
        later = Outcome(
            work.sink, work.repository, [], [], work.attempts, LONGEST_RETRY, "the dispatcher broke"
        )
        return self._journal.record([later]).addErrback(
            lambda again: log.failure("could not record the failure either", again)
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

    @inlineCallbacks
    def _hand_over(self, work: Work) -> Any:
        handing = self._handings[work.sink]
        done: list[tuple[int, int | None]] = []
        dead: list[DeadLetter] = []
        made: list[Attempt] = []
        attempts = work.attempts
        record_at = self._clock.seconds() + RECORD_WITHIN
        queued = [(entry, handing.units(entry.changes)) for entry in work.entries]
        groups = [group for _, units in queued for group, _ in units]
        for entry, units in queued:
            for index, (group, unit) in enumerate(units):
                groups.pop(0)
                if group and group in groups:
                    made.append(self._superseded(work, entry.seq, unit))
                    continue
                attempted = yield handing.hand_over(entry.seq, unit)
                made.append(_attempt(work, entry.seq, unit, attempted))
                if attempted.accepted:
                    attempts = 0
                else:
                    attempts += 1
                    if not attempted.refused and attempts < handing.routed.attempts:
                        wait = max(back_off(attempts), attempted.asked)
                        self._say_retrying(work.sink, unit, attempts, attempted.error, wait)
                        done.append((entry.seq, unit[0][0].index))
                        error = attempted.error
                        yield self._record(
                            Outcome(work.sink, work.repository, done, dead, attempts, wait, error, made)
                        )
                        return
                    self._say_given_up(work.sink, unit, attempted.error)
                    self._observer.dead_letter(work.sink, attempted.error)
                    dead.append(DeadLetter(entry.seq, unit[-1][0].index, attempted.error))
                    attempts = 0
                if index + 1 < len(units) and (self._stopped or self._clock.seconds() >= record_at):
                    done.append((entry.seq, units[index + 1][1][0][0].index))
                    yield self._record(Outcome(work.sink, work.repository, done, dead, made=made))
                    return
            done.append((entry.seq, entry.rest))
            if self._stopped or self._clock.seconds() >= record_at:
                break
        yield self._record(Outcome(work.sink, work.repository, done, dead, made=made))

    @staticmethod
    def _superseded(work: Work, seq: int, unit: Sequence[Given]) -> Attempt:
        key = unit[-1][0]
        log.info("sink {sink}: {key} is superseded by what came later", sink=work.sink, key=key)
        return Attempt(work.sink, work.repository, key.index, time(), 0.0, "superseded", seq=seq)

    @staticmethod
    def _say_retrying(sink: str, unit: Any, attempts: int, error: str, wait: float) -> None:
        log.warn(
            "delivery of {key} to sink {sink} failed (attempt {attempts}): {error}; retrying in {wait:.0f} s",
            sink=sink,
            key=unit[-1][0],
            attempts=attempts,
            error=error,
            wait=wait,
        )

    @staticmethod
    def _say_given_up(sink: str, unit: Any, error: str) -> None:
        key = unit[-1][0]
        log.error(
            "gave up delivering {key} to sink {sink} (dead letter): {error}", sink=sink, key=key, error=error
        )

    def _record(self, outcome: Outcome) -> Deferred[bool]:
        """What a shutdown leaves unrecorded will be handed over again, under the same key."""
        return until_written(lambda: self._journal.record([outcome]), self._clock, lambda: self._stopped)


def _attempt(work: Work, seq: int, unit: Sequence[Given], attempted: Attempted) -> Attempt:
    return Attempt(
        work.sink,
        work.repository,
        unit[-1][0].index,
        attempted.at,
        attempted.seconds,
        attempted.outcome,
        attempted.error,
        attempted.output,
        seq,
    )


__all__ = ["Dispatcher", "back_off"]
