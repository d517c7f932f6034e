"""Selects pushes, repositories, branches and properties."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase, translate
from itertools import accumulate
from typing import Any

import msgspec

#: A head commit's message that contains one of these, in upper or lower case, asks for no build.
DEFAULT_SKIPS = (r"(?i)\[ *skip *ci *\]", r"(?i)\[ *ci *skip *\]")
#: The longest name of a property, and the most properties, that a whitelist selects from a payload.
LONGEST_NAME = 256
MOST_PROPERTIES = 1000
#: The largest total size of the listed properties of all changes of a delivery, as JSON, in bytes.
MOST_LISTED = 8 * 1024 * 1024
#: The property that names those left out for lack of room, and the most names in it.
LEFT_OUT = "change_hook_left_out"
MOST_NAMED = 50


def compile_skips(patterns: Iterable[str | re.Pattern[str]]) -> tuple[re.Pattern[str], ...]:
    """Compile regular expressions; compiled ones stay as they are.

    :raises ValueError: a regular expression is not valid; the message quotes it.
    """
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a valid regular expression: {error}") from None
    return tuple(compiled)


def is_skipped(message: str | None, skips: Sequence[re.Pattern[str]]) -> bool:
    """Whether one of *skips* is found anywhere in *message*."""
    return bool(message) and any(skip.search(message or "") for skip in skips)


def matches(value: str | None, patterns: Sequence[str]) -> bool:
    """Whether *value* matches one of the fnmatch *patterns*, case-sensitively."""
    return value is not None and any(fnmatchcase(value, pattern) for pattern in patterns)


def listed_properties(prefix: str, payload: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """The entries of *payload* whose dotted names match one of the fnmatch *patterns*.

    ``{"a": {"b": 1}}`` has the name ``prefix.a.b``; lists are values. Names over :data:`LONGEST_NAME`
    characters match nothing, and at most :data:`MOST_PROPERTIES` are selected.
    """
    wanted = [re.compile(translate(pattern)).match for pattern in patterns]
    found: dict[str, Any] = {}
    pending: list[tuple[str, Mapping[str, Any]]] = [(prefix, payload)] if wanted else []
    while pending:
        base, mapping = pending.pop()
        for key, value in mapping.items():
            if len(base) + len(key) >= LONGEST_NAME:
                continue
            name = f"{base}.{key}"
            if isinstance(value, Mapping):
                pending.append((name, value))
            elif any(match(name) for match in wanted):
                found[name] = value
                if len(found) >= MOST_PROPERTIES:
                    return found
    return found


def within(listed: Mapping[str, Any], changes: int) -> Mapping[str, Any]:
    """The properties that fit into all changes of a delivery, smallest first: each change is stored with all
    of them.

    :param changes: the number of changes.
    :returns: the properties, with the names of the others under :data:`LEFT_OUT`.
    """
    if not listed:
        return listed
    room = MOST_LISTED // max(changes, 1)
    sizes = {name: len(name) + len(_encode(value)) for name, value in listed.items()}
    if sum(sizes.values()) <= room:
        return listed
    smallest_first = sorted(sizes, key=sizes.__getitem__)
    ends = accumulate(sizes[name] for name in smallest_first)
    kept = {name: listed[name] for name, end in zip(smallest_first, ends, strict=True) if end <= room}
    others = sorted(sizes.keys() - kept.keys())[:MOST_NAMED]
    # The names take up room, too.
    ends = accumulate(map(len, others))
    named = [name for name, end in zip(others, ends, strict=True) if end <= room]
    return {**kept, LEFT_OUT: named or others[:1]}


_encode = msgspec.json.Encoder().encode

__all__ = [
    "DEFAULT_SKIPS",
    "LEFT_OUT",
    "MOST_LISTED",
    "compile_skips",
    "is_skipped",
    "listed_properties",
    "matches",
    "within",
]
