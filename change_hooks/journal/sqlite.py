"""The embedded journal: one SQLite file in WAL mode, synced before every response.

Several processes on one machine may share it. Each holds a lock on a file next to it as long as it lives, so
the first one that starts when none is left knows that all leases are void. If the machine has been restarted
meanwhile, or is a different one, the process also knows that stored times of its clock mean nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from errno import EDQUOT, EIO, ENOSPC, ESTALE
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

from change_hooks.journal import leases, outbox, schema
from change_hooks.journal.chunks import sweep
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.files import Lost, Seen, log_of, look, make_private, refuse_another, refuse_changed
from change_hooks.journal.operations import is_one_statement, run_operations, size
from change_hooks.journal.session import Name, Operation
from change_hooks.observer import NOBODY, Observer

#: The database's name in the schema files.
DATABASE = "sqlite"
#: How long to wait for another process that writes, in seconds: a sender gets its response within five.
BUSY = 3.0
#: The page size of a new file, in bytes: a payload takes up several pages.
PAGE_SIZE = 8192
#: After how many written bytes the log is copied into the database, in a thread other than the writer's.
CHECKPOINT = 4 * 1024 * 1024
#: After how many pages in the log the writer copies it, if the background checkpoint has not.
LATE_CHECKPOINT = 4096
#: The size to which the write-ahead log shrinks, in bytes.
LOG_SIZE = 64 * 1024 * 1024


#: The file with Linux's id of the current boot, and the name under which the journal stores the id.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BOOT_NAME = "boot"

#: Errors in a statement or its values, rather than in the database; for a value of an unknown type, Python
#: raises one of the last two, depending on its version.
_OURS = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


class Connection(sqlite3.Connection):
    """See :class:`change_hooks.journal.session.Session`."""

    #: Leases use the time since the machine's boot, which is the same for all processes.
    clock: Callable[[], float] = staticmethod(monotonic)

    def bytes(self) -> int:
        """See :meth:`change_hooks.journal.session.Session.bytes`."""
        ((_, _, file),) = self.execute("PRAGMA database_list").fetchall()
        there = (Path(f"{file}{end}") for end in ("", "-wal"))
        return sum(each.stat().st_size for each in there if each.exists())

    def break_off(self) -> None:
        """See :meth:`change_hooks.journal.session.Session.break_off`."""
        self.interrupt()

    def insert(self, statement: str, names: Sequence[Name], parameters: Sequence[Any]) -> dict[Name, int]:
        """See :meth:`change_hooks.journal.session.Session.insert`. The sequence numbers of one statement are
        consecutive.
        """
        stored = self.execute(statement, parameters)
        count, last = stored.rowcount, stored.lastrowid
        if count == 0 or last is None:
            return {}
        places = range(last - count + 1, last + 1)
        if count == len(names):
            return dict(zip(names, places, strict=True))
        found = self.execute(
            "SELECT seq, service, dialect, id FROM deliveries WHERE seq BETWEEN ? AND ?", (places[0], last)
        )
        return {(row["service"], row["dialect"], row["id"]): row["seq"] for row in found.fetchall()}

    @contextmanager
    def together(self) -> Iterator[None]:
        """See :meth:`change_hooks.journal.session.Session.together`."""
        if self.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")


class SQLiteStore:
    """The file, used in one thread. See :class:`~change_hooks.journal.writer.Store`.

    :param clock: the clock of the leases, in seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._clock = clock
        self._connection: Connection | None = None
        self._seen: Seen | None = None
        self._is_doubtful = False
        self._presence: int | None = None
        self._written = 0
        self._checkpoint: Thread | None = None

    def transact(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Run the operations in one transaction.

        After any error, the file is opened again for the next transaction, so that no restart is needed once
        a full or broken disk has recovered.

        :raises Lost: the file is no longer in its place, so nobody would find there what was written.
        """
        try:
            connection = self._opened()
            if is_one_statement(operations):
                # One statement is a transaction of its own. Each releases Python's lock, and waits for it.
                results = run_operations(connection, operations)
            else:
                with connection.together():
                    results = run_operations(connection, operations)
            self._look(connection)
        except BaseException:
            self._disconnect()
            raise
        self._written += size(operations)
        if self._written > CHECKPOINT:
            self._begin_checkpoint()
        return results

    def _look(self, connection: Connection) -> None:
        """Check that the files are complete, and where the next process will look for them.

        :raises Lost: they are not.
        """
        before, now = self._seen, look(self._path)
        self._seen = now
        if before is None or before == now:
            return
        try:
            refuse_changed(self._path, before, now)
        except Lost:
            if now.database.place == before.database.place and now.log.place is None:
                # This connection can still read the log that was removed.
                connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
            elif now.database.place == before.database.place and _is_whole(connection):
                return  # VACUUM shrinks it, too.
            self._seen, self._is_doubtful = before, True
            raise

    @staticmethod
    def is_failure(error: Exception) -> bool:
        """See :meth:`change_hooks.journal.writer.Store.is_failure`."""
        if isinstance(error, _OURS):
            return False
        return isinstance(error, (sqlite3.Error, OSError, schema.SchemaError))

    def reading(self) -> Connection:
        """See :meth:`change_hooks.journal.writer.Store.reading`."""
        connection = connect_to_read(self._path)
        connection.clock = self._clock
        return connection

    def _begin_checkpoint(self) -> None:
        if self._checkpoint is not None and self._checkpoint.is_alive():
            return
        self._written = 0
        thread = Thread(target=checkpoint, args=(self._path, self._seen), daemon=True)
        # The commit has succeeded. If no thread can be started, the writer copies the log later.
        with suppress(RuntimeError):
            thread.start()
            self._checkpoint = thread

    def close(self) -> None:
        """Close the file; what was not committed is lost."""
        if self._checkpoint is not None:
            self._checkpoint.join()
        self._disconnect()
        self._seen = None
        presence, self._presence = self._presence, None
        if presence is not None:
            os.close(presence)

    def break_off(self) -> None:
        """Do nothing: a hanging disk cannot be interrupted."""

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> Connection:
        if self._connection is None:
            refuse_another(self._path, self._seen)
            connection = self._connection = connect(self._path)
            connection.clock = self._clock
            if self._is_doubtful and not _is_whole(connection):
                raise Lost(f"{self._path} is damaged; move it and {log_of(self._path)} out of the way")
            self._is_doubtful = False
            if self._presence is None:
                self._presence = _be_present(connection, self._path)
            self._seen = look(self._path)
        return self._connection


def _is_whole(connection: Connection) -> bool:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return bool(found == "ok")


def checkpoint(path: Path, seen: Seen | None = None) -> None:
    """Copy the log into the database while others write. Errors are left to the writer.

    :param seen: the state of the files at the last check.
    """
    with suppress(sqlite3.Error, Lost):
        refuse_another(path, seen)
        with closing(_connect_by_uri(path, "rw")) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _be_present(connection: Connection, path: Path) -> int:
    """Lock the file next to the journal. If no other process has locked it, everything that others held is
    released.

    :returns: the lock, as a file descriptor.
    """
    lock = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with suppress(BlockingIOError):
            flock(lock, LOCK_EX | LOCK_NB)
            with connection.together():
                outbox.release_all(connection)
                leases.let_all_go(connection)
                _know_the_clock(connection)
                sweep(connection, everything=True)
            flock(lock, LOCK_UN)
        flock(lock, LOCK_SH)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _know_the_clock(connection: Connection) -> None:
    """Make due whatever waits by the clock of another machine, or of an earlier boot of this one."""
    boot = b""
    with suppress(OSError):
        boot = BOOT_ID.read_bytes().strip()
    if not boot or leases.recall(connection, BOOT_NAME) != boot:
        outbox.let_all_be_due(connection)
        leases.remember(connection, BOOT_NAME, boot)


def connect(path: Path) -> Connection:
    """Open the file for writing, readable by its owner only, and bring its tables up to date.

    :raises SchemaError: a newer version wrote it.
    :raises Lost: the log next to it belongs to another database.
    """
    refuse_another(path)
    # Only SQLite may open an existing file: closing any descriptor of it would drop all locks that this
    # process has on it (POSIX).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    make_private(path)
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY, factory=Connection)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LATE_CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def may_pass(error: Exception) -> bool:
    """Whether an error of opening the file may be temporary: another process, a full disk."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error) in ("database is locked", "database or disk is full", "disk I/O error")
    return isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT, EIO, ESTALE)


def migrate(connection: Connection) -> None:
    """Bring the tables up to date.

    :raises SchemaError: a newer version wrote them.
    """
    if _version(connection) == schema.known(DATABASE):
        return
    with connection.together():
        for migration in schema.to_do(DATABASE, _version(connection)):
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute("DELETE FROM schema_version")
            connection.execute(
                schema.INSERT_VERSION, (migration.version.number, migration.version.compatible)
            )


def _version(connection: Connection) -> schema.Version:
    try:
        row = connection.execute(schema.SELECT_VERSION).fetchone()
    except sqlite3.OperationalError:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables:
            raise schema.SchemaError(schema.UNRELEASED) from None
        return schema.Version()
    return schema.Version(row["version"], row["compatible"])


def connect_to_read(path: Path) -> Connection:
    """Open an existing file for reading, while others write to it.

    :raises FileNotFoundError: there is no such file.
    :raises SchemaError: another version wrote it.
    :raises Lost: the log next to it belongs to another database.
    """
    refuse_another(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no journal at {path}; 'change-hooks serve' creates it")
    connection = _connect_by_uri(path, "ro")
    try:
        schema.refuse_other(DATABASE, _version(connection))
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_by_uri(path: Path, mode: str) -> Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY,
        factory=Connection,
    )
    connection.row_factory = sqlite3.Row
    return connection


def sqlite_journal(
    path: Path,
    to_reactor: Callable[..., Any],
    later: Callable[..., Any] | None = None,
    observer: Observer = NOBODY,
    *,
    service: str = "",
    clock: Callable[[], float] = monotonic,
) -> SQLJournal:
    """A journal in the file *path*, which is created if necessary.

    :param clock: the clock of the leases, in seconds.
    """
    return SQLJournal(SQLiteStore(path, clock), to_reactor, later, observer, service=service)


__all__ = [
    "Connection",
    "SQLiteStore",
    "checkpoint",
    "connect",
    "connect_to_read",
    "may_pass",
    "migrate",
    "sqlite_journal",
]
