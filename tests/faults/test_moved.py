"""A SQLite journal that is moved, removed or truncated while it is in use; and others who open and close it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ..support.programs import Server, eventually, program
from .books import assert_nothing_is_lost, journal_in, stored
from .load import Load, push, www
from .recorder import Recorder


def errors(running: Server) -> str:
    return "\n".join(line for line in running.log.read_text().splitlines() if "#error" in line)


def send_some(running: Server, name: str, count: int = 10) -> list[str]:
    names = [f"{name}-{number}" for number in range(count)]
    assert [push(running.port, each) for each in names] == [202] * count
    return names


def test_moved_without_its_log_it_is_503_until_it_is_back_and_nothing_is_lost(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    running = server(www(recorder.url))
    acknowledged = send_some(running, "a")
    journal = journal_in(tmp_path)
    away = journal.rename(tmp_path / "away")
    assert [push(running.port, f"refused-{number}") for number in range(3)] == [503] * 3
    assert "change-hooks.sqlite was moved, removed or replaced while it was in use" in errors(running)
    assert not journal.exists()
    # A restart makes no new one beside the log either.
    running.kill()
    configured = subprocess.run(
        [program("change-hooks"), "serve", "hooks.cfg"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert configured.returncode == 1
    assert "is not the database that its log" in configured.stderr
    away.rename(journal)
    running.start()
    acknowledged += send_some(running, "b")
    assert_nothing_is_lost(acknowledged, journal, recorder, changes=1)
    assert running.stop() == 0


def test_moved_with_its_log_it_is_whole_and_another_one_is_begun(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    running = server(www(recorder.url))
    acknowledged = send_some(running, "a")
    journal, away = journal_in(tmp_path), tmp_path / "away" / "change-hooks.sqlite"
    away.parent.mkdir()
    for each in tmp_path.glob("change-hooks.sqlite*"):
        each.rename(away.parent / each.name)
    # Whoever comes first finds out, a sender or the dispatcher.
    eventually(lambda: push(running.port, "b") == 202)
    assert "was moved, removed or replaced while it was in use" in errors(running)
    assert set(acknowledged) <= {each.delivery for each in stored(away)}
    eventually(lambda: [each.delivery for each in stored(journal)] == ["b"])
    assert running.stop() == 0


def test_a_log_that_is_removed_loses_nothing(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    running = server(www(recorder.url))
    acknowledged = send_some(running, "a")
    journal = journal_in(tmp_path)
    Path(f"{journal}-wal").unlink()
    eventually(lambda: push(running.port, "b") == 202)
    assert "change-hooks.sqlite-wal was moved, removed or replaced" in errors(running)
    running.kill()
    running.start()
    assert_nothing_is_lost([*acknowledged, "b"], journal, recorder, changes=1)
    assert running.stop() == 0


@pytest.mark.parametrize("size", [0, 30_000])
def test_truncated_it_is_503_until_it_is_out_of_the_way(
    server: Callable[..., Server], tmp_path: Path, size: int
) -> None:
    running = server(www())
    journal = journal_in(tmp_path)
    send_some(running, "a")
    # All of it is in the file.
    assert running.stop() == 0
    running.start()
    send_some(running, "b")
    os.truncate(journal, size)
    assert [push(running.port, f"refused-{number}") for number in range(3)] == [503] * 3
    assert "change-hooks.sqlite was truncated while it was in use" in errors(running)
    for each in tmp_path.glob("change-hooks.sqlite*"):
        each.unlink()
    eventually(lambda: push(running.port, "after") == 202)
    assert running.stop() == 0


def locks(path: Path) -> list[str]:
    """Who locks a file, of all processes."""
    place = f":{path.stat().st_ino} "
    return [line.split()[4] for line in Path("/proc/locks").read_text().splitlines() if place in line]


def test_others_who_open_and_close_it_take_neither_its_locks_nor_its_log(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    running = server(www(recorder.url))
    journal = journal_in(tmp_path)
    assert running.process is not None
    pid = str(running.process.pid)
    with Load([running.port], senders=2, pause=0.005) as load:
        load.wait_for(10)
        # The writer fails once, and opens the file again.
        with closing(sqlite3.connect(journal, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            eventually(lambda: 503 in load.answers)
            other.execute("ROLLBACK")
        load.wait_for(10)
        for _ in range(3):
            subprocess.run(
                [program("change-hooks"), "prune", "hooks.cfg"], cwd=tmp_path, check=True, capture_output=True
            )
            with closing(sqlite3.connect(journal)) as other:
                other.execute("SELECT count(*) FROM deliveries").fetchone()
            if not locks(journal):
                pytest.skip("this system does not list its locks")
            assert pid in locks(journal)
            assert Path(f"{journal}-wal").exists()
            load.wait_for(10)
        running.kill()
        running.start()
    assert_nothing_is_lost(load.acknowledged, journal, recorder)
    assert running.stop() == 0
