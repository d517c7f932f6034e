"""A dispatcher and its sinks, on a journal in memory and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.journal import SinkState, StoredDelivery
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.sink_options import routed
from change_hooks.testing import MemoryJournal
from tests.conftest import delivery, result_of
from tests.support.watching import Watching


class Outbox:
    """A dispatcher on a journal in memory.

    :param beside: one whose journal and leases this one shares.
    """

    def __init__(self, sinks: dict[str, Any], attempts: int = 3, beside: Outbox | None = None) -> None:
        self.clock = Clock()
        #: The clock of the leases.
        self.shared = Clock() if beside is None else beside.shared
        store = None if beside is None else beside.journal.store
        self.journal = MemoryJournal(store, clock=self.shared.seconds)
        self.watching = Watching()
        self.dispatcher = Dispatcher(
            self.journal, sinks, self.clock, attempts=attempts, observer=self.watching
        )

    def append(self, name: str, *repositories: str) -> None:
        """Store a delivery with a change for each of them, and tell the dispatcher."""
        changes = [
            Change(repository=repository, revision=f"{name}.{index}")
            for index, repository in enumerate(repositories)
        ]
        received = delivery(id=name, dialect="base")
        result_of(self.journal.append(received, changes, self.dispatcher.sinks))
        self.dispatcher.wake()

    def store(self, name: str, changes: list[Change], **more: Any) -> None:
        """Store a delivery, for the sinks that want it, without telling the dispatcher."""
        received = delivery(id=name, dialect="base", **more)
        result_of(self.journal.append(received, changes, *self.dispatcher.routes(changes, received)))

    def advance(self, seconds: float) -> None:
        self.shared.advance(seconds)
        self.clock.advance(seconds)

    def sinks(self) -> list[str]:
        """What became of each delivery at the sink ``s``, oldest first."""
        return [line.sinks["s"] for line in self._lines()]

    def states(self) -> list[str]:
        """Oldest first."""
        return [line.state for line in self._lines()]

    def left(self, seq: int = 1) -> SinkState:
        """What became of the delivery at a place at its only sink."""
        (state,) = self.journal.reader().whole(seq).sinks
        return state

    def _lines(self) -> Iterator[StoredDelivery]:
        reader, seq = self.journal.reader(), 0
        while page := reader.after(seq):
            yield from page
            seq = page[-1].seq


class Sink:
    """Remembers what it took; a revision in ``refused`` is refused that often."""

    def __init__(self) -> None:
        self.taken: list[str | None] = []
        self.tried: list[str | None] = []
        self.refused: dict[str, int] = {}

    def __call__(self, change: Change) -> None:
        self.tried.append(change.revision)
        left = self.refused.get(change.revision or "", 0)
        if left:
            self.refused[change.revision or ""] = left - 1
            raise RuntimeError("not\nnow")
        self.taken.append(change.revision)


def outbox_of(sink: Any, attempts: int = 3, beside: Outbox | None = None, **written: Any) -> Outbox:
    """An outbox with one sink, ``s``, that runs."""
    read, problems = routed(sink, written, attempts)
    assert problems == []
    outbox = Outbox({"s": read}, attempts, beside)
    outbox.dispatcher.start()
    return outbox
