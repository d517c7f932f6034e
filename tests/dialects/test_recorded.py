"""Every recorded delivery gives what stands beside it; and no value in one costs the delivery."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from change_hooks.core.errors import BadPayload, DeliveryError
from change_hooks.plugins import installed
from tests.conftest import result_of
from tests.support.recorded import Recorded, in_short, load, recorded

NAMES = [each.name for each in recorded()]
HANDLERS: dict[str, Any] = {}


def handle(delivery: Recorded, document: Any = None) -> Any:
    """The changes, as they are written in the files."""
    key = f"{delivery.dialect} {sorted(delivery.options.items())}"
    if key not in HANDLERS:
        HANDLERS[key] = installed().load(delivery.dialect)(None, delivery.options or True)
    body = None if document is None else json.dumps(document).encode()
    handler, request = HANDLERS[key], delivery.delivery(body)
    if handler.signed:
        # One that is always signed.
        request = request.replace(verification="signature")
    result = handler.getChanges(request)
    return result_of(result) if isinstance(result, Deferred) else result


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_what_is_recorded(name: str) -> None:
    delivery = load(name)
    if isinstance(delivery.expected, dict) and "status" in delivery.expected:
        with pytest.raises(DeliveryError) as caught:
            handle(delivery)
        assert caught.value.status == delivery.expected["status"]
        assert getattr(caught.value, "field", None) == delivery.expected["field"]
        return
    changes, src = handle(delivery)
    if isinstance(delivery.expected, dict):
        assert [in_short(change) for change in changes] == []
        assert delivery.expected["reason"] in changes.reason
    else:
        assert [
            in_short(change if change.src else change.with_src(src)) for change in changes
        ] == delivery.expected


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside *value*."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


REMOVED = object()
OTHERS = (REMOVED, None, "x", "", 5, -1.5, True, [], [None], {}, {"x": None})


@pytest.mark.parametrize("name", NAMES)
def test_any_value_may_be_missing_null_or_of_another_type(name: str) -> None:
    delivery = load(name)
    document = delivery.payload
    for *way, last in list(paths(document)):
        place = document
        for key in way:
            place = place[key]
        whole = place.copy()
        for value in OTHERS:
            if value is REMOVED:
                del place[last]
            else:
                place[last] = value
            where = ".".join(map(str, (*way, last)))
            try:
                handle(delivery, document)
            except BadPayload as error:
                assert needed(where), f"{where} = {value!r}: {error}"
                assert error.field
                assert error.field.startswith("$")
            place.clear()
            (place.extend if isinstance(place, list) else place.update)(whole)
    assert document == delivery.payload


def needed(where: str) -> bool:
    """Whether repository, ref or commit cannot be known without the value at *where*."""
    return True


def test_every_dialect_of_a_forge_has_recorded_deliveries() -> None:
    without = {"base", "poller"}
    folders = {name.partition("/")[0] for name in NAMES}
    assert set(installed().names()) - folders <= without
