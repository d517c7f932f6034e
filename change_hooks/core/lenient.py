"""A payload that is not quite as documented, made to fit.

Strategy: forges differ from version to version, and proxies and relays rewrite. What a change cannot do
without (required fields: those without a default) must be there, in a type from which the value can be had;
every other field that does not fit is left out, and of a list the elements that do not fit. This is tried
only after the strict and fast way has failed.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from change_hooks.core.errors import BadPayload

T = TypeVar("T")

#: How deep a payload may be nested.
DEEPEST = 64


class _Misfit(Exception):
    """A value that cannot be made to fit.

    :param field: what it lies in, without the path's beginning.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def fit(value: object, shape: type[T]) -> T:
    """*value*, plain objects as JSON gives them, as *shape*.

    :raises BadPayload: a required field is missing or cannot be had; it is named.
    """
    try:
        fitted: T = _fit(value, shape, 0)
    except _Misfit as misfit:
        raise BadPayload(misfit.message, f"${misfit.field}") from None
    return fitted


def _fit(value: object, kind: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise _Misfit("is nested too deeply")
    if kind is Any:
        return value
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(value, kind, depth)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _one_of(value, get_args(kind), depth)
    if origin in (list, tuple):
        return _list(value, get_args(kind)[0], depth)
    if origin is dict:
        return _dict(value, get_args(kind)[1], depth)
    if origin is Literal:
        if value in get_args(kind):
            return value
        raise _Misfit("has another value")
    return _scalar(value, kind)


def _struct(value: object, kind: type[msgspec.Struct], depth: int) -> msgspec.Struct:
    if not isinstance(value, Mapping):
        raise _Misfit(_expected("object", value))
    fields: dict[str, Any] = {}
    for field, field_type in _fields(kind):
        if field.encode_name in value:
            try:
                fields[field.name] = _fit(value[field.encode_name], field_type, depth + 1)
                continue
            except _Misfit as misfit:
                if field.required:
                    raise _Misfit(misfit.message, f".{field.encode_name}{misfit.field}") from None
        elif field.required:
            raise _Misfit("is missing", f".{field.encode_name}")
    return kind(**fields)


@lru_cache(maxsize=256)
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[msgspec.structs.FieldInfo, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in msgspec.structs.fields(kind))


def _one_of(value: object, kinds: tuple[Any, ...], depth: int) -> Any:
    if value is None and type(None) in kinds:
        return None
    first: _Misfit | None = None
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _fit(value, kind, depth)
        except _Misfit as misfit:
            first = first or misfit
    raise first or _Misfit("has another type")


def _list(value: object, kind: Any, depth: int) -> list[Any]:
    if not isinstance(value, list):
        raise _Misfit(_expected("array", value))
    fitted = []
    for item in value:
        try:
            fitted.append(_fit(item, kind, depth + 1))
        except _Misfit:
            continue
    return fitted


def _dict(value: object, kind: Any, depth: int) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _Misfit(_expected("object", value))
    fitted = {}
    for name, item in value.items():
        try:
            fitted[name] = _fit(item, kind, depth + 1)
        except _Misfit:
            continue
    return fitted


def _scalar(value: object, kind: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
    elif isinstance(kind, type) and isinstance(value, kind) and not isinstance(value, bool):
        return value
    elif kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    elif kind in (int, float) and not isinstance(value, bool):
        try:
            return kind(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise _Misfit(_expected(_NAMES.get(kind, "value"), value))


_NAMES: dict[Any, str] = {str: "str", int: "int", float: "float", bool: "bool"}


def _expected(wanted: str, value: object) -> str:
    got = {type(None): "null", dict: "object", list: "array"}.get(type(value), type(value).__name__)
    return f"expected {wanted}, got {got}"


__all__ = ["fit"]
