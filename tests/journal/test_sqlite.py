from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from errno import EACCES, EDQUOT, EIO, ENOSPC, ESTALE
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.journal import LEASE, Appended, Outcome
from change_hooks.journal.address import open_reader
from change_hooks.journal.chunks import Piece, store
from change_hooks.journal.files import look
from change_hooks.journal.pruning import prune
from change_hooks.journal.reader import Reader
from change_hooks.journal.schema import Migration, SchemaError, Version, migrations
from change_hooks.journal.sqlite import (
    BUSY,
    checkpoint,
    connect,
    connect_to_read,
    may_pass,
    sqlite_journal,
)
from tests.support.logs import logged
from tests.support.watching import Watching

from ..conftest import delivery, result_of
from .sightings import *  # noqa: F403
from .suite import *  # noqa: F403
from .suite import API, Journal, postponed

#: Does not get smaller.
NOISE = Random(1).randbytes(100_000).decode("latin-1")


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def make(path: Path, clock: Callable[[], float] = monotonic) -> Journal:
    connect(path).close()
    return Journal(
        sqlite_journal(path, call, clock=clock),
        lambda: Reader(connect_to_read(path)),
        lambda service: sqlite_journal(path, call, service=service),
    )


def path_of(journal: Journal) -> Path:
    _, _, file = journal.reader.session.execute("PRAGMA database_list").fetchone()
    return Path(file)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return make(tmp_path / "journal.sqlite")


def test_the_file_is_for_its_owner_only(journal: Journal) -> None:
    journal.append("1", API)
    assert stat.S_IMODE(path_of(journal).stat().st_mode) == 0o600


def test_and_so_is_the_one_with_the_locks(journal: Journal) -> None:
    before = os.umask(0)
    try:
        journal.append("1", API)
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(f"{path_of(journal)}-lock").stat().st_mode) == 0o600


def test_its_size_is_that_of_the_file_and_the_log(journal: Journal) -> None:
    journal.append("1", API)
    path = path_of(journal)
    log = Path(f"{path}-wal").stat().st_size
    assert log > 0
    assert journal.reader.summary().bytes == path.stat().st_size + log


def test_another_process_that_writes_is_waited_for_no_longer_than_a_sender_does(journal: Journal) -> None:
    path = path_of(journal)
    for connection in (connect(path), connect_to_read(path)):
        with closing(connection):
            assert tuple(connection.execute("PRAGMA busy_timeout").fetchone()) == (1000 * BUSY,)


def test_it_goes_by_the_clock_and_the_reactor_that_it_is_given(tmp_path: Path) -> None:
    clock, watching = Clock(), Watching()
    journal = sqlite_journal(tmp_path / "j.sqlite", call, clock.callLater, watching, clock=lambda: 5.0)
    stored = journal.append(delivery(id="1", dialect="base"), [API], ["sink"])
    assert not journal.writer.run_submitted()
    clock.pump([0, 0])
    journal.writer.run_submitted()
    assert not result_of(stored).duplicate
    assert watching.seen == [("committed",)]
    with closing(journal.writer.store.reading()) as connection:
        assert connection.clock() == 5.0
    claimed = journal.claim(["sink"], 1)
    clock.pump([0, 0])
    journal.writer.run_submitted()
    assert len(result_of(claimed).works) == 1
    with closing(connect_to_read(tmp_path / "j.sqlite")) as connection:
        (row,) = connection.execute("SELECT lease FROM queues").fetchall()
    assert row["lease"] == 5.0 + LEASE
    journal.writer.store.close()


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (sqlite3.OperationalError("disk I/O error"), True),
        (sqlite3.OperationalError("no such table: x"), False),
        (sqlite3.DatabaseError("database is locked"), False),
        *((OSError(number, ""), True) for number in (ENOSPC, EDQUOT, EIO, ESTALE)),
        (OSError(EACCES, ""), False),
        (ValueError(), False),
    ],
)
def test_what_may_pass_is_told_from_what_does_not(error: Exception, may: bool) -> None:
    assert may_pass(error) is may


def test_every_commit_is_synced(journal: Journal) -> None:
    connection = connect(path_of(journal))
    assert tuple(connection.execute("PRAGMA synchronous").fetchone()) == (2,)
    assert tuple(connection.execute("PRAGMA journal_mode").fetchone()) == ("wal",)


def test_the_log_is_copied_into_the_database_beside_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy = tmp_path / "journal.sqlite", tmp_path / "copy.sqlite"
    monkeypatch.setattr("change_hooks.journal.sqlite.CHECKPOINT", 10_000)
    journal = make(path)
    before = set(threading.enumerate())

    def stored_without_the_log() -> int:
        for thread in set(threading.enumerate()) - before:
            thread.join()
        copy.write_bytes(path.read_bytes())
        with closing(sqlite3.connect(copy)) as connection:
            return int(connection.execute("SELECT count(*) FROM deliveries").fetchone()[0])

    journal.append("1", API)
    assert stored_without_the_log() == 0
    journal.append("2", Change(comments=NOISE), sinks=())
    assert stored_without_the_log() == 2
    journal.append("3", API)
    assert stored_without_the_log() == 2
    journal.journal.writer.store.close()


def test_many_small_deliveries_are_copied_too_by_one_thread_that_is_waited_for(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    goes_on = threading.Event()

    def slowly(path: Path, seen: object) -> None:
        threads.append(threading.current_thread())
        assert goes_on.wait(60)
        checkpoint(path, seen)  # type: ignore[arg-type]

    monkeypatch.setattr("change_hooks.journal.sqlite.CHECKPOINT", 1_000_000)
    monkeypatch.setattr("change_hooks.journal.sqlite.checkpoint", slowly)
    store = journal.journal.writer.store
    for number in range(4):
        journal.append(str(number), Change(comments=NOISE), sinks=())
    assert threads == []
    for number in range(4, 20):
        journal.append(str(number), Change(comments=NOISE), sinks=())
    goes_on.set()
    store.close()
    (thread,) = threads
    assert thread.daemon and not thread.is_alive()


def test_a_log_is_not_copied_into_another_database(journal: Journal, tmp_path: Path) -> None:
    journal.append("1", API)
    path = path_of(journal)
    seen = look(path)
    other = make(tmp_path / "other.sqlite")
    other.append("2", API)
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(path_of(other).read_bytes())
    copy.replace(path)
    before = path.read_bytes()
    checkpoint(path, seen)
    assert path.read_bytes() == before


def test_files_that_are_moved_during_the_first_transaction_are_missed(journal: Journal) -> None:
    path = path_of(journal)
    moved = journal.journal.writer.submit(lambda _: move_away(path))
    with pytest.raises(Unavailable):
        journal.run(moved)


def test_a_file_that_cannot_be_taken_into_use_is_503_until_it_can(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr("change_hooks.journal.sqlite.sweep", fails)
        with pytest.raises(Unavailable):
            journal.append("1", API)
    assert not journal.append("1", API).duplicate


def test_without_another_thread_what_is_committed_is_committed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("change_hooks.journal.sqlite.CHECKPOINT", 1)
    monkeypatch.setattr("change_hooks.journal.sqlite.Thread.start", refuses)
    for name in "12":
        assert not journal.append(name, API).duplicate
    journal.journal.writer.store.close()
    assert len(journal.states()) == 2


def test_a_log_that_cannot_be_copied_waits_for_the_writer(tmp_path: Path) -> None:
    checkpoint(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def set_version(path: Path, version: int, compatible: int) -> None:
    with closing(connect(path)) as connection:
        connection.execute("UPDATE schema_version SET version = ?, compatible = ?", (version, compatible))


def test_a_file_of_a_newer_version_is_left_alone(journal: Journal) -> None:
    set_version(path_of(journal), 99, 99)
    with pytest.raises(SchemaError, match="upgrade"):
        connect(path_of(journal))
    with pytest.raises(Unavailable):
        journal.append("1", API)
    with pytest.raises(ConfigurationError, match="upgrade"):
        open_reader(path_of(journal))


def test_a_newer_version_says_whether_this_one_may_go_on(journal: Journal) -> None:
    set_version(path_of(journal), 99, 1)
    journal.journal.writer.store.close()
    assert not journal.append("1", API).duplicate
    assert [line.delivery for line in open_reader(path_of(journal)).deliveries()] == ["1"]


def test_what_is_no_database_is_told_to_who_wants_to_read_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(ConfigurationError, match=r"journal\.sqlite: file is not a database"):
        open_reader(path)


def test_a_file_of_an_older_version_is_brought_up_to_date(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append("1", API)
    path = path_of(journal)
    journal.journal.writer.store.close()
    newer = Migration(Version(2, 2), ("ALTER TABLE deliveries ADD COLUMN more TEXT NOT NULL DEFAULT 'x'",))
    both = (*migrations("sqlite"), newer)
    monkeypatch.setattr("change_hooks.journal.schema.migrations", lambda _: both)
    with pytest.raises(ConfigurationError, match="older version of change-hooks; 'change-hooks serve'"):
        open_reader(path)
    with closing(connect(path)) as connection:
        assert tuple(connection.execute("SELECT id, more FROM deliveries").fetchone()) == ("1", "x")
        assert tuple(connection.execute("SELECT * FROM schema_version").fetchone()) == (2, 2)
    assert journal.append("1").duplicate


def test_a_file_of_a_version_that_was_never_released_is_refused_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE deliveries (seq INTEGER PRIMARY KEY)")
        connection.execute("PRAGMA user_version = 4")
        connection.commit()
    with pytest.raises(SchemaError, match="never released"):
        connect(path)


def test_when_no_process_is_left_what_they_held_is_free(tmp_path: Path) -> None:
    first = make(tmp_path / "journal.sqlite")
    first.append("1", Change(repository="api"))
    first.run(first.journal.postpone(delivery(id="2", dialect="base")))
    first.claim()
    first.run(first.journal.writer.submit(lambda session: store(session, "left", Piece(0, 0, b"x"))))
    second = first.other()
    assert second.claim().works == []
    second.run(second.journal.close())
    # As the kernel does for a process that is killed.
    first.journal.writer.store.close()
    third = first.other()
    assert len(third.claim().works) == 1
    assert len(third.run(third.journal.pending(10))) == 1
    assert third.rows("pieces") == 0


@pytest.mark.parametrize(
    ("before", "after", "waits"),
    [("one", "one", True), ("one", "two", False), ("one", None, False), (None, None, False)],
)
def test_nothing_waits_for_the_clock_of_another_start_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str | None, waits: bool
) -> None:
    boot = tmp_path / "boot_id"
    monkeypatch.setattr("change_hooks.journal.sqlite.BOOT_ID", boot)

    def started(boot_id: str | None, at: float) -> Journal:
        boot.unlink(missing_ok=True)
        if boot_id is not None:
            boot.write_text(f"{boot_id}\n")
        return make(tmp_path / "journal.sqlite", lambda: at)

    journal = started(before, 3000.0)
    journal.append("1", API)
    journal.claim()
    journal.record(Outcome("sink", "api", [(1, 0)], [], 1, 100.0, "no"))
    pending = postponed(journal, "2")
    journal.run(journal.journal.retry_later(pending, 100.0, "no"))
    journal.journal.writer.store.close()
    again = started(after, 3050.0)
    assert len(again.claim().works) == (not waits)
    assert len(again.run(again.journal.pending(10))) == (not waits)
    again.journal.writer.store.close()


def test_a_file_that_cannot_be_written_is_503_until_it_can(tmp_path: Path) -> None:
    journal = Journal(
        sqlite_journal(tmp_path / "missing" / "journal.sqlite", call), lambda: None, lambda: None
    )
    with pytest.raises(Unavailable):
        journal.append("1", API)
    (tmp_path / "missing").mkdir()
    assert journal.append("1", API) == Appended(duplicate=False, seq=1)


def test_a_full_disk_is_503_until_there_is_room(journal: Journal) -> None:
    journal.append("1", API)

    def fill(session: Any) -> None:
        (pages,) = session.execute("PRAGMA page_count").fetchone()
        session.execute(f"PRAGMA max_page_count = {pages}")

    journal.run(journal.journal.writer.submit(fill))
    with pytest.raises(Unavailable):
        journal.append("2", Change(comments=NOISE))
    assert journal.append("2", Change(comments=NOISE)).duplicate is False
    assert len(journal.states()) == 2


def test_a_corrupt_file_is_503_until_it_is_out_of_the_way(journal: Journal) -> None:
    journal.append("1", API)
    path = path_of(journal)
    journal.journal.writer.store.close()
    path.write_bytes(b"this is no database" * 1000)
    for _ in range(2):
        with pytest.raises(Unavailable):
            journal.append("2", API)
    move_away(path)
    assert not journal.append("2", API).duplicate


def move_away(path: Path) -> Path:
    """Move a journal with its log, as it should be done; to where."""
    folder = path.parent / "away"
    folder.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        each.rename(folder / each.name)
    return folder / path.name


def stored_in(path: Path) -> list[str]:
    return [stored.delivery for stored in Reader(connect_to_read(path)).after(0)]


def test_a_file_that_was_moved_away_is_503_and_then_begun_anew(journal: Journal) -> None:
    journal.append("1", API)
    path = path_of(journal)
    away = move_away(path)
    with pytest.raises(Unavailable):
        journal.append("2", API)
    assert not journal.append("2", API).duplicate
    assert stored_in(path) == ["2"]
    assert "1" in stored_in(away)


def test_a_file_that_was_moved_without_its_log_is_503_until_it_is_back(journal: Journal) -> None:
    journal.append("1", API)
    path = path_of(journal)
    away = path.rename(path.with_suffix(".away"))
    for _ in range(2):
        with pytest.raises(Unavailable):
            journal.append("2", API)
    with pytest.raises(ConfigurationError, match="is not the database that its log"):
        open_reader(path)
    checkpoint(path)
    assert not path.exists()
    away.rename(path)
    journal.append("3", API)
    assert stored_in(path)[0] == "1"
    assert "3" in stored_in(path)


def test_a_file_in_the_place_of_another_is_not_given_its_log(journal: Journal, tmp_path: Path) -> None:
    journal.append("1", API)
    path = path_of(journal)
    other = tmp_path / "other.sqlite"
    connect(other).close()
    away = path.rename(path.with_suffix(".away"))
    other.rename(path)
    for _ in range(2):
        with pytest.raises(Unavailable):
            journal.append("2", API)
    away.rename(path)
    journal.append("3", API)
    assert stored_in(path)[0] == "1"


def test_a_log_that_was_removed_loses_nothing(journal: Journal) -> None:
    journal.append("1", API)
    path = path_of(journal)
    Path(f"{path}-wal").unlink()
    with pytest.raises(Unavailable):
        journal.append("2", API)
    journal.append("3", API)
    assert {"1", "3"} <= set(stored_in(path))


@pytest.mark.parametrize("size", [0, 20_000])
def test_a_file_that_was_truncated_is_503_until_it_is_out_of_the_way(journal: Journal, size: int) -> None:
    journal.append("1", Change(comments=NOISE))
    journal.journal.writer.store.close()
    journal.append("2", API)
    path = path_of(journal)
    os.truncate(path, size)
    with logged() as lines:
        for number in range(3):
            with pytest.raises(Unavailable):
                journal.append(str(number), API)
    assert f"{path} was truncated while it was in use" in lines[0]
    if size:
        assert f"{path} is damaged; move it and {path}-wal out of the way" in lines[1]
    move_away(path)
    assert not journal.append("4", API).duplicate


def test_a_file_that_vacuum_makes_smaller_is_whole(journal: Journal) -> None:
    journal.append("1", Change(comments=NOISE), sinks=())
    journal.append("2", API)
    path = path_of(journal)
    journal.run(journal.journal.writer.submit(lambda session: prune(session, 1e12)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        journal.append("3", API)
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert not journal.append("4", API).duplicate


def test_nothing_is_written_into_a_file_that_was_deleted(journal: Journal) -> None:
    journal.append("1", API)
    path = path_of(journal)
    for each in path.parent.glob("journal.sqlite*"):
        each.unlink()
    with pytest.raises(Unavailable):
        journal.append("2", API)
    assert not journal.append("2", API).duplicate
    assert [stored.delivery for stored in Reader(connect_to_read(path)).deliveries()] == ["2"]


def test_nothing_of_a_failed_transaction_is_stored(journal: Journal) -> None:
    journal.append("1", API)

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM deliveries")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        journal.run(journal.journal.writer.submit(fails))
    assert journal.states() == ["waiting"]


def test_there_is_nothing_to_read_before_there_is_a_journal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="change-hooks serve"):
        connect_to_read(tmp_path / "none.sqlite")


def test_it_is_opened_and_closed_in_its_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    journal = sqlite_journal(tmp_path / "x.sqlite", call)
    opened = journal.open()
    started = set(threading.enumerate()) - before
    closed = journal.close()
    for thread in started:
        thread.join(10)
    result_of(opened)
    result_of(closed)
    assert (tmp_path / "x.sqlite").exists()


def test_opening_the_file_again_gives_up_no_lock(journal: Journal) -> None:
    journal.append("1", API)
    place = f":{path_of(journal).stat().st_ino} "

    def locks() -> list[str]:
        return [line for line in Path("/proc/locks").read_text().splitlines() if place in line]

    before = locks()
    if not before:
        pytest.skip("this system does not list its locks")
    connect(path_of(journal)).close()
    assert len(locks()) == len(before)


@pytest.mark.parametrize(("mode", "then"), [(0o666, 0o600), (0o604, 0o600), (0o660, 0o660), (0o640, 0o640)])
def test_a_journal_that_anybody_could_use_becomes_its_owners(tmp_path: Path, mode: int, then: int) -> None:
    path = tmp_path / "j.sqlite"
    left_open = connect(path)
    left_open.execute("INSERT INTO memory (name, value) VALUES ('a', X'00')")
    for file in tmp_path.iterdir():
        file.chmod(mode)
    connect(path).close()
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {oct(then)}
    left_open.close()
