"""The fields of a change as senders of the ``base`` dialect write them: in a query, a form, or JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from change_hooks.core.change import moment
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, UnsupportedContentType
from change_hooks.core.payload import (
    FORM,
    MULTIPART,
    content_type,
    decode,
    epoch,
    expect_mapping,
    is_json,
    json_text,
)
from change_hooks.core.select import matches

#: The fields that hold text, by the names a sender may use; the first wins.
TEXT_FIELDS = {
    "author": ("author", "who"),
    "committer": ("committer",),
    "comments": ("comments",),
    "revision": ("revision",),
    "branch": ("branch",),
    "category": ("category",),
    "revlink": ("revlink",),
    "repository": ("repository",),
    "project": ("project",),
    "codebase": ("codebase",),
    "src": ("src",),
}
WHEN = ("when_timestamp", "when")


def fields_of(delivery: Delivery, *, body_alone: bool) -> Mapping[str, Any]:
    """The fields as they were sent: text, or any value in JSON.

    :param body_alone: ignore the fields in the URL.
    :raises BadPayload: the body is invalid.
    :raises UnsupportedContentType: the body has another content type.
    """
    kind, _ = content_type(delivery)
    if is_json(kind):
        return expect_mapping(decode(json_text(delivery, form=False), Any))
    if delivery.body and kind not in (FORM, MULTIPART):
        raise UnsupportedContentType(f"the content type must be {FORM}, {MULTIPART} or application/json")
    args = delivery.form if body_alone else delivery.args
    return {
        name.decode("utf-8", "replace"): values[0].decode("utf-8", "replace")
        for name, values in args.items()
        if values
    }


def change_fields(fields: Mapping[str, Any], listed: Sequence[str] | None) -> dict[str, Any]:
    """The fields of a change, from those that were sent.

    :param listed: patterns for the names of properties; None: any name.
    :raises BadPayload: a field has the wrong type, or there is none.
    """
    change: dict[str, Any] = {}
    for name, synonyms in TEXT_FIELDS.items():
        value = _first(fields, synonyms)
        if value is not None:
            change[name] = value
    for synonym in WHEN:
        if fields.get(synonym) not in (None, ""):
            change["when_timestamp"] = _when(fields[synonym], synonym)
            break
    if fields.get("files") not in (None, "", []):
        change["files"] = _files(fields["files"])
    if fields.get("properties") not in (None, "", {}):
        change["properties"] = _properties(fields["properties"], listed)
    if not change:
        names = (*TEXT_FIELDS, "when_timestamp", "files", "properties")
        raise BadPayload(f"the request is empty; send at least one of {', '.join(names)}")
    return change


def _properties(value: Any, listed: Sequence[str] | None) -> dict[str, Any]:
    properties = _from_json(value, "properties")
    if not isinstance(properties, dict):
        raise BadPayload("must be a JSON object", "properties")
    if listed is not None and not all(matches(name, listed) for name in properties):
        raise BadPayload("holds a name that the option 'base_property_whitelist' does not list", "properties")
    return properties


_SPACED_OFFSET = re.compile(r"(?<=:\d\d) (\d\d:?\d\d)$", re.ASCII)


def _when(value: Any, field: str) -> int:
    seconds: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str):
        seconds = _number(value)
        if seconds is None:
            # In a form, the plus of an offset arrives as a space, unless it was quoted.
            seconds = epoch(_SPACED_OFFSET.sub(r"+\1", value.strip()))
    known = None if seconds is None else moment(seconds)
    if known is None:
        raise BadPayload("must be seconds since the epoch, or an ISO 8601 time", field)
    return known


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = fields.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise BadPayload("must be text", name)
        return value
    return None


def _from_json(value: Any, field: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return decode(value.encode("utf-8", "replace"), Any)
    except BadPayload as error:
        raise BadPayload(error.message.replace("the body", "the value"), field) from None


def _files(value: Any) -> list[str]:
    files = _from_json(value, "files")
    if not isinstance(files, list) or not all(isinstance(path, str) for path in files):
        raise BadPayload('must be a JSON list of strings, for instance ["src/a.c"]', "files")
    return files


__all__ = ["TEXT_FIELDS", "WHEN", "change_fields", "fields_of"]
