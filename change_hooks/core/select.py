"""Which pushes, repositories, branches and properties are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase, translate
from typing import Any

#: A head commit's message that holds one of these, in any case, asks for no build.
DEFAULT_SKIPS = (r"(?i)\[ *skip *ci *\]", r"(?i)\[ *ci *skip *\]")
#: The longest name of a property, and the most of them, that a whitelist takes out of a payload.
LONGEST_NAME = 256
MOST_PROPERTIES = 1000


def compile_skips(patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Compile regular expressions.

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


__all__ = ["DEFAULT_SKIPS", "compile_skips", "is_skipped", "listed_properties", "matches"]
