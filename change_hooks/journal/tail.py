"""Follows a journal: new deliveries, as they arrive."""

from __future__ import annotations

from change_hooks.journal.reader import Reader
from change_hooks.journal.views import StoredDelivery


class Tail:
    """Returns what is new in a journal: new deliveries, and later the outcome of those that were pending.

    :param after: start after this ``seq``.
    """

    def __init__(self, reader: Reader, after: int = 0) -> None:
        self._reader = reader
        self.last = after
        self._open: set[int] = set()

    def news(self) -> list[StoredDelivery]:
        """A page of what is new since the last call, oldest first; empty if there is nothing."""
        finished = [line for line in self._reader.lines(sorted(self._open)) if not _is_open(line)]
        self._open.difference_update(line.seq for line in finished)
        new = self._reader.after(self.last)
        if new:
            self.last = new[-1].seq
        self._open.update(line.seq for line in new if _is_open(line))
        return finished + new


def _is_open(line: StoredDelivery) -> bool:
    """Whether a delivery without changes may still get some."""
    return line.state == "pending" or (line.state == "failed" and not line.changes)


__all__ = ["Tail"]
