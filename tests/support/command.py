"""The command line in this process: a configuration and its journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

import change_hooks.cli as cli
from change_hooks.core.change import Change
from change_hooks.journal import DeadLetter, Outcome
from change_hooks.journal.sqlite import sqlite_journal

from ..conftest import delivery, result_of


def call(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


class CommandLine:
    """A configuration, its journal, and the command in this process, without a running reactor."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "hooks.cfg"
        self.path = folder / "j.sqlite"
        self.configure()

    def configure(self, **more: Any) -> None:
        www = {
            "change_hook_journal": "sqlite:///j.sqlite",
            "change_hook_dialects": {"base": True},
            "change_hook_sinks": {"a": {"sink": "command", "argv": ["true"]}},
            **more,
        }
        self.config.write_text(f"c = {{'www': {www!r}}}")

    def journal(self) -> Any:
        return sqlite_journal(self.path, call)

    def write(self, *operations: Any) -> None:
        journal = self.journal()
        done = [operation(journal) for operation in operations]
        journal.writer.run_group()
        journal.writer.run_submitted()
        for each in done:
            result_of(each)
        journal.writer.store.close()

    def fill(
        self, name: str, body: bytes = b"revision=1", sinks: tuple[str, ...] = ("a",), **more: Any
    ) -> None:
        received = delivery(
            body,
            id=name,
            content_type=b"application/x-www-form-urlencoded",
            **{"dialect": "base", "received": 5.0, **more},
        )
        self.write(lambda journal: journal.append(received, [Change(revision="old")], sinks))

    def postpone(self, name: str) -> None:
        received = delivery(b"revision=1", id=name, dialect="base", received=5.0)
        self.write(lambda journal: journal.postpone(received))

    def deliver(self, seq: int, *dead: DeadLetter) -> None:
        self.write(lambda journal: journal.record([Outcome("a", "", [(seq, None)], list(dead))]))

    def run(self, command: str, *arguments: str) -> Result:
        return CliRunner().invoke(cli.main, [command, str(self.config), *arguments])

    def lines(self, command: str, *arguments: str) -> list[Any]:
        result = self.run(command, *arguments, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]
