"""The address of a journal: the path of a file, or a PostgreSQL URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Error as SQLiteError
from types import ModuleType
from typing import Any

from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.core.shown import reason_of
from change_hooks.journal import sqlite
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.files import require_locks
from change_hooks.journal.reader import Reader
from change_hooks.journal.schema import SchemaError
from change_hooks.observer import NOBODY, Observer

#: A file for SQLite, or the URL of a PostgreSQL database.
Address = Path | str


def make_journal(
    address: Address,
    to_reactor: Callable[..., Any],
    later: Callable[..., Any] | None = None,
    observer: Observer = NOBODY,
    *,
    service: str = "",
) -> SQLJournal:
    """The journal at *address*; nothing is opened yet.

    :param to_reactor: runs a function in the reactor's thread.
    :param later: runs a function in the reactor's thread after a number of seconds.
    :param observer: notified of each transaction.
    :param service: the name of the service that uses it.
    :raises ConfigurationError: the package for it is not installed.
    """
    if isinstance(address, Path):
        return sqlite.sqlite_journal(address, to_reactor, later, observer, service=service)
    journal: SQLJournal = _postgresql().postgresql_journal(
        address, to_reactor, later, observer, service=service
    )
    return journal


def check_journal(address: Address) -> None:
    """Open the journal once, and create or upgrade its tables.

    :raises ConfigurationError: the journal cannot be used.
    :raises Unavailable: the journal cannot be used now, but that may be temporary.
    """
    with _told(address):
        try:
            if isinstance(address, Path):
                sqlite.connect(address).close()
                require_locks(address)
            else:
                _postgresql().connect(address).close()
        except Exception as error:
            may_pass = sqlite.may_pass if isinstance(address, Path) else _postgresql().may_pass
            if may_pass(error):
                raise Unavailable(f"{shown(address)}: {error}") from error
            raise


def open_reader(address: Address) -> Reader:
    """Open the journal at *address* for reading.

    :raises FileNotFoundError: there is no journal.
    :raises ConfigurationError: the journal cannot be read.
    """
    with _told(address, but=FileNotFoundError):
        if isinstance(address, Path):
            return Reader(sqlite.connect_to_read(address))
        return Reader(_postgresql().connect_to_read(address))


@contextmanager
def _told(address: Address, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Add the journal's address to errors.

    :param but: errors that are raised unchanged.
    """
    errors: tuple[type[Exception], ...] = (OSError, SQLiteError, SchemaError)
    if not isinstance(address, Path):
        errors = (*errors, _postgresql().psycopg.Error)
    try:
        yield
    except but:
        raise
    except errors as error:
        raise ConfigurationError([f"change_hook_journal: {shown(address)}: {reason_of(error)}"]) from error


def _postgresql() -> ModuleType:
    try:
        from change_hooks.journal import postgresql
    except ImportError as error:
        raise ConfigurationError(
            [f"change_hook_journal: PostgreSQL needs: pip install 'change-hooks[postgres]' ({error})"]
        ) from error
    return postgresql


def shown(address: Address | None) -> str:
    """An address that may be shown: without a password."""
    if address is None:
        return "none"
    if isinstance(address, Path):
        return str(address)
    place, _, query = address.partition("://")[2].partition("?")
    # Everything before the last "@" may belong to a password, encoded or not.
    return "postgresql://..." if "@" in query else f"postgresql://{place.rpartition('@')[2]}"


def is_valid(url: str) -> bool:
    """Whether PostgreSQL's library understands a URL. Otherwise the library would quote the URL in its
    errors, with the password, for instance if special characters in the password are not encoded.
    """
    login = url.partition("://")[2].partition("?")[0].rpartition("@")[0]
    if "/" in login or "@" in login:
        return False
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        return True  # The code that uses the library reports that it is missing.
    try:
        ports = str(conninfo_to_dict(url).get("port", ""))
    except ProgrammingError:
        return False
    return ports.replace(",", "").isdigit() or not ports


__all__ = ["Address", "check_journal", "is_valid", "make_journal", "open_reader", "shown"]
