"""Pollers that look at the same time, and one that is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.programs import Server, configure, eventually, free_port, program
from .books import journal_in, stored
from .databases import PostgreSQL

#: kill -9 of the process that stores what its poller has found, once: when so many commits are stored, or
#: when all are, and where it was is to be remembered.
KILL = """
import os, signal
from itertools import count
from pathlib import Path
from change_hooks.journal.facade import SQLJournal
from change_hooks.pollers import polling

polling.AT_ONCE = 2
remember, append, numbers = SQLJournal.remember, SQLJournal.append, count(1)

def killed(result):
    if not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return result

def killed_before(self, name, value):
    if name.startswith("poller ") and Path("looked").exists():
        killed(None)
    return remembered(self, name, value)

def remembered(self, name, value):
    return remember(self, name, value).addCallback(lambda _: Path("looked").touch())

def killed_after(self, *arguments, **more):
    stored = append(self, *arguments, **more)
    return stored.addCallback(killed) if next(numbers) == polling.AT_ONCE else stored
"""


class Repository:
    """A Git repository with a commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._git("init", "-q", "-b", "main")
        self.commit("before")
        self.source = (
            "from change_hooks.pollers import *\n"
            f"c['change_source'] = GitPoller({str(folder)!r}, branches=['main'], pollInterval=0.2,"
            " pollAtLaunch=True)\n"
        )

    def _git(self, *arguments: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        command = [program("git"), "-C", str(self.folder), *who, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def commit(self, message: str) -> None:
        self._git("commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_two_pollers_that_look_at_the_same_time_report_each_commit_once(
    repository: Repository, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    text = f"'change_hook_dialects': {{'base': True}}, 'change_hook_journal': {postgresql.url!r}"
    receivers = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        port = free_port()
        configure(folder, text, port)
        config = folder / "hooks.cfg"
        config.write_text(config.read_text() + repository.source)
        receivers.append(Server([program("change-hooks"), "serve", "hooks.cfg"], folder, port))
        receivers[-1].start()
    try:
        eventually(
            lambda: postgresql.execute("SELECT 1 FROM change_hooks.memory WHERE name NOT LIKE 'lease %'")
        )
        for number in range(12):
            repository.commit(str(number))
            if number % 4 == 3:
                eventually(lambda number=number: len(stored(postgresql.url)) > number)
        repository.commit("last")
        eventually(lambda: sum(each.changes for each in stored(postgresql.url)) >= 13)
        assert sum(each.changes for each in stored(postgresql.url)) == 13
    finally:
        for receiver in receivers:
            receiver.kill()


@pytest.mark.parametrize(
    "where",
    [
        "SQLJournal.remember = killed_before",
        "SQLJournal.remember, SQLJournal.append = remembered, killed_after",
    ],
)
def test_one_that_is_killed_before_it_remembers_where_it_was_reports_each_commit_once(
    server: Callable[..., Server], repository: Repository, tmp_path: Path, where: str
) -> None:
    journal = journal_in(tmp_path)
    running = server("'change_hook_dialects': {'base': True}")
    config = tmp_path / "hooks.cfg"
    config.write_text(config.read_text() + repository.source + KILL + where + "\n")
    running.kill()
    running.start()
    eventually((tmp_path / "looked").exists)
    for number in range(5):
        repository.commit(str(number))
    eventually(lambda: running.process is not None and running.process.poll() == -9)
    assert (tmp_path / "killed").exists()
    known = sum(each.changes for each in stored(journal))
    assert 0 < known <= 5
    running.start()
    repository.commit("after")
    eventually(lambda: sum(each.changes for each in stored(journal)) >= 6)
    # One more look, for what would come twice.
    repository.commit("last")
    eventually(lambda: sum(each.changes for each in stored(journal)) >= 7)
    assert running.stop() == 0
    assert [each.changes for each in stored(journal)] == [1] * 7
    assert len({each.delivery for each in stored(journal)}) == 7
