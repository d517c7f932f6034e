"""Working on the queues of one sink: what is handed over, in which order, and what is recorded of it."""

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

#: The wait after the first failure, and the longest one, in seconds.
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
#: For how long what is handed over may stay unrecorded, in seconds; a crash repeats no more than that.
RECORD_WITHIN = 1.0
#: The most entries of a queue that are looked at together.
LOOKED_AT = 1000

log = Logger()


def back_off(attempts: int) -> float:
    """Seconds to wait after the *attempts*-th failure in a row: doubling, capped, with jitter of a half."""
    wait: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(attempts - 1, 30))
    return wait * (0.5 + random() / 2)  # noqa: S311 (jitter)


class _Progress:
    """What came of a queue so far."""

    def __init__(self, work: Work, per: str) -> None:
        self._work = work
        self._per = per
        self.attempts, self.failing = work.attempts, work.failing
        self._done: list[tuple[int, int | None]] = []
        self._dead: list[DeadLetter] = []
        self._made: list[Attempt] = []

    def done(self, seq: int, following: int | None) -> None:
        """An entry is done but for what ends there or later; None: it is done."""
        self._done.append((seq, following))

    def given_up(self, seq: int, index: int, error: str) -> None:
        """What ends with a change is given up."""
        self._dead.append(DeadLetter(seq, index, error))

    def made(self, seq: int, unit: Unit, attempted: Attempted) -> None:
        """An attempt was made."""
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
        """A unit is not wanted any more."""
        work = self._work
        if self._has_failed(entry, unit):
            self.attempts = 0
        log.info("sink {sink}: {key} is superseded by what came later", sink=work.sink, key=unit.given[-1][0])
        self._made.append(
            Attempt(work.sink, work.repository, unit.last, time(), 0.0, "superseded", seq=entry.seq)
        )

    def unwanted(self, entry: Entry, units: Sequence[Unit]) -> None:
        """Some units of an entry, between two that are wanted, are not, by the options as they are now."""
        if not units:
            return
        work, (key, _) = self._work, units[-1].given[-1]
        before = f"and {len(units) - 1} before it" if len(units) > 1 else ""
        log.info("sink {sink}: {key} is not wanted, and not handed over", sink=work.sink, key=key)
        self._made.append(
            Attempt(work.sink, work.repository, key.index, time(), 0.0, "unwanted", before, seq=entry.seq)
        )

    def _has_failed(self, entry: Entry, unit: Unit) -> bool:
        """Whether it is what failed last."""
        return (entry.seq, entry.next) == (self.failing, unit.last)

    def accepted(self) -> None:
        """What is handed over next has not failed so far."""
        self.attempts = 0

    def failed(self, entry: Entry, unit: Unit, *, counts: bool) -> None:
        """An attempt failed; one that does not count is none."""
        if not self._has_failed(entry, unit):
            self.attempts, self.failing = 0, entry.seq
        self.attempts += counts

    def outcome(self, wait: float = 0.0, error: str = "") -> Outcome:
        """All of it, and when to go on."""
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
    """What is not wanted before each unit that is, and after the last one."""
    gaps: list[list[Unit]] = []
    rest = deque(unwanted)
    for unit in units:
        gap: list[Unit] = []
        while rest and rest[0].last < unit.last:
            gap.append(rest.popleft())
        gaps.append(gap)
    return [*gaps, list(rest)]


class QueueWorker:
    """Works on queues of one sink.

    :param stopped: tells whether to begin nothing more.
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
        """Wait no longer for the sink."""
        self._handing.break_off()

    @inlineCallbacks
    def work_on(self, work: Work) -> Any:
        """Hand over what is to be handed over now. Fires when what came of it has been recorded."""
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
        """The entries of a queue: the first ones; for a sink that wants only the latest, all of them."""
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
        """An entry with the changes that are needed to tell what is to be handed over of it."""
        # Where a push ends says nothing of single changes: then all of it is handed over again.
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
        """When to try again, in seconds; None: it is given up."""
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
        """A shutdown may leave it unrecorded; it will be handed over again, under the same key."""
        return until_written(lambda: self._journal.record([outcome]), self._clock, self._stopped)


__all__ = ["FIRST_RETRY", "LONGEST_RETRY", "RECORD_WITHIN", "QueueWorker", "back_off"]
