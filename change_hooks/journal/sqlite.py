"""The embedded journal: one SQLite file in WAL mode, synced before every answer.

Several processes of one machine may share it. Each holds a lock on a file beside it as long as it lives, so
the first one that comes when nobody is left knows that all leases are void.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

from change_hooks.journal.sql import (
    Name,
    SQLJournal,
    is_one_statement,
    refuse_newer,
    refuse_other,
    release_all,
    run_operations,
    size,
)
from change_hooks.journal.writer import Operation
from change_hooks.observer import NOBODY, Observer

#: How long to wait for another process that writes, in seconds: forges wait five for an answer.
BUSY = 4.0
#: The size of a new file's pages, in bytes: a payload takes several.
PAGE_SIZE = 8192
#: After how many written bytes the log is copied into the database, in a thread beside the writer.
CHECKPOINT = 4 * 1024 * 1024
#: After how many pages in the log the writer does it, because nobody else has come so far.
LATE_CHECKPOINT = 4096
#: The size to which the write-ahead log shrinks, in bytes.
LOG_SIZE = 64 * 1024 * 1024

_MIGRATIONS = (
    """
    CREATE TABLE deliveries (
        seq INTEGER PRIMARY KEY,
        dialect TEXT NOT NULL,
        id TEXT NOT NULL,
        received REAL NOT NULL,
        state TEXT NOT NULL,
        head BLOB NOT NULL,
        body BLOB NOT NULL,
        changes BLOB NOT NULL,
        count INTEGER NOT NULL,
        UNIQUE (dialect, id)
    );
    CREATE TABLE queues (
        sink TEXT NOT NULL,
        repository TEXT NOT NULL,
        due REAL NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (sink, repository)
    ) WITHOUT ROWID;
    CREATE INDEX queues_due ON queues (sink, due);
    CREATE TABLE duties (
        sink TEXT NOT NULL,
        repository TEXT NOT NULL,
        seq INTEGER NOT NULL REFERENCES deliveries,
        next INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (sink, repository, seq)
    ) WITHOUT ROWID;
    CREATE INDEX duties_seq ON duties (seq);
    CREATE TABLE dead_letters (
        sink TEXT NOT NULL,
        seq INTEGER NOT NULL REFERENCES deliveries,
        change INTEGER NOT NULL,
        error TEXT NOT NULL,
        PRIMARY KEY (sink, seq, change)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE deliveries ADD COLUMN owner TEXT NOT NULL DEFAULT '';
    ALTER TABLE deliveries ADD COLUMN lease REAL NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN due REAL NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN error TEXT NOT NULL DEFAULT '';
    CREATE INDEX deliveries_received ON deliveries (received);
    CREATE INDEX deliveries_undone ON deliveries (state, received) WHERE state <> 'delivered';
    ALTER TABLE queues ADD COLUMN owner TEXT NOT NULL DEFAULT '';
    ALTER TABLE queues ADD COLUMN lease REAL NOT NULL DEFAULT 0;
    CREATE INDEX dead_letters_seq ON dead_letters (seq);
    CREATE TABLE memory (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE deliveries ADD COLUMN large_body TEXT NOT NULL DEFAULT '';
    ALTER TABLE deliveries ADD COLUMN large_changes TEXT NOT NULL DEFAULT '';
    CREATE TABLE large (
        name TEXT PRIMARY KEY,
        seq INTEGER REFERENCES deliveries,
        since REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX large_seq ON large (seq);
    CREATE TABLE pieces (
        name TEXT NOT NULL,
        document INTEGER NOT NULL,
        part INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (name, document, part)
    );
    """,
    """
    ALTER TABLE deliveries ADD COLUMN body_size INTEGER;
    ALTER TABLE deliveries ADD COLUMN changes_size INTEGER;
    ALTER TABLE pieces ADD COLUMN size INTEGER;
    """,
)


class Connection(sqlite3.Connection):
    """A connection with the clock that leases go by: the machine's, since it was started."""

    def clock(self) -> float:
        """Seconds, the same for all processes of this machine."""
        return monotonic()

    def insert(self, statement: str, names: Sequence[Name], parameters: Sequence[Any]) -> dict[Name, int]:
        """See :meth:`change_hooks.journal.sql.Session.insert`. A statement's places follow one another."""
        stored = self.execute(statement, parameters)
        count, last = stored.rowcount, stored.lastrowid
        if count == 0 or last is None:
            return {}
        places = range(last - count + 1, last + 1)
        if count == len(names):
            return dict(zip(names, places, strict=True))
        found = self.execute(
            "SELECT seq, dialect, id FROM deliveries WHERE seq BETWEEN ? AND ?", (places[0], last)
        )
        return {(dialect, name): seq for seq, dialect, name in found.fetchall()}


class SQLiteStore:
    """The file, used in one thread. See :class:`~change_hooks.journal.writer.Store`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Connection | None = None
        self._file: tuple[int, int] | None = None
        self._presence: int | None = None
        self._written = 0
        self._checkpoint: Thread | None = None

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Run the operations in one transaction.

        After any error the file is opened anew for the next one, so that a full or broken disk that
        has recovered needs no restart. So it is when another file stands in its place: nothing is
        written into one that nobody will find.
        """
        try:
            if self._connection is not None and _identity(self._path) != self._file:
                self._disconnect()
            connection = self._opened()
            if is_one_statement(operations):
                # Which is a transaction by itself. Each statement lets go of Python, and has to wait for it.
                results = run_operations(connection, operations)
            else:
                connection.execute("BEGIN IMMEDIATE")
                results = run_operations(connection, operations)
                connection.execute("COMMIT")
        except BaseException:
            self._disconnect()
            raise
        self._written += size(operations)
        if self._written > CHECKPOINT:
            self._begin_checkpoint()
        return results

    def _begin_checkpoint(self) -> None:
        if self._checkpoint is not None and self._checkpoint.is_alive():
            return
        self._written = 0
        thread = Thread(target=checkpoint, args=(self._path,), daemon=True)
        # What is committed is committed. When there can be no more threads, the writer does it later.
        with suppress(RuntimeError):
            thread.start()
            self._checkpoint = thread

    def close(self) -> None:
        """Close the file; what was not committed is gone."""
        if self._checkpoint is not None:
            self._checkpoint.join()
        self._disconnect()
        presence, self._presence = self._presence, None
        if presence is not None:
            os.close(presence)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> Connection:
        if self._connection is None:
            connection = connect(self._path)
            if self._presence is None:
                self._presence = _be_present(connection, self._path)
            self._connection, self._file = connection, _identity(self._path)
        return self._connection


def checkpoint(path: Path) -> None:
    """Copy what is in the log into the database, while others write. An error is left to the writer."""
    with suppress(sqlite3.Error), closing(_connect_by_uri(path, "rw")) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _be_present(connection: Connection, path: Path) -> int:
    """Lock the file beside the journal; when nobody else does, what others held is free.

    :returns: the lock, as a file descriptor.
    """
    lock = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with suppress(BlockingIOError):
            flock(lock, LOCK_EX | LOCK_NB)
            with connection:
                release_all(connection)
            flock(lock, LOCK_UN)
        flock(lock, LOCK_SH)
    except BaseException:
        os.close(lock)
        raise
    return lock


def connect(path: Path) -> Connection:
    """Open the file for writing, made readable for its owner only, and bring its tables up to date.

    :raises SchemaError: a newer version wrote it.
    """
    # A file that is there must be opened by SQLite alone: closing any descriptor of it would drop all locks
    # that this process has on it (POSIX).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY, check_same_thread=False, factory=Connection
    )
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LATE_CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    if _version(connection) == len(_MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)
    refuse_newer(version, len(_MIGRATIONS))
    for script in _MIGRATIONS[version:]:
        for statement in script.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def connect_to_read(path: Path) -> Connection:
    """Open an existing file for reading, beside whoever writes it.

    :raises FileNotFoundError: there is no such file.
    :raises SchemaError: another version wrote it.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no journal at {path}; 'change-hooks serve' makes it")
    connection = _connect_by_uri(path, "ro")
    try:
        refuse_other(_version(connection), len(_MIGRATIONS))
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_by_uri(path: Path, mode: str) -> Connection:
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY,
        factory=Connection,
    )


def sqlite_journal(
    path: Path,
    to_reactor: Callable[..., Any],
    soon: Callable[..., Any] | None = None,
    observer: Observer = NOBODY,
) -> SQLJournal:
    """A journal in the file *path*, which is made when it is not there."""
    return SQLJournal(SQLiteStore(path), to_reactor, soon, observer)


__all__ = ["SQLiteStore", "checkpoint", "connect", "connect_to_read", "sqlite_journal"]
