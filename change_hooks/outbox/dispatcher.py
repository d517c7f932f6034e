"""From the journal to the sinks: order, retry, dead letters.

Strategy: one queue for each pair of sink and repository (the journal keeps them). The dispatcher works
on many queues at once and on each with one change at a time. A failure puts the queue, and only it,
off for a while; after enough failures the change becomes a dead letter and the queue goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import random
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.flow import as_deferred
from change_hooks.interfaces import IJournal
from change_hooks.journal import LEASE, Claimed, DeadLetter, Outcome, Work
from change_hooks.sinks.base import sink_call

#: How many queues are worked on at once.
CONCURRENCY = 32
#: The wait after the first failure, and the longest one, in seconds.
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
#: The longest wait that a sink may ask for, in seconds.
LONGEST_WAIT = 3600.0
#: How long a sink may take for one change, in seconds.
SINK_TIMEOUT = 60.0
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
    :param sinks: by name; each an :class:`~change_hooks.interfaces.IChangeSink` or a callable.
    :param clock: all waiting goes through it.
    :param attempts: failures after which a change is given up.
    """

    def __init__(
        self,
        journal: IJournal,
        sinks: Mapping[str, Any],
        clock: IReactorTime,
        *,
        attempts: int,
    ) -> None:
        self._journal = journal
        self._calls = {name: sink_call(sink) for name, sink in sinks.items()}
        self._timeouts = {name: getattr(sink, "time_limit", SINK_TIMEOUT) for name, sink in sinks.items()}
        self._clock = clock
        self._attempts = attempts
        self._busy: set[tuple[str, str]] = set()
        self._claiming = False
        self._again = False
        self._stopped = True
        self._alarm: IDelayedCall | None = None
        self._renewal: IDelayedCall | None = None
        self._idle: list[Deferred[None]] = []

    @property
    def sinks(self) -> tuple[str, ...]:
        """The names of the sinks."""
        return tuple(self._calls)

    def start(self) -> None:
        """Begin, with what an earlier run left over."""
        self._stopped = False
        self._renewal = self._clock.callLater(LEASE / 3, self._renew)
        self.wake()

    def _renew(self) -> None:
        """Keep what is being worked on from the other receivers; a journal that is down keeps it itself."""
        self._renewal = self._clock.callLater(LEASE / 3, self._renew)
        self._journal.renew().addErrback(lambda failure: failure.trap(Unavailable) and None)

    def stop(self) -> Deferred[None]:
        """Begin nothing new. Fires when what is being handed over has been recorded."""
        self._stopped = True
        self._set_alarm(None)
        if not self._busy and not self._claiming:
            self._end_renewal()
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    def wake(self) -> None:
        """There may be work."""
        if self._stopped or not self._calls:
            return
        if self._claiming:
            self._again = True
            return
        room = CONCURRENCY - len(self._busy)
        if room <= 0:
            return
        self._claiming, self._again = True, False
        claimed = self._journal.claim(self.sinks, self._clock.seconds(), room)
        claimed.addCallbacks(self._begin, self._claim_failed)

    def _begin(self, claimed: Claimed) -> None:
        self._claiming = False
        now = self._clock.seconds()
        wait = LOOK_AGAIN
        if claimed.next_due is not None:
            wait = min(wait, max(claimed.next_due - now, 0.01))
        self._set_alarm(wait)
        if not self._stopped:
            for work in claimed.works:
                self._busy.add((work.sink, work.repository))
                self._hand_over(work).addErrback(self._broke, work).addCallback(self._handed_over, work)
        self._look_idle()
        if self._again:
            self.wake()

    def _claim_failed(self, failure: Failure) -> None:
        self._claiming = False
        self._set_alarm(back_off(3))
        self._look_idle()

    def _broke(self, failure: Failure, work: Work) -> Any:
        log.failure("the dispatcher broke", failure)
        due = self._clock.seconds() + LONGEST_RETRY
        put_off = Outcome(work.sink, work.repository, [], [], work.attempts, due, "the dispatcher broke")
        return self._journal.settle([put_off]).addErrback(lambda again: log.failure("and again", again))

    def _handed_over(self, _: Any, work: Work) -> None:
        self._busy.discard((work.sink, work.repository))
        self._look_idle()
        self.wake()

    def _look_idle(self) -> None:
        if self._stopped and not self._busy and not self._claiming:
            self._end_renewal()
            idle, self._idle = self._idle, []
            for deferred in idle:
                deferred.callback(None)

    def _end_renewal(self) -> None:
        renewal, self._renewal = self._renewal, None
        if renewal is not None and renewal.active():
            renewal.cancel()

    def _set_alarm(self, wait: float | None) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None if wait is None or self._stopped else self._clock.callLater(wait, self.wake)

    @inlineCallbacks
    def _hand_over(self, work: Work) -> Any:
        done: list[tuple[int, int | None]] = []
        dead: list[DeadLetter] = []
        attempts = work.attempts
        outcome: Outcome | None = None
        for duty in work.duties:
            for key, change in duty.changes:
                failed = yield self._try(work.sink, change, key)
                if failed is None:
                    attempts = 0
                    continue
                attempts += 1
                error, asked = failed
                if attempts < self._attempts:
                    wait = max(back_off(attempts), asked)
                    due = self._clock.seconds() + wait
                    log.warn(
                        "sink {sink} did not take {key} (attempt {attempts}): {error}; again in {wait:.0f} s",
                        sink=work.sink,
                        key=key,
                        attempts=attempts,
                        error=error,
                        wait=wait,
                    )
                    done.append((duty.seq, key.index))
                    outcome = Outcome(work.sink, work.repository, done, dead, attempts, due, error)
                    break
                log.error("sink {sink} gave up {key}: {error}", sink=work.sink, key=key, error=error)
                dead.append(DeadLetter(duty.seq, key.index, error))
                attempts = 0
            if outcome is not None:
                break
            done.append((duty.seq, duty.rest))
        yield self._settle(outcome or Outcome(work.sink, work.repository, done, dead))

    @inlineCallbacks
    def _try(self, sink: str, change: Any, key: Any) -> Any:
        """None when the sink has taken it; else the error, fit to be stored and shown, and how many
        seconds the sink asks to be left alone.
        """
        try:
            result = self._calls[sink](change, key)
            if result is not None:
                taken, timeout = as_deferred(result), self._timeouts[sink]
                yield taken if timeout is None else taken.addTimeout(timeout, self._clock)
        except Exception as error:
            asked = min(getattr(error, "retry_after", 0.0), LONGEST_WAIT)
            return f"{type(error).__name__}: {str(error)[:500]!a}", asked
        return None

    @inlineCallbacks
    def _settle(self, outcome: Outcome) -> Any:
        """Record it, however long the journal takes to recover; a shutdown leaves it unrecorded, and
        it will be handed over again, under the same key.
        """
        while True:
            try:
                yield self._journal.settle([outcome])
                return
            except Unavailable:
                if self._stopped:
                    return
                yield deferLater(self._clock, FIRST_RETRY)


__all__ = ["Dispatcher", "back_off"]
