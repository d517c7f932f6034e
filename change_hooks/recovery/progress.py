"""How far a log has been read, as stored in the journal.

Strategy: up to the watermark everything is settled except what is *open*: deliveries that could not be
fetched, or that the forge was asked to send again. These are retried on their own, with increasing pauses, so
they hold up nothing else. Near the watermark the log is read twice, because its entries do not appear
strictly in order; settled entries there that left no row in the journal are remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import msgspec

from change_hooks.forges.logged import Logged

#: The pauses before each retry of an open delivery, in seconds. After the last one it is given up.
PAUSES = (300.0, 900.0, 3600.0, 6 * 3600.0)
#: The index of the longest pause while the forge itself fails: it may recover soon.
FAILING = 1
#: How far before the watermark the log is read again, in seconds; and, for a log that is not read by time,
#: how many settled entries are remembered at most.
OVERLAP, KEPT = 900.0, 500
#: For a log that is not read by time: among how many of the newest entries a late one may appear.
NEAR = 8


class Open(msgspec.Struct, frozen=True):
    """A delivery that is still missing.

    :param tries: how often it could not be fetched.
    :param due: when to try again, in seconds since the epoch.
    :param asked: the forge was asked to send it again.
    """

    entry: Logged
    tries: int
    due: float
    asked: bool = False


class Progress(msgspec.Struct, omit_defaults=True):
    """How far a log has been read.

    :param mark: seconds since the epoch, or an order; None: it has never been read.
    :param looked: when it was last read, in seconds since the epoch.
    :param settled: ids of settled deliveries near the watermark, and their positions.
    :param open: open deliveries by id.
    :param near: for a log that is not read by time, the positions of its newest entries.
    :param limited: the delivery at which the last run hit the forge's rate limit; empty: it did not.
    :param asking: the last run asked the forge to send something again, and was not completed: there may be
        more that was asked for than is open.
    """

    mark: float | None = None
    looked: float = 0.0
    settled: dict[str, float] = {}
    open: dict[str, Open] = {}
    near: list[float] = []
    limited: str = ""
    asking: bool = False

    def settle(self, entry: Logged) -> None:
        """Mark an entry as done."""
        self.open.pop(entry.delivery, None)
        self.settled[entry.delivery] = place(entry)

    def put_off(self, entry: Logged, now: float, *, asked: bool = False, ever: bool = False) -> bool:
        """Retry an entry later.

        :param ever: never give up, and retry soon, because the forge itself fails.
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
        """False for an entry that is open and not due yet."""
        known = self.open.get(entry.delivery)
        return known is None or not now < known.due <= now + PAUSES[-1]

    def saw(self, entries: Sequence[Logged]) -> None:
        """Record entries that were seen in the log."""
        self.near = sorted({*self.near, *map(place, entries)})[-NEAR:]

    def is_late(self, entry: Logged) -> bool:
        """Whether an entry has appeared among older ones that were seen before."""
        return place(entry) > self.least and place(entry) not in self.near

    @property
    def least(self) -> float:
        """The position after which every entry is examined."""
        if not self.near:
            return inf
        # If the log had no more entries, all are known.
        return self.near[0] if len(self.near) == NEAR else -inf

    def was_asked(self, entry: Logged) -> bool:
        """Whether the forge was asked to send the entry again."""
        known = self.open.get(entry.delivery)
        return known is not None and known.asked

    def forget(self, *, timed: bool) -> None:
        """Forget entries that were settled far before the watermark.

        :param timed: the log is read by time.
        """
        if not timed:
            self.settled = dict(sorted(self.settled.items(), key=lambda item: item[1])[-KEPT:])
        elif self.mark is not None:
            since = self.mark - OVERLAP
            self.settled = {name: at for name, at in self.settled.items() if at >= since}

    def waiting(self, now: float) -> float | None:
        """The position of the first entry that is open and due; None: there is none."""
        due = (known.entry for known in self.open.values() if self.is_due(known.entry, now))
        return min(map(place, due), default=None)

    @property
    def due(self) -> float | None:
        """When the first open entry is due; None: there is none."""
        return min((known.due for known in self.open.values()), default=None)


def place(entry: Logged) -> float:
    """The position of an entry in its log."""
    return entry.order or entry.at


def read_progress(kept: bytes | None) -> Progress:
    """Decode the progress that the journal stored."""
    return Progress() if kept is None else msgspec.json.decode(kept, type=Progress)


__all__ = ["KEPT", "OVERLAP", "PAUSES", "Open", "Progress", "place", "read_progress"]
