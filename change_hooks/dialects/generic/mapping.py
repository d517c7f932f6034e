"""Maps any JSON to neutral events, or directly to changes, as a user's mapping says.

Strategy: each table of fields below has the conversion from what a selector finds to the field's value. A
value that is missing or has the wrong type is noted under the path that the user wrote; only that field is
left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from change_hooks.core.change import MISSING as MISSING_FIELDS
from change_hooks.core.change import Change, moment, person
from change_hooks.core.events import (
    Commit,
    Ignored,
    Person,
    RefUpdate,
    Repository,
    revision_or_none,
)
from change_hooks.core.names import check_names
from change_hooks.core.options import texts
from change_hooks.core.payload import epoch
from change_hooks.core.select import matches, within
from change_hooks.dialects.generic.selectors import MISSING, Scope, Selector, as_text, selector

#: The property that lists the paths of the mapping that are not in the payload.
NOT_FOUND = "change_hook_not_found"
#: A larger number is a time in milliseconds: in seconds it would be in the year 5138.
_SECONDS_END = 1e11
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_ORDERS = ("oldest first", "newest first")
Convert = Callable[[Any], Any]


# Conversions: MISSING for a value of the wrong type --------------------------------------------------


def _text(value: Any) -> Any:
    found = as_text(value)
    return MISSING if found is None else found


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else MISSING


def _count(value: Any) -> Any:
    return value if isinstance(value, int) and not isinstance(value, bool) else MISSING


def _when(value: Any) -> Any:
    """Seconds since the epoch, from seconds or milliseconds (a number or digits), or from a date."""
    if isinstance(value, str):
        known = epoch(value)
        if known is not None:
            return known
        if _NUMBER.fullmatch(value) is None:
            return MISSING
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return MISSING
    known = moment(value, 1000 if abs(value) >= _SECONDS_END else 1)
    return MISSING if known is None else known


def _files(value: Any) -> Any:
    """Paths, from one path, a list of paths, or a mapping whose keys are paths."""
    if isinstance(value, str):
        return [value]
    return [path for path in value if isinstance(path, str)] if isinstance(value, (list, dict)) else MISSING


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else MISSING


#: The fields that each table may have, and what makes their values.
COMMIT: dict[str, Convert] = {
    **dict.fromkeys(
        ("id", "message", "author", "author_name", "author_email", "committer", "url", "branch"), _text
    ),
    "when": _when,
    "files": _files,
}
REF: dict[str, Convert] = {
    **dict.fromkeys(("ref", "before", "after", "url", "sender", "sender_name", "sender_email"), _text),
    **dict.fromkeys(("tag", "forced"), _flag),
    "total": _count,
    "when": _when,
}
REPOSITORY: dict[str, Convert] = dict.fromkeys(
    ("full_name", "name", "project", "url", "https", "ssh", "html", "src"), _text
)
CHANGE: dict[str, Convert] = {
    **dict.fromkeys(
        (
            "author",
            "committer",
            "comments",
            "revision",
            "branch",
            "category",
            "revlink",
            "repository",
            "project",
        ),
        _text,
    ),
    **dict.fromkeys(("codebase", "src"), _text),
    "files": _files,
    "when_timestamp": _when,
    "properties": _object,
}


@dataclass(frozen=True)
class Table:
    """A set of fields, each with the selector of its value.

    :param each: the selector of the list, or the mapping, of the items; None: there is one item.
    :param newest_first: the order of the list.
    :param skip: an item is left out if one of these values matches one of its fnmatch patterns.
    """

    fields: Mapping[str, tuple[Selector, ...]]
    conversions: Mapping[str, Convert]
    each: Selector | None = None
    newest_first: bool = False
    skip: tuple[tuple[Selector, tuple[str, ...]], ...] = ()

    def items(self, scope: Scope) -> Iterator[Scope]:
        """The scopes of the wanted items; none if there is no list."""
        for item in self._all(scope):
            if not any(matches(as_text(one.find(item)), patterns) for one, patterns in self.skip):
                yield item

    def _all(self, scope: Scope) -> Iterator[Scope]:
        if self.each is None:
            yield scope
            return
        found = self.each.find(scope)
        if isinstance(found, list):
            for item in found[::-1] if self.newest_first else found:
                yield scope.inside(item)
        elif isinstance(found, dict):
            for key, item in found.items():
                yield scope.inside(item, key)
        elif found is not None:
            scope.note(self.each.name)

    def read(self, scope: Scope) -> dict[str, Any]:
        """The values that were found. None: the sender sent ``null``."""
        values: dict[str, Any] = {}
        for name, selectors in self.fields.items():
            found = [self._find(name, one, scope) for one in selectors]
            there = [value for value in found if value is not MISSING]
            if name == "files" and (listed := [value for value in there if value is not None]):
                values[name] = [path for paths in listed for path in paths]
            elif there:
                values[name] = there[0]
        return values

    def _find(self, name: str, one: Selector, scope: Scope) -> Any:
        value = one.find(scope)
        if value is None:
            return None
        if value is not MISSING:
            value = self.conversions[name](value)
        if value is MISSING:
            scope.note(one.name)
        return value


# What a user may write ----------------------------------------------------------------------------


def commits(written: object) -> Table:
    """Compile the option ``commits``."""
    return _table(written, COMMIT, ("each", "order", "skip"), needs=("each", "id"))


def refs(written: object) -> Table:
    """Compile the option ``refs``."""
    return _table(written, REF, ("each", "skip"), needs=("ref",))


def repository(written: object) -> Table:
    """Compile the option ``repository``."""
    return _table(written, REPOSITORY)


def change(written: object) -> Table:
    """Compile the option ``change``."""
    return _table(written, CHANGE, ("each", "order", "skip"))


def properties(written: object) -> Table:
    """Compile the option ``properties``, in which any name is allowed."""
    if not isinstance(written, Mapping) or not all(isinstance(name, str) for name in written):
        raise TypeError("must be a dict of names and paths")
    return _table(written, dict.fromkeys(written, lambda value: value))


def _table(
    written: object,
    conversions: Mapping[str, Convert],
    more: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
) -> Table:
    """Compile a dict of fields.

    :raises TypeError: the dict, or a value in it, has the wrong type; the message follows the option's name.
    :raises ValueError: a name in it is unknown or missing.
    """
    if not isinstance(written, Mapping):
        raise TypeError(f"must be a dict of fields, not {type(written).__name__}")
    check_names(written, (*more, *conversions))
    for name in needs:
        if name not in written:
            raise ValueError(f"needs {name!r}")
    order = written.get("order", _ORDERS[0]) if "order" in more else _ORDERS[0]
    if order not in _ORDERS:
        raise ValueError(f"has the 'order' {order!r}; valid names are {', '.join(_ORDERS)}")
    fields = {name: _field(name, value) for name, value in written.items() if name not in more}
    each = _field("each", written["each"])[0] if "each" in more and "each" in written else None
    skip = _skip(written["skip"]) if "skip" in more and "skip" in written else ()
    return Table(fields, conversions, each, order == _ORDERS[1], skip)


def _skip(written: object) -> tuple[tuple[Selector, tuple[str, ...]], ...]:
    if not isinstance(written, Mapping):
        raise TypeError("has a 'skip' that is not a dict of paths and patterns")
    try:
        return tuple((_field("skip", path)[0], texts(patterns)) for path, patterns in written.items())
    except TypeError as error:
        raise TypeError(f"has a 'skip' whose patterns {error}") from None


def _field(name: str, value: object) -> tuple[Selector, ...]:
    # A list of files is the union of all; any other list means its first value that is present.
    values = value if name == "files" and isinstance(value, (list, tuple)) else [value]
    try:
        found = tuple(selector(one) for one in values)
        if any(one.headers for one in found):
            raise ValueError("reads a header; only 'event' and 'id' may")
        return found
    except (TypeError, ValueError) as error:
        raise type(error)(f"has a {name!r} that {error}") from None


@dataclass(frozen=True)
class Mapper:
    """A user's whole mapping."""

    refs: Table | None
    commits: Table | None
    repository: Table | None
    change: Table | None
    properties: Table | None
    src: str

    def changes(self, scope: Scope) -> list[Change] | Ignored:
        """The changes that ``change`` describes."""
        table = self.change
        if table is None:
            return []
        found = [fields for item in table.items(scope) if (fields := table.read(item))]
        if not found:
            return _nothing(scope, "the payload has none of the values that 'change' names")
        more = self._more(scope)
        return [self._change(fields, more, len(found)) for fields in found]

    def _change(self, fields: Mapping[str, Any], more: Mapping[str, Any], count: int) -> Change:
        """One of *count* changes."""
        known = {"src": self.src, **{name: value for name, value in fields.items() if value is not None}}
        missing = [name for name in ("files", "comments") if name not in known]
        properties = dict(within({**more, **known.pop("properties", {})}, count))
        if missing:
            properties = {**properties, MISSING_FIELDS: missing}
        return Change(**known, properties=properties)

    def updates(self, scope: Scope, event: str) -> list[RefUpdate | Ignored]:
        """The refs that were created, moved or deleted."""
        table = self.refs
        if table is None:
            return []
        common = RefUpdate(repository=self._repository(scope), ref="", name=event)
        found = [(table.read(item), self._commits(item)) for item in table.items(scope)]
        common = replace(common, properties=self._more(scope))
        updates = [_update(fields, listed, common, scope) for fields, listed in found]
        return updates or [_nothing(scope, "the payload has nothing where 'refs' looks")]

    def _commits(self, item: Scope) -> list[Commit]:
        if self.commits is None:
            return []
        listed = [self.commits.read(one) for one in self.commits.items(item)]
        if not all(fields.get("id") for fields in listed):
            item.note(self.commits.fields["id"][0].name)
        return [_commit(fields) for fields in listed if fields.get("id")]

    def _repository(self, scope: Scope) -> Repository:
        found = self.repository.read(scope) if self.repository is not None else {}
        return Repository(
            full_name=found.get("full_name"),
            name=found.get("name"),
            project=found.get("project"),
            urls={
                "usual": found.get("url"),
                **{kind: found.get(kind) for kind in ("https", "ssh", "html")},
            },
            src=found.get("src") or self.src,
        )

    def _more(self, scope: Scope) -> dict[str, Any]:
        """The properties that are the same for all changes of the delivery. Read after everything else."""
        found = self.properties.read(scope) if self.properties is not None else {}
        return {**found, NOT_FOUND: list(scope.noted)} if scope.noted else found


def _update(
    fields: dict[str, Any], listed: list[Commit], common: RefUpdate, scope: Scope
) -> RefUpdate | Ignored:
    """One ref.

    :param common: the fields that are the same for all refs.
    """
    if "after" in fields:
        after = revision_or_none(fields["after"])
    elif listed:
        after = listed[-1].id
    else:
        return _nothing(scope, "the payload does not say which commit the ref points to")
    ref = fields.get("ref") or ""
    if fields.get("tag") and not ref.startswith("refs/"):
        ref = f"refs/tags/{ref}"
    before = revision_or_none(fields.get("before"))
    return replace(
        common,
        ref=ref,
        before=before,
        after=after,
        commits=listed,
        total=fields.get("total"),
        created=before is None if "before" in fields else None,
        forced=fields.get("forced"),
        sender=Person(fields.get("sender_name"), fields.get("sender_email"), fields.get("sender")),
        url=fields.get("url") or "",
        when=fields.get("when"),
    )


def _commit(fields: dict[str, Any]) -> Commit:
    author = fields.get("author") or person(fields.get("author_name"), fields.get("author_email"))
    return Commit(
        fields["id"],
        fields.get("message"),
        author,
        fields.get("committer"),
        fields.get("when"),
        fields.get("url") or "",
        fields.get("files"),
        fields.get("branch"),
    )


def _nothing(scope: Scope, reason: str) -> Ignored:
    return Ignored(f"{reason}; not found: {', '.join(scope.noted)}" if scope.noted else reason)


__all__ = [
    "CHANGE",
    "COMMIT",
    "NOT_FOUND",
    "REF",
    "REPOSITORY",
    "Mapper",
    "Table",
    "change",
    "commits",
    "properties",
    "refs",
    "repository",
]
