"""Works through the queues of one sink: what is delivered, in which order, and what is recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import random
from time import time
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IJournal
from change_hooks.journal import Attempt, ChangeKey, DeadLetter, Entry, Outcome, Work
from change_hooks.observer import Observer
from change_hooks.outbox.coalescing import Coalesced, Moments, Ready, Unit
from change_hooks.outbox.handing import LONGEST_WAIT, Attempted, Handing
from change_hooks.outbox.written import until_written

#: The pause after the first failure, and the longest one, in seconds.
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
#: How long deliveries may stay unrecorded, in seconds; a crash repeats no more than these.
RECORD_WITHIN = 1.0
#: How many entries of a queue are read at a time.
LOOKED_AT = 1000

log = Logger()


def back_off(attempts: int) -> float:
    """Seconds to wait after the *attempts*-th failure in a row: doubling, capped, with 50 % jitter."""
    wait: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(attempts - 1, 30))
    return wait * (0.5 + random() / 2)  # noqa: S311 (jitter)


class _Progress:
    """The outcome of a queue so far."""

    def __init__(self, work: Work, per: str) -> None:
        self._work = work
        self._per = per
        self.attempts, self.failing = work.attempts, work.failing
        self._done: list[tuple[int, int | None]] = []
        self._dead: list[DeadLetter] = []
        self._made: list[Attempt] = []

    def done(self, seq: int, following: int | None) -> None:
        """Record that an entry is done, except units that end at *following* or later; None: all of it."""
        self._done.append((seq, following))

    def given_up(self, seq: int, index: int, error: str) -> None:
        """Record that the unit that ends with a change is a dead letter."""
        self._dead.append(DeadLetter(seq, index, error))

    def made(self, seq: int, unit: Unit, attempted: Attempted) -> None:
        """Record an attempt."""
        self._made.append(
            Attempt(
                self._work.sink,
                self._work.repository,
                unit.last,
                attempted.at,
                attempted.seconds,
                "unwanted" if attempted.unwanted else attempted.outcome,
                attempted.error,
                attempted.output,
                seq,
            )
        )

    def superseded(self, entry: Entry, unit: Unit) -> None:
        """Record that a unit is no longer wanted, because a later one replaces it."""
        work = self._work
        if self._has_failed(entry, unit):
            self.attempts = 0
        log.info("sink {sink}: {key} is superseded by a later change", sink=work.sink, key=unit.given[-1][0])
        self._made.append(
            Attempt(work.sink, work.repository, unit.last, time(), 0.0, "superseded", seq=entry.seq)
        )

    def unwanted(self, entry: Entry, units: Sequence[Unit]) -> None:
        """Record that some units of an entry, between wanted ones, are not wanted by the present options."""
        if not units:
            return
        work, (key, _) = self._work, units[-1].given[-1]
        before = f"and {len(units) - 1} before it" if len(units) > 1 else ""
        log.info("sink {sink}: {key} is not wanted, so it is not delivered", sink=work.sink, key=key)
        self._made.append(
            Attempt(work.sink, work.repository, key.index, time(), 0.0, "unwanted", before, seq=entry.seq)
        )

    def _has_failed(self, entry: Entry, unit: Unit) -> bool:
        """Whether a unit is the one that failed last."""
        return (entry.seq, entry.next) == (self.failing, unit.last)

    def accepted(self) -> None:
        """Reset the count of failures for the next unit."""
        self.attempts = 0

    def failed(self, entry: Entry, unit: Unit, *, counts: bool) -> None:
        """Record that an attempt failed; *counts*: it counts as one of the sink's ``attempts``."""
        if not self._has_failed(entry, unit):
            self.attempts, self.failing = 0, entry.seq
        self.attempts += counts

    def outcome(self, wait: float = 0.0, error: str = "") -> Outcome:
        """The whole outcome, and when to continue."""
        return Outcome(
            self._work.sink,
            self._work.repository,
            self._done,
            self._dead,
            self.attempts,
            wait,
            error,
            self._made,
            self.failing if self.attempts else 0,
            self._per,
        )


def _gaps(units: Sequence[Unit], unwanted: Sequence[Unit]) -> list[list[Unit]]:
    """The unwanted units before each wanted one, and after the last one."""
    gaps: list[list[Unit]] = []
    rest = deque(unwanted)
    for unit in units:
        gap: list[Unit] = []
        while rest and rest[0].last < unit.last:
            gap.append(rest.popleft())
        gaps.append(gap)
    return [*gaps, list(rest)]


class QueueWorker:
    """Works through queues of one sink.

    :param stopped: returns whether to start nothing more.
    """

    def __init__(
        self,
        handing: Handing,
        journal: IJournal,
        clock: IReactorTime,
        observer: Observer,
        stopped: Callable[[], bool],
    ) -> None:
        self._handing = handing
        self._routed = handing.routed
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._stopped = stopped
        self._moments: dict[str, Moments] = {}

    def break_off(self) -> None:
        """Stop waiting for the sink."""
        self._handing.break_off()

    @inlineCallbacks
    def work_on(self, work: Work) -> Any:
        """Deliver what is due now. Fires when the outcome has been recorded."""
        progress = _Progress(work, self._routed.per)
        try:
            coalesced = yield self._gathered(work, progress)
        except Unavailable as error:
            yield self._record(progress.outcome(FIRST_RETRY, str(error)))
            return
        outcome = yield self._worked(work, progress, coalesced)
        yield self._record(outcome)

    @inlineCallbacks
    def _gathered(self, work: Work, progress: _Progress) -> Any:
        """The first entries of a queue; for a sink that wants only the latest, all entries."""
        coalesced = Coalesced()
        entries = list(work.entries)
        while entries:
            for entry in entries:
                found = yield self._found(work, entry)
                if found.damage is not None:
                    self._give_up_damaged(work, progress, found.seq, *found.damage)
                    continue
                coalesced.add(self._handing.queued(found))
            last = entries[-1].seq
            enough = coalesced.superseded >= LOOKED_AT or coalesced.wanted >= LOOKED_AT
            if self._routed.latest_per is None or enough:
                break
            entries = yield self._journal.more(work.sink, work.repository, last + 1, 0)
        return coalesced

    @inlineCallbacks
    def _found(self, work: Work, entry: Entry) -> Any:
        """An entry with the changes that are needed to decide what to deliver."""
        # The end of a push says nothing about single changes: then the whole push is delivered again.
        done = entry.next if entry.per == self._routed.per else 0
        is_whole = entry.rest is None and not entry.next
        if is_whole or (done == entry.next and not self._routed.whole):
            return entry
        changes, rest = ([], 0) if entry.next else (list(entry.changes), entry.rest)
        while rest is not None:
            more: list[Entry] = yield self._journal.more(work.sink, work.repository, entry.seq, rest)
            rest = None
            if more and more[0].seq == entry.seq:
                if more[0].damage is not None:
                    return more[0]
                changes += more[0].changes
                rest = more[0].rest
        return msgspec.structs.replace(entry, changes=changes, rest=None, next=done)

    @inlineCallbacks
    def _worked(self, work: Work, progress: _Progress, coalesced: Coalesced) -> Any:
        """Fires with the outcome."""
        ready = self._ready(work.repository, coalesced)
        for entry, units, unwanted in ready.superseded:
            for unit in units:
                progress.superseded(entry, unit)
            progress.unwanted(entry, unwanted)
            progress.done(entry.seq, entry.rest)
        record_at = self._clock.seconds() + RECORD_WITHIN
        for entry, units, unwanted in ready.now:
            gaps = _gaps(units, unwanted)
            for index, unit in enumerate(units):
                progress.unwanted(entry, gaps[index])
                if not coalesced.wants(entry, unit):
                    progress.superseded(entry, unit)
                    continue
                try:
                    attempted = yield self._handing.hand_over(entry.seq, unit.given)
                except Unavailable as error:
                    progress.done(entry.seq, unit.last)
                    return progress.outcome(FIRST_RETRY, str(error))
                progress.made(entry.seq, unit, attempted)
                if not attempted.accepted:
                    progress.failed(entry, unit, counts=not attempted.busy)
                    wait = self._failed_wait(work, progress, unit, attempted)
                    if wait is not None:
                        progress.done(entry.seq, unit.last)
                        return progress.outcome(wait, attempted.error)
                    progress.given_up(entry.seq, unit.last, attempted.error)
                progress.accepted()
                if index + 1 < len(units) and self._is_time(record_at):
                    progress.unwanted(entry, gaps[index + 1])
                    progress.done(entry.seq, units[index + 1].last)
                    return progress.outcome()
            progress.unwanted(entry, gaps[-1])
            progress.done(entry.seq, entry.rest)
            if self._is_time(record_at):
                return progress.outcome()
        return progress.outcome(min(ready.wait or 0.0, LONGEST_WAIT))

    def _is_time(self, record_at: float) -> bool:
        return self._stopped() or self._clock.seconds() >= record_at

    def _ready(self, repository: str, coalesced: Coalesced) -> Ready:
        moments = self._moments.pop(repository, None) or Moments()
        clock, calendar = self._clock.seconds(), time()
        ready = coalesced.ready(self._routed.quiet, lambda entry: moments.age(entry, clock, calendar))
        moments.keep(ready.waiting)
        if moments:
            self._moments[repository] = moments
        return ready

    def _failed_wait(self, work: Work, progress: _Progress, unit: Unit, attempted: Attempted) -> float | None:
        """Seconds until the next attempt; None: the unit is a dead letter."""
        key = unit.given[-1][0]
        if attempted.busy:
            wait = max(attempted.asked, FIRST_RETRY)
            log.warn(
                "sink {sink} cannot accept {key} now: {error}; retrying in {wait:.0f} s",
                sink=work.sink,
                key=key,
                error=attempted.error,
                wait=wait,
            )
            return wait
        if not attempted.refused and progress.attempts < self._routed.attempts:
            wait = max(back_off(progress.attempts), attempted.asked)
            log.warn(
                "delivery of {key} to sink {sink} failed (attempt {attempts}): {error};"
                " retrying in {wait:.0f} s",
                sink=work.sink,
                key=key,
                attempts=progress.attempts,
                error=attempted.error,
                wait=wait,
            )
            return wait
        self._say_given_up(work, key, attempted.error)
        return None

    def _give_up_damaged(self, work: Work, progress: _Progress, seq: int, key: ChangeKey, error: str) -> None:
        self._say_given_up(work, key, error)
        progress.given_up(seq, key.index, error)
        progress.done(seq, None)

    def _say_given_up(self, work: Work, key: ChangeKey, error: str) -> None:
        log.error(
            "gave up delivering {key} to sink {sink} (dead letter): {error}",
            sink=work.sink,
            key=key,
            error=error,
        )
        self._observer.dead_letter(work.sink, error)

    def _record(self, outcome: Outcome) -> Deferred[bool]:
        """A shutdown may leave it unrecorded; the changes are then delivered again, with the same key."""
        return until_written(lambda: self._journal.record([outcome]), self._clock, self._stopped)


__all__ = ["FIRST_RETRY", "LONGEST_RETRY", "RECORD_WITHIN", "QueueWorker", "back_off"]
