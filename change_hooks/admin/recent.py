"""Data that is read once for several pages."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from change_hooks.journal import Summary
from change_hooks.journal.reader import Reader

#: How long a summary is reused, in seconds; and as a multiple of the time that it took to make.
FRESH = 2.0
TIMES = 10.0


class Recent:
    """Keeps the last summary of a journal, which takes long if many deliveries wait. For one thread.

    :param clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._summary: Summary | None = None
        self._until = 0.0

    def summary(self, reader: Reader) -> Summary:
        """The summary of the journal, at most a moment old."""
        began = self._clock()
        if self._summary is None or began >= self._until:
            self._summary = reader.summary()
            now = self._clock()
            self._until = now + max(FRESH, TIMES * (now - began))
        return self._summary


__all__ = ["FRESH", "TIMES", "Recent"]
