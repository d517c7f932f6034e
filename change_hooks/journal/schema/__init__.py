"""The tables, one file per schema version, for both databases.

Strategy: a file uses the SQL that SQLite and PostgreSQL share. Types whose names differ are in braces; a
statement that only one of them needs is in a comment that begins with the database's name. The head of a file
says which versions of this package may continue to write after the upgrade: those that know the version named
there. So receivers can be upgraded one after another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import msgspec

_TYPES = {
    "sqlite": {
        "PLACE": "INTEGER PRIMARY KEY",
        "NUMBER": "INTEGER",
        "SECONDS": "REAL",
        "NAME": "TEXT",
        "BYTES": "BLOB",
        "EMPTY": "X''",
        "COMPACT": " WITHOUT ROWID",
    },
    "postgresql": {
        "PLACE": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "NUMBER": "BIGINT",
        "SECONDS": "DOUBLE PRECISION",
        "NAME": 'TEXT COLLATE "C"',
        "BYTES": "BYTEA",
        "EMPTY": "''",
        "COMPACT": "",
    },
}
_COMPATIBLE = re.compile(r"^-- compatible: (\d+)$", re.MULTILINE)

#: The conditions of the partial indexes. SQLite uses an index only if a statement repeats its condition
#: exactly.
UNDONE = "state IN ('pending', 'waiting', 'failed')"
IS_TRACE = "state IN ('ignored', 'refused')"
IS_ACCEPTED = "state NOT IN ('ignored', 'refused')"

SELECT_VERSION = "SELECT version, compatible FROM schema_version"
INSERT_VERSION = "INSERT INTO schema_version (version, compatible) VALUES (?, ?)"
UPGRADE = "the journal was written by a newer version of change-hooks; upgrade"
SERVE = (
    "the journal was written by an older version of change-hooks; 'change-hooks serve' brings it up to date"
)
UNRELEASED = (
    "the journal was written by a version of change-hooks that was never released, and cannot be read;"
    " move it out of the way"
)


class SchemaError(Exception):
    """The journal was written by another version of this package."""


class Version(msgspec.Struct, frozen=True):
    """The version of the tables.

    :param number: 0: there are no tables yet.
    :param compatible: programs that know this version may continue to write.
    """

    number: int = 0
    compatible: int = 0


class Migration(msgspec.Struct, frozen=True):
    """The upgrade from the previous version of the tables."""

    version: Version
    statements: tuple[str, ...]


@cache
def migrations(database: str) -> tuple[Migration, ...]:
    """All migrations, oldest first.

    :param database: ``sqlite`` or ``postgresql``.
    """
    found = {}
    for file in files(__name__).iterdir():
        if file.name.endswith(".sql"):
            number = int(file.name.partition("_")[0])
            found[number] = _read(number, file.read_text("utf-8"), database)
    return tuple(found[number] for number in sorted(found))


def _read(number: int, text: str, database: str) -> Migration:
    compatible = _COMPATIBLE.search(text)
    if compatible is None:
        raise ValueError(f"version {number} of the schema does not say what it is compatible with")
    text = text.replace(f"-- {database}: ", "")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    for name, word in _TYPES[database].items():
        code = code.replace(f"{{{name}}}", word)
    statements = tuple(filter(None, (statement.strip() for statement in code.split(";"))))
    return Migration(Version(number, int(compatible[1])), statements)


def known(database: str) -> Version:
    """The version that this package creates."""
    return migrations(database)[-1].version


def to_do(database: str, there: Version) -> Iterator[Migration]:
    """The migrations that bring tables up to date.

    :param there: the present version of the tables.
    :raises SchemaError: a newer package wrote the tables, and this one may not continue.
    """
    refuse_newer(database, there)
    return (each for each in migrations(database) if each.version.number > there.number)


def refuse_newer(database: str, there: Version) -> None:
    """Refuse tables that a newer package wrote, unless this one may continue.

    :raises SchemaError: it may not.
    """
    if there.compatible > known(database).number:
        raise SchemaError(UPGRADE)


def refuse_other(database: str, there: Version) -> None:
    """Refuse to read tables that are incomplete or incompatible.

    :raises SchemaError: they are.
    """
    refuse_newer(database, there)
    if there.number < known(database).number:
        raise SchemaError(SERVE)


__all__ = [
    "INSERT_VERSION",
    "IS_ACCEPTED",
    "IS_TRACE",
    "SELECT_VERSION",
    "SERVE",
    "UNDONE",
    "UNRELEASED",
    "UPGRADE",
    "Migration",
    "SchemaError",
    "Version",
    "known",
    "migrations",
    "refuse_newer",
    "refuse_other",
    "to_do",
]
