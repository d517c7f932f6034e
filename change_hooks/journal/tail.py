"""Following a journal: what comes, as it comes."""

from __future__ import annotations

from change_hooks.journal.reader import Reader
from change_hooks.journal.views import StoredDelivery


class Tail:
    """What is new in a journal: what comes, and later what became of that whose changes were not known yet.

    :param after: the place to begin after.
    """

    def __init__(self, reader: Reader, after: int = 0) -> None:
        self._reader = reader
        self.last = after
        self._open: set[int] = set()

    def news(self) -> list[StoredDelivery]:
        """A page of what is new since the last call, oldest first; empty: there is nothing."""
        finished = [line for line in self._reader.lines(sorted(self._open)) if not _is_open(line)]
        self._open.difference_update(line.seq for line in finished)
        new = self._reader.after(self.last)
        if new:
            self.last = new[-1].seq
        self._open.update(line.seq for line in new if _is_open(line))
        return finished + new


def _is_open(line: StoredDelivery) -> bool:
    """Whether changes may still come of a delivery that has none."""
    return line.state == "pending" or (line.state == "failed" and not line.changes)


__all__ = ["Tail"]
