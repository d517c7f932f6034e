"""A database inside a transaction, as the journal's operations see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
#: The service, the dialect and the id of a delivery.
Name = tuple[str, str, str]
#: A row, whose values are accessed by column name.
Row = Mapping[str, Any]
#: How many rows are stored with one statement.
ROWS = 32
#: The longest text that is stored with a delivery, in characters.
LONGEST_TEXT = 500


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""

    def fetchone(self) -> Any:
        """The next row; None: there is none."""

    def fetchall(self) -> list[Any]:
        """All rows."""


class Session(Protocol):
    """A database, inside a transaction. Statements use the SQL that SQLite and PostgreSQL share, with ``?``
    for a parameter.
    """

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement."""

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> object:
        """Run a statement for each of *parameters*."""

    def insert(self, statement: str, names: Sequence[Name], parameters: Sequence[Any]) -> dict[Name, int]:
        """Run a statement that stores deliveries, except those whose names exist already.

        :param names: the names of the deliveries.
        :returns: the ``seq`` of each one that was stored.
        """

    def together(self) -> AbstractContextManager[object]:
        """A context whose statements are stored all or none; outside it, that is nearly always so, too."""

    def clock(self) -> float:
        """Seconds on a clock that all receivers share and nobody sets back."""

    def bytes(self) -> int:
        """The size of the journal, in bytes."""

    def break_off(self) -> None:
        """Make a blocked statement fail, if that is possible. Called in another thread."""


#: A function that is run in a transaction, and returns a T. It may have a ``size``: about how many bytes it
#: writes.
Operation = Callable[[Session], T]


@lru_cache(maxsize=8 * ROWS)
def of_many(statement: str, of_one: str, rows: int) -> str:
    """A statement with ``...`` replaced by *of_one*, repeated for each row."""
    return statement.replace("...", ", ".join([of_one] * rows))


def store_rows(session: Session, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement with ``VALUES ...`` for as many rows at a time as one statement can store."""
    if rows:
        of_one = f"({', '.join('?' * len(rows[0]))})"
        for first in range(0, len(rows), ROWS):
            some = rows[first : first + ROWS]
            session.execute(of_many(statement, of_one, len(some)), [value for row in some for value in row])


def among(values: Sequence[Any]) -> str:
    """``IN (?, ...)``."""
    return f"IN ({', '.join('?' * len(values))})"


def storable(text: str, longest: int = LONGEST_TEXT) -> str:
    """A text that both databases can store, shortened."""
    text = text[:longest]
    if text.isascii():
        return text.replace("\0", "\ufffd") if "\0" in text else text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


__all__ = [
    "LONGEST_TEXT",
    "ROWS",
    "Name",
    "Operation",
    "Row",
    "Rows",
    "Session",
    "among",
    "of_many",
    "storable",
    "store_rows",
]
