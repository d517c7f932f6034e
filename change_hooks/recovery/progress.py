"""How far a log has been read: what the journal keeps of it.

Strategy: a watermark says up to where all is settled but for what is *open*: deliveries that could not be
had, or that the forge was asked to send again. They are tried again by themselves, with longer and longer
pauses, so they hold up nothing else. Near the watermark the log is read twice, since entries appear in it not
quite in order; what was settled there and has left no row in the journal is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import msgspec

from change_hooks.forges.logged import Logged

#: After how long an open delivery is tried again, in seconds. After the last time it is given up.
PAUSES = (300.0, 900.0, 3600.0, 6 * 3600.0)
#: Which of them is the longest while it is the forge that fails: it may be well again soon.
FAILING = 1
#: How far before the watermark the log is read again, in seconds; and how many settled entries are remembered
#: at most of a log that is not read by time.
OVERLAP, KEPT = 900.0, 500
#: Of a log that is not read by time: among how many of the newest entries one may appear late.
NEAR = 8


class Open(msgspec.Struct, frozen=True):
    """A delivery that is missing still.

    :param tries: how often it could not be had.
    :param due: when to try again, in seconds since the epoch.
    :param asked: the forge was asked to send it.
    """

    entry: Logged
    tries: int
    due: float
    asked: bool = False


class Progress(msgspec.Struct, omit_defaults=True):
    """How far a log has been read.

    :param mark: seconds since the epoch, or an order; None: it has never been read.
    :param looked: when it was read last, in seconds since the epoch.
    :param settled: the ids of deliveries near the watermark that need nothing, and where they stand.
    :param open: by their ids.
    :param near: of a log that is not read by time, where its newest entries stand.
    :param limited: the one at which the last run met a limit of the forge; empty: it did not.
    """

    mark: float | None = None
    looked: float = 0.0
    settled: dict[str, float] = {}
    open: dict[str, Open] = {}
    near: list[float] = []
    limited: str = ""

    def settle(self, entry: Logged) -> None:
        """Nothing more is to be done about an entry."""
        self.open.pop(entry.delivery, None)
        self.settled[entry.delivery] = place(entry)

    def put_off(self, entry: Logged, now: float, *, asked: bool = False, ever: bool = False) -> bool:
        """Try again later.

        :param ever: however often it has been tried, and soon: it is the forge that fails.
        :returns: False: it has been tried often enough, and is given up.
        """
        known = self.open.get(entry.delivery)
        tries = 0 if known is None else known.tries
        if ever:
            tries = min(tries, FAILING)
        elif tries >= len(PAUSES):
            self.settle(entry)
            return False
        self.open[entry.delivery] = Open(entry, tries + 1, now + PAUSES[tries], asked)
        return True

    def is_due(self, entry: Logged, now: float) -> bool:
        """False for one that is open and not due yet."""
        known = self.open.get(entry.delivery)
        return known is None or not now < known.due <= now + PAUSES[-1]

    def saw(self, entries: Sequence[Logged]) -> None:
        """These are in the log, too."""
        self.near = sorted({*self.near, *map(place, entries)})[-NEAR:]

    def is_late(self, entry: Logged) -> bool:
        """Whether an entry has appeared among those that were there before."""
        return place(entry) > self.least and place(entry) not in self.near

    @property
    def least(self) -> float:
        """Behind where all that comes is looked at."""
        if not self.near:
            return inf
        # Of a log that had no more entries, all are known.
        return self.near[0] if len(self.near) == NEAR else -inf

    def was_asked(self, entry: Logged) -> bool:
        """Whether the forge was asked to send it."""
        known = self.open.get(entry.delivery)
        return known is not None and known.asked

    def forget(self, *, timed: bool) -> None:
        """Forget what was settled far before the watermark.

        :param timed: the log is read by time.
        """
        if not timed:
            self.settled = dict(sorted(self.settled.items(), key=lambda item: item[1])[-KEPT:])
        elif self.mark is not None:
            since = self.mark - OVERLAP
            self.settled = {name: at for name, at in self.settled.items() if at >= since}

    def waiting(self, now: float) -> float | None:
        """Where the first of what is open and due stands; None: nothing is."""
        due = (known.entry for known in self.open.values() if self.is_due(known.entry, now))
        return min(map(place, due), default=None)

    @property
    def due(self) -> float | None:
        """When the first of what is open is due; None: nothing is."""
        return min((known.due for known in self.open.values()), default=None)


def place(entry: Logged) -> float:
    """Where an entry stands in its log."""
    return entry.order or entry.at


def read_progress(kept: bytes | None) -> Progress:
    """What the journal kept."""
    return Progress() if kept is None else msgspec.json.decode(kept, type=Progress)


__all__ = ["KEPT", "OVERLAP", "PAUSES", "Open", "Progress", "place", "read_progress"]
