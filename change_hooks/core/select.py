"""Which pushes, repositories, branches and properties are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase, translate
from itertools import accumulate
from typing import Any

import msgspec

#: A head commit's message that holds one of these, in any case, asks for no build.
DEFAULT_SKIPS = (r"(?i)\[ *skip *ci *\]", r"(?i)\[ *ci *skip *\]")
#: The longest name of a property, and the most of them, that a whitelist takes out of a payload.
LONGEST_NAME = 256
MOST_PROPERTIES = 1000
#: How large the listed properties of all changes of a delivery may be together, as JSON, in bytes.
MOST_LISTED = 8 * 1024 * 1024
#: The property that names those that had no room, and how many it names.
LEFT_OUT = "change_hook_left_out"
MOST_NAMED = 50


def compile_skips(patterns: Iterable[str | re.Pattern[str]]) -> tuple[re.Pattern[str], ...]:
    """Compile regular expressions; those that are compiled stay as they are.

    :raises ValueError: one is not a valid regular expression; it is named.
    """
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a valid regular expression: {error}") from None
    return tuple(compiled)


def is_skipped(message: str | None, skips: Sequence[re.Pattern[str]]) -> bool:
    """True when one of *skips* is found anywhere in *message*."""
    return bool(message) and any(skip.search(message or "") for skip in skips)


def matches(value: str | None, patterns: Sequence[str]) -> bool:
    """True when *value* matches one of the fnmatch *patterns*, with regard to case."""
    return value is not None and any(fnmatchcase(value, pattern) for pattern in patterns)


def listed_properties(prefix: str, payload: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """The entries of *payload* whose dotted name matches one of the fnmatch *patterns*.

    ``{"a": {"b": 1}}`` has the name ``prefix.a.b``; lists are values. Names over :data:`LONGEST_NAME`
    characters match nothing, and there are :data:`MOST_PROPERTIES` at most.
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
    """Those properties that all changes of a delivery together have room for, the smallest first: each change
    has all of them where it is written.

    :param changes: how many there are.
    :returns: with the names of the others as :data:`LEFT_OUT`.
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
    # The names need room, too.
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
