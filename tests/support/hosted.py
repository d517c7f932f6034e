"""A service as a program has it: on a reactor, with its journal in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from change_hooks import ChangeHookService
from tests.conftest import Client

BASE = {"change_hook_dialects": {"base": True}}


class Reactor(MemoryReactorClock):
    """A reactor in memory that runs what a thread asks for when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = False

    def callFromThread(self, function: Any, *arguments: Any) -> None:  # type: ignore[override]
        function(*arguments)

    def stop(self) -> None:
        self.stopped = True


class Hosted:
    """A service whose journal's writer is run by the test."""

    def __init__(self, www: Any, folder: Path, **more: Any) -> None:
        self.reactor = Reactor()
        self.service = ChangeHookService(www, clock=self.reactor, base=folder, **more)
        self.client = Client(self.service.resource)
        self.journal: Any = self.service.journal
        if self.journal is not None:
            self.journal.writer.start = lambda: None

    def run(self) -> None:
        self.reactor.advance(0)
        while self.journal.writer.run_submitted():
            self.reactor.advance(0)

    def start(self) -> None:
        self.service.startService()
        self.run()

    def post(self, path: str = "/base", **arguments: Any) -> Any:
        started = self.client.start("POST", path, **arguments)
        self.client.flush()
        self.run()
        return self.client.finish(started)

    def trace(self, told: Callable[[str], None]) -> None:
        """Tell each statement that the journal's writer runs from now on."""
        self.journal.writer.submit(lambda session: session.set_trace_callback(told))
        self.run()
