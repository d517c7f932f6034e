"""Deletes old deliveries that every sink has accepted."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from change_hooks.alarm import Alarm
from change_hooks.interfaces import IJournal
from change_hooks.outbox.written import unless_away

#: How often to look, in seconds.
EVERY = 3600.0
#: The pause between two parts of the work, so that deliveries come first, in seconds.
PAUSE = 0.05
DAY = 86400.0

log = Logger()


class Retention:
    """Prunes a journal, now and every hour.

    :param clock: the reactor, or a clock in tests.
    :param keep: how long a delivery is kept after it was received, in days; None: forever.
    :param keep_trace: how long the trace of a request without changes is kept, in days.
    """

    def __init__(self, journal: IJournal, clock: IReactorTime, keep: float | None, keep_trace: float) -> None:
        self.keep = keep
        self.keep_trace = keep_trace
        self._journal = journal
        self._clock = clock
        self._alarm = Alarm(clock, self._run)
        self._stopped = True

    def start(self) -> None:
        """Start."""
        self._stopped = False
        self._run()

    def stop(self) -> None:
        """Stop; a deletion in progress is completed."""
        self._stopped = True
        self._alarm.clear()

    def _run(self) -> None:
        self._alarm.set(EVERY)
        self._prune().addErrback(unless_away, "old deliveries could not be deleted")

    @inlineCallbacks
    def _prune(self) -> Any:
        yield self._prune_all(self._journal.prune_traces, self.keep_trace)
        if self.keep is not None:
            pruned = yield self._prune_all(self._journal.prune, self.keep)
            if pruned:
                log.info("pruned {pruned} deliveries", pruned=pruned)

    @inlineCallbacks
    def _prune_all(self, prune: Callable[[float], Deferred[int]], keep: float) -> Any:
        """Fires with the number of rows deleted."""
        pruned = 0
        while not self._stopped:
            some = yield prune(time() - keep * DAY)
            if not some:
                break
            pruned += some
            yield deferLater(self._clock, PAUSE)
        return pruned


__all__ = ["DAY", "Retention"]
