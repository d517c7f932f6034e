"""The embedded journal: one SQLite file in WAL mode, synced before every answer."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import implementer

from change_hooks.change import Change
from change_hooks.delivery import Delivery
from change_hooks.interfaces import IJournal
from change_hooks.journal import (
    Appended,
    ChangeKey,
    Claimed,
    Duty,
    Outcome,
    StoredChange,
    StoredDelivery,
    Work,
)
from change_hooks.journal.writer import Operation, Writer

#: The most changes that are taken from a queue at once.
CLAIM = 100

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
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Change]).decode


class SchemaError(Exception):
    """The file was written by a newer version of this package."""


class SQLiteStore:
    """The file, used in one thread. See :class:`~change_hooks.journal.writer.Store`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Run the operations in one transaction.

        After any error the file is opened anew for the next one, so that a full or broken disk that
        has recovered needs no restart.
        """
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            results = [operation(connection) for operation in operations]
            connection.execute("COMMIT")
        except BaseException:
            self.close()
            raise
        return results

    def close(self) -> None:
        """Close the file; what was not committed is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path)
        return self._connection


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing, made readable for its owner only, and bring its tables up to date.

    :raises SchemaError: a newer version wrote it.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        raise SchemaError("the journal was written by a newer version of change-hooks; upgrade")
    for number, script in enumerate(_MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading, beside whoever writes it.

    :raises FileNotFoundError: there is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no journal at {path}; 'change-hooks serve' makes it")
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)


@implementer(IJournal)
class SQLiteJournal:
    """See :class:`~change_hooks.interfaces.IJournal`.

    :param path: the file; made when it is not there.
    :param to_reactor: runs a function in the reactor's thread.
    """

    def __init__(self, path: Path, to_reactor: Any) -> None:
        self.path = path
        self.writer = Writer(SQLiteStore(path), to_reactor)

    def open(self) -> Deferred[None]:
        """Start the writer, and make or migrate the tables."""
        self.writer.start()
        return self.writer.submit(lambda connection: None)

    def close(self) -> Deferred[None]:
        """Finish what was asked for, and close the file."""
        return self.writer.stop()

    def append(self, delivery: Delivery, changes: list[Change], sinks: Sequence[str]) -> Deferred[Appended]:
        """Store an accepted delivery, its changes, and the duty to deliver them to *sinks*."""
        return self.writer.submit(lambda connection: _append(connection, delivery, changes, sinks))

    def claim(
        self, sinks: Sequence[str], now: float, limit: int, exclude: Collection[tuple[str, str]]
    ) -> Deferred[Claimed]:
        """The heads of at most *limit* queues that are due and not in *exclude*."""
        return self.writer.submit(lambda connection: _claim(connection, sinks, now, limit, exclude))

    def settle(self, outcomes: Sequence[Outcome]) -> Deferred[None]:
        """Record what became of work."""
        return self.writer.submit(lambda connection: _settle(connection, outcomes))


def _append(
    connection: sqlite3.Connection, delivery: Delivery, changes: list[Change], sinks: Sequence[str]
) -> Appended:
    head, body = delivery.dump()
    stored = connection.execute(
        "INSERT INTO deliveries (dialect, id, received, state, head, body, changes, count)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (dialect, id) DO UPDATE SET received = excluded.received, state = excluded.state,"
        " head = excluded.head, body = excluded.body, changes = excluded.changes, count = excluded.count"
        " WHERE state = 'failed' RETURNING seq",
        (
            delivery.dialect,
            delivery.id,
            delivery.received,
            "accepted" if sinks else "delivered",
            head,
            body,
            _encode(changes),
            len(changes),
        ),
    ).fetchone()
    if stored is None:
        return Appended(duplicate=True)
    if sinks:
        (seq,) = stored
        repositories = {change.repository for change in changes}
        connection.execute("DELETE FROM dead_letters WHERE seq = ?", (seq,))
        connection.executemany(
            "INSERT OR IGNORE INTO queues (sink, repository) VALUES (?, ?)",
            [(sink, repository) for sink in sinks for repository in repositories],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO duties (sink, repository, seq) VALUES (?, ?, ?)",
            [(sink, repository, seq) for sink in sinks for repository in repositories],
        )
    return Appended(duplicate=False)


def _claim(
    connection: sqlite3.Connection,
    sinks: Sequence[str],
    now: float,
    limit: int,
    exclude: Collection[tuple[str, str]],
) -> Claimed:
    works: list[Work] = []
    next_due: float | None = None
    for sink in sinks:
        queues = connection.execute(
            "SELECT repository, due, attempts FROM queues WHERE sink = ? ORDER BY due", (sink,)
        )
        for repository, due, attempts in queues:
            if due > now:
                next_due = due if next_due is None else min(due, next_due)
                break
            if (sink, repository) in exclude:
                continue
            if len(works) == limit:
                break
            works.append(Work(sink, repository, attempts, _duties(connection, sink, repository)))
    return Claimed(works, next_due)


def _duties(connection: sqlite3.Connection, sink: str, repository: str) -> list[Duty]:
    duties: list[Duty] = []
    room = CLAIM
    rows = connection.execute(
        "SELECT seq, next, dialect, id, changes FROM duties JOIN deliveries USING (seq)"
        " WHERE sink = ? AND repository = ? ORDER BY seq",
        (sink, repository),
    )
    for seq, first, dialect, name, changes in rows:
        owed = [
            (ChangeKey(dialect, name, index), change)
            for index, change in enumerate(_decode(changes))
            if index >= first and change.repository == repository
        ]
        duties.append(Duty(seq, owed))
        room -= len(owed)
        if room <= 0:
            break
    return duties


def _settle(connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        queue = (outcome.sink, outcome.repository)
        connection.executemany(
            "INSERT OR REPLACE INTO dead_letters (sink, seq, change, error) VALUES (?, ?, ?, ?)",
            [(outcome.sink, *letter) for letter in outcome.dead],
        )
        for seq, following in outcome.done:
            if following is not None:
                connection.execute(
                    "UPDATE duties SET next = ? WHERE sink = ? AND repository = ? AND seq = ?",
                    (following, *queue, seq),
                )
                continue
            connection.execute(
                "DELETE FROM duties WHERE sink = ? AND repository = ? AND seq = ?", (*queue, seq)
            )
            connection.execute(
                "UPDATE deliveries SET state = CASE WHEN EXISTS"
                " (SELECT 1 FROM dead_letters WHERE dead_letters.seq = deliveries.seq)"
                " THEN 'failed' ELSE 'delivered' END"
                " WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM duties WHERE duties.seq = deliveries.seq)",
                (seq,),
            )
        emptied = connection.execute(
            "DELETE FROM queues WHERE sink = ? AND repository = ?"
            " AND NOT EXISTS (SELECT 1 FROM duties WHERE duties.sink = queues.sink"
            " AND duties.repository = queues.repository)",
            queue,
        ).rowcount
        if not emptied:
            connection.execute(
                "UPDATE queues SET due = ?, attempts = ?, error = ? WHERE sink = ? AND repository = ?",
                (outcome.due, outcome.attempts, outcome.error, *queue),
            )


def read_changes(connection: sqlite3.Connection, after: int = 0) -> Iterator[StoredChange]:
    """The changes of the deliveries behind place *after*, oldest first."""
    rows = connection.execute(
        "SELECT seq, dialect, id, changes FROM deliveries WHERE seq > ? ORDER BY seq", (after,)
    )
    for seq, dialect, name, changes in rows:
        for index, change in enumerate(_decode(changes)):
            yield StoredChange(seq, ChangeKey(dialect, name, index), change)


def read_deliveries(connection: sqlite3.Connection) -> Iterator[StoredDelivery]:
    """All deliveries, oldest first."""
    rows = connection.execute(
        "SELECT seq, dialect, id, received, state, count, length(body) FROM deliveries ORDER BY seq"
    )
    for row in rows:
        yield StoredDelivery(*row)


__all__ = ["SQLiteJournal", "SchemaError", "connect", "connect_to_read", "read_changes", "read_deliveries"]
