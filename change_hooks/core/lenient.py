"""Adapts payloads that are not quite as documented.

Strategy: payloads differ between versions of a forge, and proxies and relays rewrite them. What a change
requires (fields without a default) must be present, in a type that can be converted. Every other field that
does not fit is left out, and so are list elements that do not fit, which are named. A field that decides what
happened must fit if it is present. All this is tried only after strict, fast decoding has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping, MutableSequence, Sequence
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from change_hooks.core.errors import BadPayload

T = TypeVar("T")

#: How deeply a payload may be nested.
DEEPEST = 64
#: The longest list of structures (usually commits) that is examined: no forge sends more.
MOST_ELEMENTS = 20_000
#: The most left-out elements that are named.
MOST_NAMED = 50


class _Misfit(Exception):
    """A value does not fit and cannot be converted.

    :param path: its path in the payload.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class _Place(msgspec.Struct, frozen=True):
    """The place of a value in a payload.

    :param path: from the payload's root.
    :param left_out: collects the paths of the wrong values in left-out elements.
    """

    path: str
    left_out: list[str]
    depth: int = 0

    def inside(self, step: str) -> _Place:
        """The place one level deeper."""
        return _Place(self.path + step, self.left_out, self.depth + 1)

    def misfit(self, message: str) -> _Misfit:
        """The error for a value at this place."""
        return _Misfit(message, self.path)

    def leave_out(self, misfit: _Misfit) -> None:
        """Record a wrong value."""
        if len(self.left_out) < MOST_NAMED:
            self.left_out.append(misfit.path)


def fit(value: object, shape: type[T], left_out: list[str] | None = None) -> T:
    """Convert *value*, decoded JSON, to *shape*.

    A class *shape* may list in ``decisive`` fields that have a default, but decide what happened. Such a
    field must fit if it is present.

    :param left_out: collects the path of the wrong value in each list element, or value of a mapping, that
        was left out, up to :data:`MOST_NAMED`. The keys of mappings are not named.
    :raises BadPayload: a required field is missing or does not fit, or a decisive one does not fit, or a list
        is too long. The message names the field.
    """
    try:
        fitted: T = _fit(value, shape, _Place("$", [] if left_out is None else left_out))
    except _Misfit as misfit:
        raise BadPayload(misfit.message, misfit.path) from None
    return fitted


_UNIONS = (Union, UnionType)
_LISTS = (list, Sequence, MutableSequence, Collection)
_MAPPINGS = (dict, Mapping, MutableMapping)


def _fit(value: object, kind: Any, place: _Place) -> Any:
    if place.depth > DEEPEST:
        raise place.misfit("is nested too deeply")
    return _reader(kind)(value, kind, place)


@lru_cache(maxsize=1024)
def _reader(kind: Any) -> Callable[[object, Any, _Place], Any]:
    """The function that reads values of a type; it gets the type, since unions in another order are equal."""
    origin = get_origin(kind)
    if kind is Any:
        return _anything
    if origin is None and isinstance(kind, type) and not is_typeddict(kind):
        return _struct if issubclass(kind, msgspec.Struct) else _scalar
    if origin in _UNIONS:
        return _one_of
    if origin in _LISTS:
        return _list
    if origin in _MAPPINGS:
        return _dict
    if origin is tuple and get_args(kind)[1:] == (...,):
        return _tuple
    return _literal if origin is Literal else _other


def _tried(value: object, kind: Any, place: _Place) -> Any:
    """The same for an optional value: if it is left out as a whole, none of its elements are named."""
    named = len(place.left_out)
    try:
        return _fit(value, kind, place)
    except _Misfit:
        del place.left_out[named:]
        raise


def _anything(value: object, _kind: Any, _place: _Place) -> Any:
    return value


def _struct(value: object, kind: type[msgspec.Struct], place: _Place) -> msgspec.Struct:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise place.misfit(_expected("object", value))
    decisive = getattr(kind, "decisive", ())
    fields: dict[str, Any] = {}
    for field, field_type in fields_of(kind):
        inside = place.inside(f".{field.encode_name}")
        if field.encode_name in value:
            try:
                fields[field.name] = _tried(value[field.encode_name], field_type, inside)
            except _Misfit as misfit:
                if field.name in decisive:
                    raise BadPayload(misfit.message, misfit.path) from None
                if field.required:
                    raise
        elif field.required:
            raise inside.misfit("is missing")
    return kind(**fields)


@lru_cache(maxsize=256)
def fields_of(kind: type[msgspec.Struct]) -> tuple[tuple[msgspec.structs.FieldInfo, Any], ...]:
    """The fields of a shape and their types."""
    hints = get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in msgspec.structs.fields(kind))


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of a union; a type that is none stands alone."""
    return get_args(kind) if get_origin(kind) in _UNIONS else (kind,)


def _one_of(value: object, kind: Any, place: _Place) -> Any:
    kinds = get_args(kind)
    if type(value) in kinds and not isinstance(value, str):
        return value  # A number stays a number; a text may have to become one.
    first: _Misfit | None = None
    for each in kinds:
        if each is type(None):
            continue
        try:
            return _tried(value, each, place)
        except _Misfit as misfit:
            first = first or misfit
    raise first or place.misfit("has the wrong type")


def _list(value: object, kind: Any, place: _Place) -> list[Any]:
    if not isinstance(value, list):
        raise place.misfit(_expected("array", value))
    element = get_args(kind)[0]
    if len(value) > MOST_ELEMENTS and _reader(element) is _struct:
        raise BadPayload(f"has more than {MOST_ELEMENTS} elements", place.path)
    fitted = []
    for index, item in enumerate(value):
        try:
            fitted.append(_tried(item, element, place.inside(f"[{index}]")))
        except _Misfit as misfit:
            place.leave_out(misfit)
    return fitted


def _tuple(value: object, kind: Any, place: _Place) -> tuple[Any, ...]:
    return tuple(_list(value, kind, place))


def _literal(value: object, kind: Any, place: _Place) -> Any:
    if value in get_args(kind):
        return value
    raise place.misfit("has an unexpected value")


def _dict(value: object, kind: Any, place: _Place) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise place.misfit(_expected("object", value))
    fitted, inner = {}, get_args(kind)[1]
    for name, item in value.items():
        try:
            fitted[name] = _tried(item, inner, place.inside("[...]"))
        except _Misfit as misfit:
            place.leave_out(misfit)
    return fitted


def _scalar(value: object, kind: Any, place: _Place) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
    elif isinstance(value, kind) and not isinstance(value, bool):
        return value
    elif kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    elif kind in (int, float) and not isinstance(value, bool):
        try:
            return kind(value)
        except (TypeError, ValueError, OverflowError):
            pass
    elif kind not in _NAMES:
        return _other(value, kind, place)
    raise place.misfit(_expected(_NAMES[kind], value))


def _other(value: object, kind: Any, place: _Place) -> Any:
    """A date, a set, an enumeration: whatever else a class of a user's own may name."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise place.misfit(_expected("value", value)) from None


_NAMES: dict[Any, str] = {str: "str", int: "int", float: "float", bool: "bool"}


def _expected(wanted: str, value: object) -> str:
    got = {type(None): "null", dict: "object", list: "array"}.get(type(value), type(value).__name__)
    return f"expected {wanted}, got {got}"


__all__ = ["MOST_ELEMENTS", "MOST_NAMED", "alternatives", "fields_of", "fit"]
