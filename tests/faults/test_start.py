"""A journal that is not there when a server starts."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ..support.programs import PATIENCE, Server, configure, eventually, free_port, program
from .books import assert_nothing_is_lost, journal_in
from .databases import PostgreSQL
from .load import push, www
from .recorder import Recorder


def test_a_server_whose_postgresql_is_not_there_waits_for_it(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    running = server(www(recorder.url, postgresql.url))
    recorder.refuses = True
    assert push(running.port, "before") == 202
    recorder.wait_until_asked()
    assert running.stop() == 0
    recorder.refuses = False
    postgresql.stop("fast")
    running.start()
    assert push(running.port, "refused") == 503
    postgresql.start()
    # Also what was left over is handed over then, when nobody sends anything.
    eventually(lambda: recorder.taken)
    assert push(running.port, "after") == 202
    assert_nothing_is_lost(["before", "after"], postgresql.url, recorder, changes=1)
    log = running.log.read_text()
    assert "could not open the journal; deliveries get a 503 until it can be opened" in log
    assert "the journal can be written again" in log
    assert running.stop() == 0


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_server_whose_file_is_locked_waits_for_it(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(journal_in(tmp_path), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        running = server(www(recorder.url), options=options)
        assert push(running.port, "refused") == 503
        other.execute("ROLLBACK")
    eventually(lambda: push(running.port, "after") == 202)
    assert_nothing_is_lost(["after"], journal_in(tmp_path), recorder, changes=1)
    assert running.stop() == 0


def refused(folder: Path, text: str, preload: Path | None = None) -> str:
    """Try to serve; what is said about it."""
    configure(folder, text, free_port())
    environment = {} if preload is None else {"LD_PRELOAD": str(preload)}
    done = subprocess.run(
        [
            "env",
            *(f"{name}={value}" for name, value in environment.items()),
            program("change-hooks"),
            "serve",
            "hooks.cfg",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_what_does_not_pass_by_itself_is_said_at_the_start(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path, www(journal="sqlite:///missing/x.sqlite"))
    (tmp_path / "text.sqlite").write_text("this is no database" * 1000)
    assert "file is not a database" in refused(tmp_path, www(journal="sqlite:///text.sqlite"))


WITHOUT_LOCKS = """
#include <errno.h>
int flock(int descriptor, int operation) { %s }
"""


@pytest.mark.parametrize(
    ("flock", "reason"),
    [
        ("errno = ENOLCK; return -1;", "cannot lock files (No locks available); use a local one"),
        ("return 0;", "does not lock files; use a local one"),
    ],
)
def test_a_file_system_without_locks_is_refused(tmp_path: Path, flock: str, reason: str) -> None:
    source, library = tmp_path / "locks.c", tmp_path / "locks.so"
    source.write_text(WITHOUT_LOCKS % flock)
    subprocess.run([program("gcc"), "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    assert reason in refused(tmp_path, www(), library)
