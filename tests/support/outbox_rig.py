"""A journal, a clock and a dispatcher, all run by the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.journal import StoredDelivery
from change_hooks.journal.reader import Reader
from change_hooks.journal.sqlite import connect_to_read, sqlite_journal
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.sink_options import routed
from tests.conftest import delivery, result_of
from tests.support.watching import Watching


class Rig:
    """A journal, a clock and a dispatcher, all run by the test."""

    def __init__(self, path: Path, sinks: dict[str, Any], attempts: int = 3) -> None:
        self.path = path
        self.clock = Clock()
        #: The clock of the leases.
        self.shared = Clock()
        self.journal = sqlite_journal(
            path, lambda function, *arguments: function(*arguments), clock=self.shared.seconds
        )
        self.watching = Watching()
        self.dispatcher = Dispatcher(
            self.journal, sinks, self.clock, attempts=attempts, observer=self.watching
        )

    def run(self) -> None:
        """Let the journal's writer do all it has to do."""
        writer = self.journal.writer
        while not writer._queue.empty():
            writer.run_group()

    def append(self, name: str, *repositories: str) -> None:
        changes = [
            Change(repository=repository, revision=f"{name}.{index}")
            for index, repository in enumerate(repositories)
        ]
        received = delivery(id=name, dialect="base")
        appended = self.journal.append(received, changes, self.dispatcher.sinks)
        self.run()
        result_of(appended)
        self.dispatcher.wake()
        self.run()

    def advance(self, seconds: float) -> None:
        self.shared.advance(seconds)
        self.clock.advance(seconds)
        self.run()

    def sinks(self) -> list[str]:
        """What became of each delivery at the sink ``s``, oldest first."""
        return [line.sinks["s"] for line in self._lines()]

    def states(self) -> list[str]:
        """Oldest first."""
        return [line.state for line in self._lines()]

    def _lines(self) -> Iterator[StoredDelivery]:
        reader, seq = Reader(connect_to_read(self.path)), 0
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


def routed_rig(path: Path, sink: Any, attempts: int = 3, **written: Any) -> Rig:
    """A rig with one sink, ``s``, that runs."""
    read, problems = routed(sink, written, attempts)
    assert problems == []
    rig = Rig(path / "journal.sqlite", {"s": read}, attempts)
    rig.dispatcher.start()
    rig.run()
    return rig


def store(rig: Rig, name: str, changes: list[Change], **more: Any) -> None:
    """Store a delivery without telling the dispatcher."""
    routes = rig.dispatcher.routes(changes, "base")
    appended = rig.journal.append(delivery(id=name, dialect="base", **more), changes, *routes)
    rig.run()
    result_of(appended)
