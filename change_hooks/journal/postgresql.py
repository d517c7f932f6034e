"""A journal in PostgreSQL, for any number of receivers on any number of machines.

Strategy: a receiver's group of writes is one transaction, and a lock puts the groups of all receivers in
order. So sequence numbers are in the order of commits, and groups cannot conflict. The commit that holds the
lock waits for the disk, and the next one includes everything that has arrived meanwhile.

A connection keeps no state from one transaction to the next, so that a pooler may use a different one for
each: settings are local to the transaction, and no statement is prepared.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from threading import Lock
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import DictRow, dict_row

from change_hooks.journal import schema
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.operations import run_operations
from change_hooks.journal.session import Name, Operation
from change_hooks.observer import NOBODY, Observer

#: The database's name in the schema files.
DATABASE = "postgresql"
#: The advisory lock that a transaction takes before it writes: ASCII "chhk".
LOCK = 0x6368686B
_SCHEMA = "SET LOCAL search_path = change_hooks"
#: The beginning of a transaction, in one round trip. The settings keep a hanging receiver from blocking the
#: others, and make commits durable.
_BEGIN = f"""
    BEGIN;
    SET LOCAL idle_in_transaction_session_timeout = '5s';
    SET LOCAL lock_timeout = '3s';
    SET LOCAL statement_timeout = '30s';
    SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
    {_SCHEMA};
    SELECT pg_advisory_xact_lock({LOCK})
"""
#: How to notice a server, or a network, that is gone silently; in seconds, and the last one in milliseconds.
_ALIVE = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

Connection = psycopg.Connection[DictRow]


class Session:
    """See :class:`change_hooks.journal.session.Session`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._closing = Lock()

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
        """See :meth:`change_hooks.journal.session.Session.insert`."""
        stored = self.execute(f"{statement} RETURNING seq, service, dialect, id", parameters)
        return {(row["service"], row["dialect"], row["id"]): row["seq"] for row in stored.fetchall()}

    @staticmethod
    def together() -> AbstractContextManager[object]:
        """See :meth:`change_hooks.journal.session.Session.together`."""
        return nullcontext()

    def clock(self) -> float:
        """The server's time, in seconds since the epoch."""
        row = self.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS now").fetchone()
        return float(row["now"])

    def bytes(self) -> int:
        """See :meth:`change_hooks.journal.session.Session.bytes`."""
        row = self.execute(
            "SELECT sum(pg_total_relation_size(oid))::bigint AS size FROM pg_class"
            " WHERE relnamespace = 'change_hooks'::regnamespace AND relkind = 'r'"
        ).fetchone()
        return int(row["size"])

    def commit(self) -> None:
        """See :func:`commit`."""
        commit(self._connection)

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        with self._closing:
            self._connection.close()

    def break_off(self) -> None:
        """See :meth:`change_hooks.journal.session.Session.break_off`."""
        # The descriptor may belong to something else as soon as it is closed.
        with (
            self._closing,
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.fileno())) as connection,
        ):
            connection.shutdown(socket.SHUT_RDWR)


class ReadingSession(Session):
    """A session outside a transaction: each statement is a transaction of its own."""

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement."""
        with self._connection.transaction():
            self._connection.execute(f"SET TRANSACTION READ ONLY; {_SCHEMA}")
            return super().execute(statement, parameters)


def _translated(statement: str) -> Any:
    return statement.replace("?", "%s")


class PostgreSQLStore:
    """A connection, used in one thread. See :class:`~change_hooks.journal.writer.Store`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: Session | None = None

    def transact(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Run the operations in one transaction; after any error, connect again for the next one."""
        try:
            if self._session is None:
                connection = _connect(self._url)
                self._session = Session(connection)
                _migrate(connection)
            session = self._session
            session.execute(_BEGIN)
            results = run_operations(session, operations)
            session.commit()
        except BaseException:
            self.close()
            raise
        return results

    @staticmethod
    def is_failure(error: Exception) -> bool:
        """See :meth:`change_hooks.journal.writer.Store.is_failure`."""
        blamed = (
            psycopg.DataError,
            psycopg.IntegrityError,
            psycopg.ProgrammingError,
            psycopg.NotSupportedError,
        )
        if isinstance(error, blamed):
            return False
        return isinstance(error, (psycopg.Error, OSError, schema.SchemaError))

    def reading(self) -> Session:
        """See :meth:`change_hooks.journal.writer.Store.reading`."""
        return connect_to_read(self._url)

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def break_off(self) -> None:
        """See :meth:`change_hooks.journal.writer.Store.break_off`."""
        session = self._session
        if session is not None:
            session.break_off()


class NotCommitted(psycopg.OperationalError):
    """The server reports that a transaction is committed, but less durably than configured."""


def commit(connection: Connection) -> None:
    """Commit, as durably as the server is configured to.

    :raises NotCommitted: the transaction was not committed; or the server did not wait for its standby, which
        it reports only as a warning.
    """
    warnings: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        warnings.append(notice.message_primary or "")

    connection.add_notice_handler(hear)
    try:
        done = connection.execute("COMMIT")
    finally:
        connection.remove_notice_handler(hear)
    if warnings or done.statusmessage != "COMMIT":
        raise NotCommitted("; ".join(warnings) or f"the transaction ended with {done.statusmessage}")


def _connect(url: str) -> Connection:
    return psycopg.connect(
        url,
        application_name="change-hooks",
        autocommit=True,
        prepare_threshold=None,
        row_factory=dict_row,
        **_ALIVE,  # type: ignore[arg-type]
    )


def connect(url: str) -> Connection:
    """Connect, and bring the tables, in the schema ``change_hooks``, up to date.

    :raises SchemaError: another version wrote the tables, and this one may not continue.
    :raises psycopg.Error: the server refuses, or does not respond.
    """
    connection = _connect(url)
    try:
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: Connection) -> None:
    connection.execute(_BEGIN)
    there = _version(connection)
    if not there.number:
        connection.execute("CREATE SCHEMA IF NOT EXISTS change_hooks")
    for migration in schema.to_do(DATABASE, there):
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute("DELETE FROM schema_version")
        connection.execute(
            _translated(schema.INSERT_VERSION), (migration.version.number, migration.version.compatible)
        )
    commit(connection)


def _version(connection: Connection) -> schema.Version:
    """:raises SchemaError: no version can read the tables."""
    known = connection.execute("SELECT to_regclass('change_hooks.schema_version') AS there").fetchone()
    if known is None or known["there"] is None:
        return schema.Version()
    try:
        row = connection.execute(schema.SELECT_VERSION).fetchone()
    except errors.UndefinedColumn:
        raise schema.SchemaError(schema.UNRELEASED) from None
    return schema.Version(row["version"], row["compatible"]) if row else schema.Version()


def may_pass(error: Exception) -> bool:
    """Whether an error of connecting may be temporary: the server may not be available yet."""
    return isinstance(error, (psycopg.OperationalError, OSError))


def connect_to_read(url: str) -> ReadingSession:
    """Connect for reading, while others write.

    :raises FileNotFoundError: there is no journal in this database.
    :raises SchemaError: another version wrote the journal.
    """
    connection = _connect(url)
    try:
        with connection.transaction():
            connection.execute(_SCHEMA)
            there = _version(connection)
        if not there.number:
            raise FileNotFoundError("there is no journal in this database; 'change-hooks serve' creates it")
        schema.refuse_other(DATABASE, there)
    except BaseException:
        connection.close()
        raise
    return ReadingSession(connection)


def postgresql_journal(
    url: str,
    to_reactor: Callable[..., Any],
    later: Callable[..., Any] | None = None,
    observer: Observer = NOBODY,
    *,
    service: str = "",
) -> SQLJournal:
    """A journal in the database *url*."""
    return SQLJournal(PostgreSQLStore(url), to_reactor, later, observer, service=service)


__all__ = [
    "LOCK",
    "NotCommitted",
    "PostgreSQLStore",
    "Session",
    "connect",
    "connect_to_read",
    "may_pass",
    "postgresql_journal",
]
