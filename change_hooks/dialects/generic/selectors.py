"""Selects values from a payload: by paths, headers, constants, defaults and callables.

Strategy: what a user writes is compiled once, when the configuration is read, so that every mistake is found
then. Afterwards a selector only looks values up. A value that it does not find is noted under the words that
the user wrote; only that value is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from change_hooks.core.names import check_names

#: Stands for a value that is not there. None is a value: the sender wrote ``null``.
MISSING: Final[Any] = object()
#: How many names of missing values are kept.
MOST_NOTED = 20
#: The path that means an item's key in its mapping.
KEY = "@key"
_NAMES = ("path", "header", "value", "default", "join", "map")


@dataclass(frozen=True)
class Scope:
    """The data that a selector may look at.

    :param item: the value that paths start from.
    :param root: the whole payload; a path that begins with ``$.`` starts there.
    :param key: the key of *item*, if it is from a mapping.
    :param header: returns the value of a header; None: it was not sent.
    :param noted: its keys are the names of missing values; shared by all scopes of a delivery.
    """

    item: Any
    root: Any
    key: str | None = None
    header: Callable[[str], str | None] = lambda _name: None
    noted: dict[str, None] = field(default_factory=dict)

    def inside(self, item: Any, key: str | None = None) -> Scope:
        """The scope of an item in the payload."""
        return Scope(item, self.root, key, self.header, self.noted)

    def note(self, name: str) -> None:
        """Note that a value was not found."""
        if len(self.noted) < MOST_NOTED:
            self.noted[name] = None


class Selector(Protocol):
    """Finds one value."""

    @property
    def name(self) -> str:
        """What to call the value when it is not found."""

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the headers that it reads."""

    def find(self, scope: Scope) -> Any:
        """The value, or :data:`MISSING`."""


@dataclass(frozen=True)
class Path:
    """Keys and indexes separated by dots: ``push.changes.0.new.name``; ``*`` stands for all of them."""

    name: str
    headers: tuple[str, ...] = ()

    def find(self, scope: Scope) -> Any:
        """See :class:`Selector`."""
        if self.name == KEY:
            return MISSING if scope.key is None else scope.key
        if self.name == "$":
            return scope.root
        if self.name.startswith("$."):
            return _walk(scope.root, self.name[2:].split("."))
        return _walk(scope.item, self.name.split("."))


@dataclass(frozen=True)
class Header:
    """The value of a header."""

    name: str

    @property
    def headers(self) -> tuple[str, ...]:
        """See :class:`Selector`."""
        return (self.name,)

    def find(self, scope: Scope) -> Any:
        """See :class:`Selector`."""
        found = scope.header(self.name)
        return MISSING if found is None else found


@dataclass(frozen=True)
class Constant:
    """A constant value."""

    value: Any
    name: str = "value"
    headers: tuple[str, ...] = ()

    def find(self, scope: Scope) -> Any:
        """See :class:`Selector`."""
        return self.value


@dataclass(frozen=True)
class Call:
    """The value that a user's callable returns for the item; an exception means that there is none."""

    call: Callable[[Any], Any]
    headers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """See :class:`Selector`."""
        return f"{getattr(self.call, '__name__', type(self.call).__name__)}()"

    def find(self, scope: Scope) -> Any:
        """See :class:`Selector`."""
        try:
            return self.call(scope.item)
        except Exception:
            return MISSING


@dataclass(frozen=True)
class First:
    """The first of several values that is present and not null; otherwise null, if one of them is null."""

    selectors: tuple[Selector, ...]
    default: Any = MISSING

    @property
    def name(self) -> str:
        """See :class:`Selector`."""
        return " or ".join(selector.name for selector in self.selectors)

    @property
    def headers(self) -> tuple[str, ...]:
        """See :class:`Selector`."""
        return tuple(name for selector in self.selectors for name in selector.headers)

    def find(self, scope: Scope) -> Any:
        """See :class:`Selector`."""
        null = MISSING
        for selector in self.selectors:
            value = selector.find(scope)
            if value is None:
                null = None
            elif value is not MISSING:
                return value
        return null if self.default is MISSING else self.default


@dataclass(frozen=True)
class Join:
    """Several values joined by a separator; all of them must be present."""

    selectors: tuple[Selector, ...]
    between: str

    @property
    def name(self) -> str:
        """See :class:`Selector`."""
        return " and ".join(selector.name for selector in self.selectors)

    @property
    def headers(self) -> tuple[str, ...]:
        """See :class:`Selector`."""
        return tuple(name for selector in self.selectors for name in selector.headers)

    def find(self, scope: Scope) -> Any:
        """See :class:`Selector`."""
        values = [as_text(selector.find(scope)) for selector in self.selectors]
        return MISSING if None in values else self.between.join(filter(None, values))


@dataclass(frozen=True)
class Translated:
    """A value translated by a table; values that the table does not list are unchanged."""

    selector: Selector
    words: Mapping[str, Any]

    @property
    def name(self) -> str:
        """See :class:`Selector`."""
        return self.selector.name

    @property
    def headers(self) -> tuple[str, ...]:
        """See :class:`Selector`."""
        return self.selector.headers

    def find(self, scope: Scope) -> Any:
        """See :class:`Selector`."""
        value = self.selector.find(scope)
        return self.words.get(value, value) if isinstance(value, str) else value


def selector(written: object) -> Selector:
    """Compile what a user wrote for one value: a path, a callable, a list of these (the first value that is
    present counts), or a dict with ``path``, ``header`` or ``value``, and ``default``, ``join``, ``map``.

    :raises TypeError: it is something else; the message follows the name of the value.
    :raises ValueError: a name in it is unknown, or does not fit the others.
    """
    if isinstance(written, str):
        return _path(written)
    if callable(written):
        return Call(written)
    if isinstance(written, (list, tuple)):
        return First(_several(written))
    if not isinstance(written, Mapping):
        raise TypeError(f"must be a path, a callable, a list of them or a dict, not {type(written).__name__}")
    check_names(written, _NAMES)
    sources = [name for name in ("path", "header", "value") if name in written]
    if len(sources) != 1:
        raise ValueError("needs one of 'path', 'header' and 'value'")
    found = _source(sources[0], written)
    if "default" in written:
        found = First((found,), written["default"])
    if "map" in written:
        words = written["map"]
        if not isinstance(words, Mapping) or not all(isinstance(word, str) for word in words):
            raise TypeError("has a 'map' that is not a dict of str")
        found = Translated(found, dict(words))
    return found


def _source(kind: str, written: Mapping[str, Any]) -> Selector:
    value = written[kind]
    if kind == "value":
        return Constant(value)
    if "join" in written:
        if not isinstance(value, (list, tuple)) or not isinstance(written["join"], str):
            raise TypeError(f"has a 'join', which needs a list in {kind!r} and a str")
        return Join(_headers(value) if kind == "header" else _several(value), written["join"])
    if kind == "header":
        names = _headers(value if isinstance(value, (list, tuple)) else [value])
        return names[0] if len(names) == 1 else First(names)
    return selector(value)


def _several(values: Iterable[object]) -> tuple[Selector, ...]:
    found = tuple(selector(value) for value in values)
    if not found:
        raise ValueError("is an empty list")
    return found


def _headers(values: Iterable[object]) -> tuple[Header, ...]:
    names = tuple(values)
    if not names or not all(isinstance(name, str) and name and name.isascii() for name in names):
        raise TypeError("has a 'header' that is not the name of a header, or a list of such")
    return tuple(Header(str(name)) for name in names)


def _path(text: str) -> Path:
    if not all(text.split(".")):
        raise ValueError(f"has the path {text!r}, in which a name is empty")
    return Path(text)


def _walk(value: Any, keys: list[str]) -> Any:
    """The value at a path; a key that contains dots takes precedence over its parts."""
    if not keys:
        return value
    if keys[0] == "*":
        return _every(value, keys[1:])
    if isinstance(value, Mapping):
        for count in range(len(keys), 0, -1):
            key = ".".join(keys[:count])
            if key in value:
                return _walk(value[key], keys[count:])
        return MISSING
    if isinstance(value, list) and keys[0].removeprefix("-").isdecimal():
        index = int(keys[0])
        return _walk(value[index], keys[1:]) if -len(value) <= index < len(value) else MISSING
    return MISSING


def _every(value: Any, keys: list[str]) -> Any:
    if not isinstance(value, (list, Mapping)):
        return MISSING
    items = value.values() if isinstance(value, Mapping) else value
    found: list[Any] = []
    for item in items:
        inner = _walk(item, keys)
        if isinstance(inner, list):
            found += inner
        elif inner is not MISSING and inner is not None:
            found.append(inner)
    return found


def as_text(value: Any) -> str | None:
    """A value as text; None if it is neither text nor a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


__all__ = ["KEY", "MISSING", "Scope", "Selector", "as_text", "selector"]
