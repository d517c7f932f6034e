"""What a user may write for a dialect: declared once, checked at load."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from change_hooks.core.select import DEFAULT_SKIPS, compile_skips
from change_hooks.core.verification import as_secrets


def option(default: Any, check: Callable[[Any], Any], name: str | None = None) -> Any:
    """Declare an option.

    :param default: its value when the user wrote none, or None.
    :param check: makes the value to use of what the user wrote, or raises TypeError or ValueError with
        a message that follows the option's name.
    :param name: what the user writes, where it cannot be the attribute's name.
    """
    return field(default=default, metadata={"check": check, "name": name})


def anything(value: Any) -> Any:
    """Take every value."""
    return value


def text(value: Any) -> str:
    """Take a str."""
    if not isinstance(value, str):
        raise TypeError(f"must be a str, not {type(value).__name__}")
    return value


def flag(value: Any) -> bool:
    """Take a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"must be True or False, not {type(value).__name__}")
    return value


def seconds(value: Any) -> float:
    """Take a positive number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise TypeError("must be a positive number of seconds")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Take a list of str."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise TypeError("must be a list of str")
    return tuple(value)


def text_or_callable(value: Any) -> Any:
    """Take a str, or a callable that is given the payload."""
    return value if callable(value) else text(value)


def secret(value: Any) -> Any:
    """Take a str, bytes, a list of them, or a callable that is given the delivery."""
    return value if callable(value) else tuple(as_secrets(value))


def skips(value: Any) -> tuple[re.Pattern[str], ...]:
    """Take a list of regular expressions."""
    return compile_skips(texts(value))


def url_kind(value: Any) -> Any:
    """Take ``'https'``, ``'ssh'``, ``'html'`` or a callable that is given the payload."""
    if callable(value) or value in ("https", "ssh", "html"):
        return value
    raise ValueError("must be 'https', 'ssh', 'html' or a callable")


@dataclass(frozen=True)
class Options:
    """What a user may write for any dialect."""

    dialect: str | None = option(None, text)
    custom_class: Any = option(None, anything)
    auth: Any = option(None, anything)


@dataclass(frozen=True)
class ForgeOptions(Options):
    """What a user may write for a forge."""

    secret: Any = option(None, secret)
    codebase: Any = option(None, text_or_callable)
    project: str | None = option(None, text)
    skips: tuple[re.Pattern[str], ...] = option(compile_skips(DEFAULT_SKIPS), skips)
    repositories: tuple[str, ...] | None = option(None, texts)
    branches: tuple[str, ...] | None = option(None, texts)
    repository_url: Any = option(None, url_kind)


def option_names(options: type[Options]) -> dict[str, Any]:
    """The names a user may write, and the fields they set."""
    return {declared.metadata["name"] or declared.name: declared for declared in fields(options)}


def read_options(declared: type[Options], written: Mapping[str, Any]) -> tuple[Options, list[str], list[str]]:
    """Read what a user wrote for a dialect.

    :returns: the options, the problems with their values, and the names that are not *declared*.
    """
    names = option_names(declared)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in written.items():
        if name in names and value is not None:
            try:
                values[names[name].name] = names[name].metadata["check"](value)
            except (TypeError, ValueError) as error:
                problems.append(f"option {name!r} {error}")
    unknown = [str(name) for name in written if name not in names]
    return declared(**values), problems, unknown


def nearest(name: str, valid: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where a valid name is near, else the valid names."""
    valid = sorted(valid)
    close = get_close_matches(name, valid, 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(valid)}"
