"""The options of a dialect: declared once, checked when the configuration is read, the same for every forge.

Strategy: an option is a field of a frozen data class, with a check that converts what the user wrote to its
value. For every option, None means the default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf
from typing import Any, ClassVar, TypeVar

from change_hooks.core.names import check_names, nearest
from change_hooks.core.recovering import NOWHERE, Recover, recover
from change_hooks.core.select import DEFAULT_SKIPS, compile_skips
from change_hooks.core.verification import ChangingSecrets, as_secrets

O = TypeVar("O", bound="Options")  # noqa: E741 (O as in Options)


def option(default: Any, check: Callable[[Any], Any], name: str | None = None) -> Any:
    """Declare an option. No ``repr`` shows its value, which may be a secret.

    :param default: its value if the user sets none, or None.
    :param check: converts what the user wrote to the option's value, or raises TypeError or ValueError with
        a message that continues a sentence beginning with the option's name.
    :param name: the name that the user writes, if it differs from the attribute's.
    """
    return field(default=default, repr=False, metadata={"check": check, "name": name})


# Checks -------------------------------------------------------------------------------------------


def anything(value: object) -> object:
    """Accept any value."""
    return value


def text(value: object) -> str:
    """Accept a str."""
    if not isinstance(value, str):
        raise TypeError(f"must be a str, not {type(value).__name__}")
    return value


def flag(value: object) -> bool:
    """Accept a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"must be True or False, not {type(value).__name__}")
    return value


def seconds(value: object) -> float:
    """Accept a positive number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
        raise TypeError("must be a positive number of seconds")
    return value


def count(value: object) -> int:
    """Accept a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or not value > 0:
        raise TypeError("must be a positive whole number")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Accept a list of str; a single str is a list of one."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(
        isinstance(item, str) for item in value
    ):
        raise TypeError("must be a list of str")
    return tuple(value)


def one_of(*valid: str) -> Callable[[object], tuple[str, ...]]:
    """Accept a list of some of the names in *valid*."""

    def check(value: object) -> tuple[str, ...]:
        for name in texts(value):
            if name not in valid:
                raise ValueError(f"has an unknown name {name!r}{nearest(name, valid)}")
        return texts(value)

    return check


def text_or_callable(value: object) -> Any:
    """Accept a str, or a callable that is called with the payload."""
    return value if callable(value) else text(value)


def secret(value: object) -> Any:
    """Accept a str, bytes, a list of them, a callable that is called with the delivery, or secrets that may
    change.
    """
    return value if callable(value) or isinstance(value, ChangingSecrets) else tuple(as_secrets(value))


def token(value: object) -> Any:
    """Accept a str, a callable that is called with the repository, or ``{'app': id, 'key': PEM}``."""
    if callable(value):
        return value
    if isinstance(value, Mapping):
        check_names(value, ("app", "key"))
        if len(value) != 2:
            raise ValueError("must be a str, a callable, or {'app': ID, 'key': {'file': PATH}}")
        return dict(value)
    if not text(value).strip():
        raise ValueError("is empty; leave it out, or set a token")
    return text(value).strip()


def regular_expression(value: object) -> re.Pattern[str]:
    """Accept a regular expression."""
    try:
        return re.compile(text(value))
    except re.error as error:
        raise ValueError(f"is not a valid regular expression: {error}") from None


def skips(value: object) -> tuple[re.Pattern[str], ...]:
    """Accept a list of regular expressions, each a str or compiled."""
    if isinstance(value, (list, tuple)) and all(_is_skip(each) for each in value):
        return compile_skips(value)
    return compile_skips(texts(value))


def _is_skip(value: object) -> bool:
    return isinstance(value.pattern if isinstance(value, re.Pattern) else value, str)


def url_kind(value: object) -> Any:
    """Accept ``'https'``, ``'ssh'``, ``'html'`` or a callable that is called with the payload."""
    if callable(value) or (isinstance(value, str) and value in ("https", "ssh", "html")):
        return value
    raise ValueError("must be 'https', 'ssh', 'html' or a callable")


def commits_or_head(value: object) -> str:
    """Accept ``'commits'`` or ``'head'``."""
    if value not in ("commits", "head"):
        raise ValueError(
            "must be 'commits' (a change for each commit of a new branch) or 'head' (one change)"
        )
    return text(value)


#: Address lists that forges publish.
PUBLISHED = ("github",)
#: Means every peer of a Unix socket.
UNIX = "unix"


@dataclass(frozen=True)
class Allow:
    """The addresses from which deliveries are accepted; if empty, from everywhere.

    :param names: names of :data:`PUBLISHED` lists, and :data:`UNIX`.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    names: frozenset[str] = frozenset()


def allow(value: object) -> Allow:
    """Accept networks (``10.0.0.0/8``), addresses, ``'unix'`` and ``'github'``, one or a list of them."""
    written = texts(value)
    if not written:
        raise ValueError("is empty; leave it out to accept deliveries from everywhere")
    names = frozenset(written) & {*PUBLISHED, UNIX}
    try:
        networks = tuple(ip_network(each) for each in written if each not in names)
    except ValueError as error:
        raise ValueError(
            f"must list networks such as '10.0.0.0/8', 'unix' or 'github': {str(error)[:100]}"
        ) from None
    return Allow(networks, names)


@dataclass(frozen=True)
class Command:
    """A comment that gives a change.

    :param pattern: the text must match it; named groups become properties.
    :param permission: the permission that its author must have in the repository, according to the forge.
    """

    pattern: re.Pattern[str]
    permission: str


PERMISSIONS = ("read", "write", "admin")


def commands(value: object) -> tuple[Command, ...]:
    """Accept ``{'regex': …, 'permission': 'write'}``, or a list of these; or ``{pattern: permission}``."""
    items = value if isinstance(value, (list, tuple)) else [value]
    found: list[Command] = []
    for item in items:
        if not isinstance(item, Mapping) or not item or ("permission" in item and "regex" not in item):
            raise TypeError("must be a dict {'regex': PATTERN, 'permission': 'write'}, or a list of these")
        if "regex" in item:
            check_names(item, ("regex", "permission"))
        pairs = (
            [(item.get("regex"), item.get("permission", "write"))] if "regex" in item else list(item.items())
        )
        for pattern, permission in pairs:
            if permission not in PERMISSIONS:
                raise ValueError(
                    f"has an unknown permission {permission!r}; valid names are {', '.join(PERMISSIONS)}"
                )
            found.append(Command(regular_expression(pattern), permission))
    return tuple(found)


# Options ------------------------------------------------------------------------------------------

ACTIONS = (
    *("opened", "reopened", "updated", "edited", "labeled", "unlabeled"),
    *("ready", "drafted", "closed", "merged", "queued"),
)


@dataclass(frozen=True)
class Options:
    """The options of every dialect."""

    #: The names of options with secrets, in which ``{'env': NAME}`` and the like are references.
    secrets: ClassVar[tuple[str, ...]] = ("secret",)

    dialect: str | None = option(None, text)
    custom_class: Any = option(None, anything)
    auth: Any = option(None, anything)
    allow: Allow = option(Allow(), allow)
    expect_every: float | None = option(None, seconds)


@dataclass(frozen=True)
class ForgeOptions(Options):
    """The options of every forge."""

    secrets: ClassVar[tuple[str, ...]] = ("secret", "token")

    secret: Any = option(None, secret)
    strict: bool = option(default=False, check=flag)
    replay: bool = option(default=True, check=flag)
    codebase: Any = option(None, text_or_callable)
    project: Any = option(None, text_or_callable)
    skips: tuple[re.Pattern[str], ...] = option(compile_skips(DEFAULT_SKIPS), skips)
    repositories: tuple[str, ...] | None = option(None, texts)
    branches: tuple[str, ...] | None = option(None, texts)
    repository_url: Any = option(None, url_kind)
    actions: tuple[str, ...] | None = option(None, one_of(*ACTIONS))
    drafts: bool = option(default=True, check=flag)
    labels: tuple[str, ...] | None = option(None, texts)
    ignore_senders: tuple[str, ...] = option((), texts)
    commands: tuple[Command, ...] = option((), commands)
    token: Any = option(None, token)
    api: str | None = option(None, text)
    verify: bool = option(default=True, check=flag)
    complete: bool = option(default=False, check=flag)
    look_up: bool = option(default=True, check=flag)
    recover: Recover = option(NOWHERE, recover)
    new_branch: str = option("commits", commits_or_head)


def option_names(options: type[Options]) -> dict[str, Any]:
    """The names of the options, and the fields that they set."""
    return {declared.metadata["name"] or declared.name: declared for declared in fields(options)}


def read_options(declared: type[O], written: Mapping[str, Any]) -> tuple[O, list[str], list[str]]:
    """Read the options that a user wrote for a dialect.

    :returns: the options, the problems with their values, and the names that are not in *declared*.
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


__all__ = [
    "ACTIONS",
    "PUBLISHED",
    "UNIX",
    "Allow",
    "Command",
    "ForgeOptions",
    "Options",
    "allow",
    "anything",
    "commands",
    "count",
    "flag",
    "one_of",
    "option",
    "option_names",
    "read_options",
    "regular_expression",
    "seconds",
    "secret",
    "skips",
    "text",
    "text_or_callable",
    "texts",
    "token",
    "url_kind",
]
