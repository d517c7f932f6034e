"""The delivery that an event comes from, as far as the policy uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import NoneType
from typing import Any, get_origin

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.lenient import alternatives, fields_of
from change_hooks.core.opened import opened, opened_as
from change_hooks.core.payload import decode, expect_mapping
from change_hooks.core.policy import MAX_CHANGES
from change_hooks.core.select import listed_properties


class Whitelist:
    """Selects properties from payloads.

    :param prefix: the prefix of their names.
    :param patterns: the patterns that the user listed.
    :param part: returns the part of a payload that the patterns are matched against.
    """

    def __init__(
        self,
        prefix: str,
        patterns: Sequence[str],
        part: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        self._prefix = prefix
        self._patterns = patterns
        self._part = part

    @property
    def asks(self) -> bool:
        """Whether there are patterns."""
        return bool(self._patterns)

    def listed(self, event: str, payload: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The properties of a payload, which is only decoded if there are patterns.

        :param event: the event's name.
        """
        if not self._patterns:
            return {}
        part = self._part(event, payload())
        return listed_properties(self._prefix, part if isinstance(part, Mapping) else {}, self._patterns)


#: For deliveries without a payload.
NOTHING_LISTED = Whitelist("", (), lambda event, payload: payload)


class DeliverySource:
    """See :class:`change_hooks.core.policy.Source`. The payload is decoded when needed.

    :param document: the JSON of the delivery.
    :param event: the event's name for the whitelist.
    :param unread: the paths of the wrong values in list elements that were left out.
    """

    def __init__(
        self,
        delivery: Delivery,
        document: bytes,
        event: str,
        whitelist: Whitelist,
        unread: Sequence[str] = (),
    ) -> None:
        self._delivery = delivery
        self._document = document
        self.event = event
        self._whitelist = whitelist
        self.unread = unread

    @property
    def adds(self) -> bool:
        """Whether arguments, listed properties or left-out elements add anything to the changes."""
        return self._whitelist.asks or bool(self.unread) or self._delivery.has_query

    def _decoded(self) -> Mapping[str, Any]:
        return expect_mapping(opened(self._delivery, lambda: self._document))

    def read(self) -> None:
        """Decode the payload now, because it will be needed."""
        self._decoded()

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload as plain objects."""
        return self._decoded()

    @property
    def listed(self) -> Mapping[str, Any]:
        """The properties that the user's whitelist selects from the payload."""
        return self._whitelist.listed(self.event, self._decoded)

    def argument(self, name: str) -> str | None:
        """An argument of the URL."""
        if not self._delivery.has_query:
            return None
        values = self._delivery.query.get(name.encode())
        return values[0].decode("utf-8", "replace") if values and values[0] else None


def payload_of(delivery: Delivery | None, document: bytes, shape: Any, unread: list[str]) -> Any:
    """The payload for a method. Long lists are refused before their elements are converted.

    :param delivery: shares the decoded document with others who read it; None: nobody does.
    :raises BadPayload: the document is not an object, or a list is longer than the limit of changes.
    """
    if delivery is None:
        payload = decode(document, shape, unread)
    else:
        payload = opened_as(delivery, shape, lambda: document, unread)
    if shape is Any:
        expect_mapping(payload)
    for name in _lists_in(payload.__class__):
        value = getattr(payload, name)
        if isinstance(value, list) and len(value) > MAX_CHANGES:
            raise BadPayload(f"has more than {MAX_CHANGES} elements", f"$.{name}")
    return payload


@lru_cache(maxsize=256)
def _lists_in(shape: type) -> tuple[str, ...]:
    """The fields of a shape that may be a list."""
    if not issubclass(shape, msgspec.Struct):
        return ()
    return tuple(field.name for field, kind in fields_of(shape) if any(map(_may_be_list, alternatives(kind))))


def _may_be_list(kind: Any) -> bool:
    """Whether a value of this type may be a list."""
    simple = (str, bytes, int, float, NoneType, msgspec.Struct)
    return get_origin(kind) is not None or not isinstance(kind, type) or not issubclass(kind, simple)


def paths(items: Sequence[Any]) -> list[str]:
    """The paths of files as an API lists them, including the former paths of renamed ones; plain paths stay
    as they are.
    """
    found: list[Any] = []
    for item in items:
        names = ("filename", "previous_filename")
        found += [item.get(name) for name in names] if isinstance(item, Mapping) else [item]
    return list(dict.fromkeys(path for path in found if isinstance(path, str)))


def as_dicts(found: Sequence[Change], src: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """Changes as plain dicts, for a host that does not know :class:`~change_hooks.core.change.Change`.

    Such a host gets the version control system separately, so it is not in the dicts.
    """
    dicts: list[dict[str, Any]] = []
    for change in found:
        fields = change.as_dict()
        src = src or change.src
        del fields["src"]
        dicts.append(fields)
    return dicts, src


__all__ = ["DeliverySource", "Whitelist", "as_dicts", "paths", "payload_of"]
