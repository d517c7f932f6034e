"""Which pushes, repositories, branches and properties are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

#: A head commit's message that holds one of these asks for no build.
DEFAULT_SKIPS = (r"\[ *skip *ci *\]", r"\[ *ci *skip *\]")


def compile_skips(patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Compile regular expressions.

    :raises ValueError: one is no regular expression; it is named.
    """
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return tuple(compiled)


def is_skipped(message: str | None, skips: Sequence[re.Pattern[str]]) -> bool:
    """True when one of *skips* is found anywhere in *message*."""
    return bool(message) and any(skip.search(message or "") for skip in skips)


def matches(value: str | None, patterns: Sequence[str]) -> bool:
    """True when *value* matches one of the fnmatch *patterns*, with regard to case."""
    return value is not None and any(fnmatchcase(value, pattern) for pattern in patterns)


def flatten(prefix: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"prefix.a.b": 1}``. Lists stay values."""
    flat: dict[str, Any] = {}
    pending: list[tuple[str, Mapping[str, Any]]] = [(prefix, payload)]
    while pending:
        base, mapping = pending.pop()
        for key, value in mapping.items():
            name = f"{base}.{key}"
            if isinstance(value, Mapping):
                pending.append((name, value))
            else:
                flat[name] = value
    return flat


def listed_properties(prefix: str, payload: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """The entries of the flattened *payload* whose name matches one of the fnmatch *patterns*."""
    if not patterns:
        return {}
    return {name: value for name, value in flatten(prefix, payload).items() if matches(name, patterns)}


__all__ = ["DEFAULT_SKIPS", "compile_skips", "flatten", "is_skipped", "listed_properties", "matches"]
