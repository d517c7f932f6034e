"""What happens in a journal, from now on."""

from __future__ import annotations

from change_hooks.journal import StoredDelivery
from change_hooks.journal.reader import Reader

#: How many deliveries that have something left to do are looked at again, the newest.
WATCHED = 500


class Following:
    """Each delivery that comes, and again when its state has changed.

    :param reader: of the journal.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._open: dict[int, StoredDelivery] = {}
        #: The place of the newest that is known.
        self.last = reader.newest()

    def news(self) -> list[StoredDelivery]:
        """What is new since the last call: first what has changed, then what has come."""
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
        """Look at these again, as long as something is left to do."""
        for line in lines:
            if line.state in ("pending", "waiting"):
                self._open[line.seq] = line
            else:
                self._open.pop(line.seq, None)
        for seq in sorted(self._open)[:-WATCHED]:
            del self._open[seq]


__all__ = ["Following"]
