from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import succeed
from twisted.internet.testing import MemoryReactorClock

import change_hooks.cli.explaining as explaining
import change_hooks.cli.pruning as pruning
import change_hooks.cli.replaying as replaying
from change_hooks.journal.sqlite import sqlite_journal

from ..conftest import result_of
from ..support.command import CommandLine, call


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)

    def run_at_once(main: Any, arguments: Any = ()) -> None:
        """What ``react`` does, in one thread."""
        clock: Any = reactor
        result = main(clock, *arguments)
        assert result.called
        result_of(result)

    def make_journal(address: Any, to_reactor: Any) -> Any:
        journal = sqlite_journal(address, call)
        submit = journal.writer.submit

        def at_once(operation: Any) -> Any:
            deferred = submit(operation)
            journal.writer.run_group()
            return deferred

        journal.writer.submit = at_once  # type: ignore[method-assign]
        journal.writer.start = lambda: None  # type: ignore[method-assign]
        journal.writer.stop = lambda: succeed(None)  # type: ignore[method-assign]
        return journal

    for module in (pruning, replaying):
        monkeypatch.setattr(module, "make_journal", make_journal)
    for module in (explaining, pruning, replaying):
        monkeypatch.setattr(module, "react", run_at_once)
    return CommandLine(tmp_path)


@pytest.fixture(autouse=True)
def no_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """``check`` tries ports in memory."""
    checking: Any = import_module("change_hooks.cli.checking")
    inspect = checking.inspect
    monkeypatch.setattr(
        checking,
        "inspect",
        lambda settings, hooks, used: inspect(
            settings, hooks, MemoryReactorClock() if used is reactor else used
        ),
    )
