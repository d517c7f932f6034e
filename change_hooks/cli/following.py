"""Follows a journal: new deliveries, and changes of state."""

from __future__ import annotations

from change_hooks.journal import StoredDelivery
from change_hooks.journal.reader import Reader

#: How many unfinished deliveries are watched: the newest.
WATCHED = 500


class Following:
    """Reports each new delivery, and again when its state has changed.

    :param reader: the journal's reader.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._open: dict[int, StoredDelivery] = {}
        #: The ``seq`` of the newest known delivery.
        self.last = reader.newest()

    def news(self) -> list[StoredDelivery]:
        """What is new since the last call: first changed deliveries, then new ones."""
        changed = [
            line
            for line in self._reader.lines(sorted(self._open))
            if line.state != self._open[line.seq].state
        ]
        new = self._reader.after(self.last)
        if new:
            self.last = new[-1].seq
        self.watch([*changed, *new])
        return [*changed, *new]

    def watch(self, lines: list[StoredDelivery]) -> None:
        """Watch these deliveries until they are finished."""
        for line in lines:
            if line.state in ("pending", "waiting"):
                self._open[line.seq] = line
            else:
                self._open.pop(line.seq, None)
        for seq in sorted(self._open)[:-WATCHED]:
            del self._open[seq]


__all__ = ["Following"]
