"""Fits changes into Buildbot's database.

Strategy: fields that only describe a change (the author, file names, the text) are shortened, and a property
says so. A field that tells a build what to fetch (branch, revision, repository …) would mean something else
if it were shortened, so a change in which such a field is too long is permanently refused, with the reason.
SQLite stores texts of any length; the other databases do not.

Source: Buildbot, ``buildbot/db/model.py``.
"""

from __future__ import annotations

from typing import Any

from change_hooks.core.sink_answers import SinkRefused

#: The property that lists the fields that were shortened.
FITTED = "change_hook_fitted"
#: The fields that tell a build what to fetch.
_MEANING = ("branch", "revision", "repository", "project", "codebase", "category")
#: The fields that may be shortened.
_CUT = ("author", "committer", "revlink")
#: The last time that fits into a column of type Integer; and into Python's dates, at the end of 9999.
_LATEST = 2**31 - 1
_LATEST_ANY = 253_402_300_799


class Limits:
    """The limits of a master's database; None: there is no limit.

    :param master: the BuildMaster.
    """

    def __init__(self, master: Any) -> None:
        model = master.db.model
        self._changes = model.changes.c
        self._file = model.change_files.c.filename
        self._property = model.change_properties.c.property_name
        self._user = model.users_info.c.attr_data
        self._any_length = master.db.pool.engine.dialect.name == "sqlite"

    def _length(self, column: Any) -> int | None:
        length: int | None = None if self._any_length else column.type.length
        return length

    def field(self, name: str) -> int | None:
        """The longest value of a field of the change, in characters."""
        longest = self._length(self._changes[name])
        user = self._length(self._user)
        if name == "author" and longest is not None and user is not None:
            return min(longest, user)  # An author becomes a user, whose columns are shorter.
        return longest

    @property
    def latest(self) -> int:
        """The last time that can be stored, in seconds since the epoch."""
        return _LATEST_ANY if self._any_length else _LATEST

    @property
    def file(self) -> int | None:
        """The longest file name, in characters."""
        return self._length(self._file)

    @property
    def property(self) -> int | None:
        """The longest name of a property, in characters."""
        return self._length(self._property)


def fitted(fields: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """The arguments of ``addChange``, shortened where necessary.

    :param fields: those of the change; not modified.
    :raises SinkRefused: a field that tells what to fetch is too long.
    """
    for name in _MEANING:
        _refuse_unfit(name, fields[name], limits.field(name))
    fit: dict[str, Any] = {name: _text(fields[name], limits.field(name)) for name in _CUT}
    fit["comments"] = _text(fields["comments"], None)
    fit["files"] = [_text(path, limits.file) for path in fields["files"]]
    when = fields["when_timestamp"]
    fit["when_timestamp"] = when if when is None or 0 <= when <= limits.latest else None
    properties = fields["properties"]
    fit["properties"] = {_text(name, limits.property): value for name, value in properties.items()}
    changed = [name for name, value in fit.items() if value != fields[name]]
    if changed:
        fit["properties"][FITTED] = changed
    return {**fields, **fit}


def _refuse_unfit(name: str, value: str | None, longest: int | None) -> None:
    if value is None:
        return
    if "\0" in value:
        raise SinkRefused(f"{name} contains a zero character, which Buildbot's database cannot store")
    if longest is not None and len(value) > longest:
        raise SinkRefused(
            f"{name} has {len(value)} characters; Buildbot's database can store {longest}, and shortened it"
            " would mean something else"
        )


def _text(value: str | None, longest: int | None) -> str | None:
    if value is None:
        return None
    value = value.replace("\0", "\ufffd")
    return value if longest is None or len(value) <= longest else f"{value[: longest - 1]}…"


__all__ = ["FITTED", "Limits", "fitted"]
