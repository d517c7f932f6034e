"""Decides which units of a queue are delivered now: the newest of each group, once its group is quiet.

Strategy: a queue is read to its end before any of it is delivered, so superseded units are known wherever
they are. The oldest entry of a waiting group stays in the journal until the group is delivered: it records
since when the group has been waiting, also for the receiver that takes over after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from change_hooks.core.change import Change
from change_hooks.journal import ChangeKey, Entry

Given = tuple[ChangeKey, Change]


class Unit(NamedTuple):
    """The changes that a sink gets in one call.

    :param group: a sink that wants only the latest gets only the last unit of each group.
    :param given: the changes with their keys, in order.
    """

    group: str
    given: Sequence[Given]

    @property
    def last(self) -> int:
        """The index of its newest change."""
        return self.given[-1][0].index


class Queued(NamedTuple):
    """The units of one entry.

    :param units: the wanted units, in the order in which they end.
    :param unwanted: the others, in the same order.
    """

    entry: Entry
    units: Sequence[Unit]
    unwanted: Sequence[Unit] = ()


class Quiet(NamedTuple):
    """How long a group must be quiet before it is delivered.

    :param seconds: seconds since its newest unit arrived.
    :param at_most: seconds since its oldest unit arrived, after which it is delivered in any case.
    """

    seconds: float
    at_most: float


class Moments:
    """The ages of entries: by the calendar, which may be set back, or by this receiver's own clock since it
    first saw them.
    """

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def age(self, entry: Entry, clock: float, calendar: float) -> float:
        """How long an entry has existed, in seconds.

        :param clock: seconds on the receiver's clock.
        :param calendar: seconds since the epoch.
        """
        by_calendar = max(calendar - entry.received, 0.0)
        since = min(self._since.get(entry.seq, clock), clock - by_calendar)
        self._since[entry.seq] = since
        return clock - since

    def keep(self, entries: Iterable[Entry]) -> None:
        """Forget all entries but these."""
        self._since = {entry.seq: self._since[entry.seq] for entry in entries}

    def __bool__(self) -> bool:
        return bool(self._since)


class Ready(NamedTuple):
    """What is to be done with the entries of a queue.

    :param now: deliver these now, in this order.
    :param superseded: entries of which nothing is wanted now.
    :param waiting: the others.
    :param wait: seconds until there is more to deliver; None: nothing waits.
    """

    now: list[Queued]
    superseded: list[Queued]
    waiting: list[Entry]
    wait: float | None


class Coalesced:
    """The entries of a queue, of which only the newest unit of each group is wanted."""

    def __init__(self) -> None:
        self._entries: list[Queued] = []
        self._newest: dict[str, tuple[Entry, int]] = {}
        self._oldest: dict[str, Entry] = {}
        self._wanted: dict[int, int] = {}
        #: How many entries are entirely superseded.
        self.superseded = 0

    def add(self, queued: Queued) -> None:
        """Add the next entry."""
        self._entries.append(queued)
        self._wanted[queued.entry.seq] = len(queued.units)
        self.superseded += not queued.units
        for unit in queued.units:
            if not unit.group:
                continue
            before = self._newest.get(unit.group)
            if before is not None:
                seq = before[0].seq
                self._wanted[seq] -= 1
                self.superseded += not self._wanted[seq]
            self._newest[unit.group] = (queued.entry, unit.last)
            self._oldest.setdefault(unit.group, queued.entry)

    @property
    def wanted(self) -> int:
        """How many entries are not entirely superseded."""
        return len(self._entries) - self.superseded

    def is_superseded(self, seq: int) -> bool:
        """Whether the entry at *seq* is entirely superseded."""
        return not self._wanted.get(seq, 1)

    def wants(self, entry: Entry, unit: Unit) -> bool:
        """Whether a unit is the newest of its group."""
        if not unit.group:
            return True
        newest, last = self._newest[unit.group]
        return newest.seq == entry.seq and last == unit.last

    def ready(self, quiet: Quiet | None, age: Callable[[Entry], float]) -> Ready:
        """Decide what is to be done now.

        :param quiet: None: no group has to wait.
        :param age: returns how long an entry has existed, in seconds.
        """
        waits = {} if quiet is None else self._waits(quiet, age)
        kept = {self._oldest[group].seq for group, wait in waits.items() if wait > 0}
        now: list[tuple[float, Queued]] = []
        superseded: list[Queued] = []
        waiting: list[Entry] = []
        left: list[float] = []
        for queued in self._entries:
            entry, units = queued.entry, queued.units
            if self.is_superseded(entry.seq):
                if entry.seq in kept:
                    waiting.append(entry)
                else:
                    superseded.append(queued)
                continue
            wait = max(waits.get(unit.group, 0.0) for unit in units if self.wants(entry, unit))
            if wait > 0:
                waiting.append(entry)
                left.append(wait)
            else:
                now.append((wait, queued))
        now.sort(key=lambda each: each[0])
        return Ready([queued for _, queued in now], superseded, waiting, min(left, default=None))

    def _waits(self, quiet: Quiet, age: Callable[[Entry], float]) -> dict[str, float]:
        """How long each group still has to wait, in seconds; negative for a group that is ready."""
        return {
            group: min(quiet.seconds - age(newest), quiet.at_most - age(self._oldest[group]))
            for group, (newest, _) in self._newest.items()
        }


__all__ = ["Coalesced", "Given", "Moments", "Queued", "Quiet", "Ready", "Unit"]
