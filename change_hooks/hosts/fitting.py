"""What Buildbot's database can hold of a change.

Strategy: what only decorates a change (the author, file names, the text) is made to fit, and a property says
so. What tells a build what to fetch (branch, revision, repository …) means something else when it is cut, so
a change with one of those too long is refused for good, with the reason. SQLite holds texts of any length;
the other databases do not.

Source: Buildbot, ``buildbot/db/model.py``.
"""

from __future__ import annotations

from typing import Any

from change_hooks.core.sink_answers import SinkRefused

#: The property that lists the fields that were made to fit.
FITTED = "change_hook_fitted"
#: What tells a build what to fetch.
_MEANING = ("branch", "revision", "repository", "project", "codebase", "category")
#: What may be cut.
_CUT = ("author", "committer", "revlink")
#: The last moment that fits into a column of the type Integer; and into Python's dates, at the end of 9999.
_LATEST = 2**31 - 1
_LATEST_ANY = 253_402_300_799


class Limits:
    """What a master's database holds; a length of None: any.

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
        """Of a field of the change, in characters."""
        longest = self._length(self._changes[name])
        user = self._length(self._user)
        if name == "author" and longest is not None and user is not None:
            return min(longest, user)  # An author becomes a user, whose columns are shorter.
        return longest

    @property
    def latest(self) -> int:
        """The last moment, in seconds since the epoch."""
        return _LATEST_ANY if self._any_length else _LATEST

    @property
    def file(self) -> int | None:
        """Of a file's name, in characters."""
        return self._length(self._file)

    @property
    def property(self) -> int | None:
        """Of a property's name, in characters."""
        return self._length(self._property)


def fitted(fields: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """The arguments of ``addChange``, made to fit.

    :param fields: of the change; not changed.
    :raises SinkRefused: a field that tells what to fetch does not fit.
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
        raise SinkRefused(f"{name} has a zero character, which Buildbot's database cannot hold")
    if longest is not None and len(value) > longest:
        raise SinkRefused(
            f"{name} has {len(value)} characters; Buildbot's database holds {longest}, and cut it would mean"
            " something else"
        )


def _text(value: str | None, longest: int | None) -> str | None:
    if value is None:
        return None
    value = value.replace("\0", "\ufffd")
    return value if longest is None or len(value) <= longest else f"{value[: longest - 1]}…"


__all__ = ["FITTED", "Limits", "fitted"]
