"""A large document, decoded piece by piece.

Strategy: msgspec holds the interpreter's lock during each call, so even in a thread it blocks all others: for
50 ms with 11 MiB of commits. So a large document is first split into its fields or elements, which takes an
eighth of that time, and those are decoded one by one, straight to the types of the shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, get_args, get_origin

import msgspec

from change_hooks.core.lenient import alternatives, fields_of

#: A larger document is split, in bytes.
PIECE = 64 * 1024
#: The most times a document is split: each time, all of it is read.
SPLITS = 8
#: A list element that contains a longer list or mapping is split as well.
FEW = 256


@lru_cache(maxsize=256)
def decoder_for(shape: Any) -> msgspec.json.Decoder[Any]:
    """The JSON decoder of a shape, created once."""
    return msgspec.json.Decoder(shape)


def in_pieces(document: bytes | msgspec.Raw, shape: Any, splits: int = SPLITS) -> Any:
    """Decode a JSON document. Values that are larger than a piece, or do not have their shape, become
    mappings or lists, for :func:`~change_hooks.core.lenient.fit`.

    :raises msgspec.DecodeError: the document is not valid JSON.
    """
    if len(document) > PIECE and splits:
        splits -= 1
        opening = memoryview(document)[0]
        if opening == _OBJECT:
            fields: Mapping[str, msgspec.Raw] = decoder_for(dict[str, msgspec.Raw]).decode(document)
            kinds = _kinds(shape)
            if kinds is None:
                kinds = dict.fromkeys(fields, _inner(shape, dict))
            return {name: in_pieces(fields[name], kinds[name], splits) for name in fields if name in kinds}
        if opening == _ARRAY:
            element = _inner(shape, list)
            elements: list[msgspec.Raw] = decoder_for(list[msgspec.Raw]).decode(document)
            return [in_pieces(each, element, splits) for each in elements]
    try:
        return decoder_for(shape).decode(document)
    except msgspec.ValidationError:
        return decoder_for(Any).decode(document)


_OBJECT, _ARRAY = b"{["


def convert_in_pieces(value: Any, shape: Any, splits: int = SPLITS) -> Any:
    """Convert decoded JSON to the shape in the same way, for :func:`~change_hooks.core.lenient.fit`."""
    if shape is Any:
        return value
    if splits and isinstance(value, dict):
        kinds = _kinds(shape)
        if kinds is None:
            kinds = dict.fromkeys(value, _inner(shape, dict))
        return {
            name: convert_in_pieces(inner, kinds[name], splits - 1)
            for name, inner in value.items()
            if name in kinds
        }
    if splits and isinstance(value, list):
        element = _inner(shape, list)
        return [convert_in_pieces(each, element, splits - 1 if _is_long(each) else 0) for each in value]
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return value


def _is_long(value: Any) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(inner, (dict, list)) and len(inner) > FEW for inner in inside)


def _kinds(shape: Any) -> Mapping[str, Any] | None:
    """The types of a structure's fields, by their names in JSON; None if this is not a structure."""
    for kind in alternatives(shape):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return {field.encode_name: field_type for field, field_type in fields_of(kind)}
    return None


def _inner(shape: Any, container: type) -> Any:
    """The type of a list's elements, or of a mapping's values."""
    for kind in alternatives(shape):
        if get_origin(kind) is container:
            return get_args(kind)[-1]
    return Any


__all__ = ["PIECE", "convert_in_pieces", "decoder_for", "in_pieces"]
