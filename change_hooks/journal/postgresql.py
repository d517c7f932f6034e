"""A journal in PostgreSQL, for any number of receivers on any number of machines.

Strategy: a receiver's group of writes is one transaction, and one lock orders the groups of all receivers,
so places in the journal are in the order of commits, and no two groups can stand in each other's way. The
commit that holds it is the one that waits for the disk, and each carries all that came in meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg

from change_hooks.journal.sql import Name, SQLJournal, refuse_newer, refuse_other, run_operations
from change_hooks.journal.writer import Operation
from change_hooks.observer import NOBODY, Observer

#: The advisory lock that a transaction takes before it writes: ASCII "chhk".
LOCK = 0x6368686B
#: How a transaction begins. Both statements take one way to the server and back.
_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock({LOCK})"
#: How to notice a server, or a way to it, that is gone without a word; seconds, and milliseconds at the end.
_ALIVE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
#: What keeps a receiver that hangs from stopping the others, and a commit durable.
_SETTINGS = """
    SET idle_in_transaction_session_timeout = '15s';
    SET lock_timeout = '20s';
    SET statement_timeout = '30s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SET search_path = change_hooks
"""

_MIGRATIONS = (
    """
    CREATE TABLE deliveries (
        seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dialect TEXT NOT NULL,
        id TEXT NOT NULL,
        received DOUBLE PRECISION NOT NULL,
        state TEXT NOT NULL,
        head BYTEA NOT NULL,
        body BYTEA NOT NULL,
        changes BYTEA NOT NULL,
        count INTEGER NOT NULL,
        owner TEXT NOT NULL DEFAULT '',
        lease DOUBLE PRECISION NOT NULL DEFAULT 0,
        due DOUBLE PRECISION NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        UNIQUE (dialect, id)
    );
    CREATE INDEX deliveries_received ON deliveries (received);
    CREATE INDEX deliveries_undone ON deliveries (state, received) WHERE state <> 'delivered';
    CREATE TABLE queues (
        sink TEXT NOT NULL,
        repository TEXT NOT NULL,
        due DOUBLE PRECISION NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        owner TEXT NOT NULL DEFAULT '',
        lease DOUBLE PRECISION NOT NULL DEFAULT 0,
        PRIMARY KEY (sink, repository)
    );
    CREATE INDEX queues_due ON queues (sink, due, repository);
    CREATE TABLE duties (
        sink TEXT NOT NULL,
        repository TEXT NOT NULL,
        seq BIGINT NOT NULL REFERENCES deliveries,
        next INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (sink, repository, seq)
    );
    CREATE INDEX duties_seq ON duties (seq);
    CREATE TABLE dead_letters (
        sink TEXT NOT NULL,
        seq BIGINT NOT NULL REFERENCES deliveries,
        change INTEGER NOT NULL,
        error TEXT NOT NULL,
        PRIMARY KEY (sink, seq, change)
    );
    CREATE INDEX dead_letters_seq ON dead_letters (seq);
    CREATE TABLE memory (name TEXT PRIMARY KEY, value BYTEA NOT NULL);
    """,
    """
    ALTER TABLE deliveries ADD COLUMN large_body TEXT NOT NULL DEFAULT '';
    ALTER TABLE deliveries ADD COLUMN large_changes TEXT NOT NULL DEFAULT '';
    CREATE TABLE large (
        name TEXT PRIMARY KEY,
        seq BIGINT REFERENCES deliveries,
        since DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX large_seq ON large (seq);
    CREATE TABLE pieces (
        name TEXT NOT NULL,
        document INTEGER NOT NULL,
        part INTEGER NOT NULL,
        data BYTEA NOT NULL,
        PRIMARY KEY (name, document, part)
    );
    ALTER TABLE pieces ALTER data SET STORAGE EXTERNAL;
    """,
    """
    ALTER TABLE deliveries ADD COLUMN body_size INTEGER;
    ALTER TABLE deliveries ADD COLUMN changes_size INTEGER;
    ALTER TABLE deliveries ALTER body SET STORAGE EXTERNAL;
    ALTER TABLE deliveries ALTER changes SET STORAGE EXTERNAL;
    ALTER TABLE pieces ADD COLUMN size INTEGER;
    """,
)


class Session:
    """See :class:`change_hooks.journal.sql.Session`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement."""
        return self._connection.execute(_translated(statement), parameters)

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of *parameters*."""
        rows = list(parameters)
        if rows:
            with self._connection.cursor() as cursor:
                cursor.executemany(_translated(statement), rows)

    def insert(self, statement: str, names: Sequence[Name], parameters: Sequence[Any]) -> dict[Name, int]:
        """See :meth:`change_hooks.journal.sql.Session.insert`."""
        stored = self.execute(f"{statement} RETURNING seq, dialect, id", parameters)
        return {(dialect, name): seq for seq, dialect, name in stored.fetchall()}

    def clock(self) -> float:
        """The server's time, in seconds since the epoch."""
        row = self._connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        return float(row[0]) if row else 0.0


def _translated(statement: str) -> Any:
    return statement.replace("?", "%s")


class PostgreSQLStore:
    """A connection, used in one thread. See :class:`~change_hooks.journal.writer.Store`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Run the operations in one transaction; after any error, connect anew for the next one."""
        try:
            if self._connection is None:
                self._connection = connect(self._url)
            connection = self._connection
            connection.execute(_BEGIN)
            results = run_operations(Session(connection), operations)
            connection.execute("COMMIT")
        except BaseException:
            self.close()
            raise
        return results

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def connect(url: str) -> psycopg.Connection[Any]:
    """Connect, and bring the tables, in the schema ``change_hooks``, up to date.

    :raises SchemaError: a newer version wrote them.
    :raises psycopg.Error: the server says no, or nothing.
    """
    connection = psycopg.connect(url, application_name="change-hooks", autocommit=True, **_ALIVE)  # type: ignore[arg-type]
    try:
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_SETTINGS)
    connection.execute(_BEGIN)
    known = connection.execute("SELECT to_regclass('change_hooks.schema_version')").fetchone()
    if known is None or known[0] is None:
        connection.execute(
            "CREATE SCHEMA IF NOT EXISTS change_hooks;"
            "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (0)"
        )
    version = _version(connection)
    refuse_newer(version, len(_MIGRATIONS))
    for script in _MIGRATIONS[version:]:
        connection.execute(script)
    connection.execute("UPDATE schema_version SET version = %s WHERE version <> %s", [len(_MIGRATIONS)] * 2)
    connection.execute("COMMIT")


def connect_to_read(url: str) -> Session:
    """Connect for reading, beside whoever writes.

    :raises FileNotFoundError: there is no journal in this database.
    :raises SchemaError: another version wrote it.
    """
    connection = psycopg.connect(url, application_name="change-hooks", autocommit=True, **_ALIVE)  # type: ignore[arg-type]
    known = connection.execute("SELECT to_regclass('change_hooks.deliveries')").fetchone()
    if known is None or known[0] is None:
        connection.close()
        raise FileNotFoundError("there is no journal in this database; 'change-hooks serve' makes it")
    connection.execute("SET search_path = change_hooks; SET default_transaction_read_only = on")
    try:
        refuse_other(_version(connection), len(_MIGRATIONS))
    except BaseException:
        connection.close()
        raise
    return Session(connection)


def _version(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    return int(row[0]) if row else 0


def postgresql_journal(
    url: str,
    to_reactor: Callable[..., Any],
    soon: Callable[..., Any] | None = None,
    observer: Observer = NOBODY,
) -> SQLJournal:
    """A journal in the database *url*."""
    return SQLJournal(PostgreSQLStore(url), to_reactor, soon, observer)


__all__ = ["LOCK", "PostgreSQLStore", "Session", "connect", "connect_to_read", "postgresql_journal"]
