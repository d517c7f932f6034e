"""What nobody would send on purpose: an answer, never a handler that breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, List  # noqa: UP035 (as users may write it)

import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from change_hooks.core.change import FIRST, LATEST
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, DeliveryError
from change_hooks.core.payload import Shape
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.source import payload_of
from tests.conftest import delivery, result_of
from tests.support.recorded import handler_class, load, recorded

#: One recorded delivery for each dialect and event.
NAMES = list({name.partition("__")[0]: name for name in sorted(each.name for each in recorded())}.values())
#: Where payloads name their event.
EVENT_FIELDS = ("object_kind", "event_name", "hook_name", "type", "eventType", "topic", "event")


def look(handler: Any, sent: Delivery) -> Any:
    """The changes; none when it was refused."""
    given: Deferred[Any] = maybeDeferred(handler.getChanges, sent.replace(verification="none"))
    try:
        return result_of(given)[0]
    except DeliveryError as error:
        assert error.status < 500
        return []


def spellings(handler: Any) -> Iterator[str]:
    for method in dir(handler):
        if method.startswith("handle_"):
            name = method.removeprefix("handle_")
            yield from (name.replace("_", other) for other in ("_", ":", "-", " ", "\u00e4"))
            yield name.upper()


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", NAMES)
def test_an_event_may_be_spelled_in_any_way(name: str) -> None:
    recording = load(name)
    handler = handler_class(recording.dialect)(None, recording.options or True)
    sent, payload = recording.delivery(), recording.payload
    header = getattr(handler, "event_header", "")
    for spelled in spellings(handler):
        if header:
            look(handler, sent.replace(headers={header: spelled}))
        for field in EVENT_FIELDS if isinstance(payload, dict) else ():
            if field in payload:
                look(handler, recording.delivery(json.dumps({**payload, field: spelled}).encode()))


WILD = [
    10**400,
    -(10**400),
    2**63,
    -(2**63),
    1e308,
    LATEST + 1,
    FIRST - 1,
    10**18,
    "9" * 5000,
    "\u00b2",
    "1e999",
]
DATES = ("time", "date", "created", "updated", "on", "at")


def dates(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of what may be a date."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, (dict, list)):
            yield from dates(inner, (*path, key))
        elif str(key).lower().endswith(DATES) or "date" in str(key).lower():
            yield (*path, key)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_is_no_date_costs_nothing_but_the_date(name: str) -> None:
    recording = load(name)
    handler = handler_class(recording.dialect)(None, recording.options or True)
    whole = len(look(handler, recording.delivery()))
    for *way, last in list(dates(recording.payload)):
        for wild in WILD:
            payload = json.loads(json.dumps(recording.payload))
            place = payload
            for key in way:
                place = place[key]
            place[last] = wild
            changes = look(handler, recording.delivery(json.dumps(payload).encode()))
            # What happened to a pull request is partly told by dates.
            assert len(changes) == whole or "push" not in name
            for change in changes:
                assert change.when_timestamp is None or FIRST <= change.when_timestamp <= LATEST


@pytest.mark.parametrize("wild", [*WILD, float("nan"), float("inf"), True, [], {}])
@pytest.mark.parametrize("field", ["when", "when_timestamp"])
def test_base_refuses_what_is_no_date(wild: object, field: str) -> None:
    handler = handler_class("base")(None, True)
    with pytest.raises(DeliveryError) as caught:
        handler.getChanges(delivery(json.dumps({"revision": "1", field: wild}).encode()))
    assert caught.value.status == 400


@pytest.mark.parametrize("depth", [64, 480, 900, 1000, 1500, 100_000])
@pytest.mark.parametrize("dialect", ["base", "github", "gitlab", "gerrit", "generic", "bitbucket"])
def test_a_payload_may_be_nested_as_deeply_as_it_likes(dialect: str, depth: int) -> None:
    options: Any = {"change": {"revision": "a"}} if dialect == "generic" else True
    handler = handler_class(dialect)(None, options)
    headers = {"X-GitHub-Event": "push"}
    for nested in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        for body in (nested, b'{"properties": %b, "\\ud800": 1}' % nested, b'{"commits": %b}' % nested):
            look(handler, delivery(body, headers=headers))


def test_a_push_of_many_commits_does_not_carry_all_of_them_in_each_change() -> None:
    commits = [{"id": f"{number:040x}", "message": "m" * 200} for number in range(1, 801)]
    payload = {"ref": "refs/heads/main", "after": commits[-1]["id"], "commits": commits}
    body = json.dumps({**payload, "repository": {"full_name": "o/r"}}).encode()
    handler = GitHubEventHandler(None, {"github_property_whitelist": ["github.*"]})
    changes, _ = handler.getChanges(delivery(body, headers={"X-GitHub-Event": "push"}, verification="none"))
    assert len(changes) == 800
    assert all(change.properties["change_hook_left_out"] == ["github.commits"] for change in changes)
    assert changes[0].properties["github.repository.full_name"] == "o/r"


def test_a_list_that_is_too_long_is_refused_before_anything_is_made_of_it() -> None:
    payload = {"ref": "refs/heads/main", "after": "1" * 40, "repository": {"full_name": "o/r"}}
    body = json.dumps({**payload, "commits": [{"id": "a"}] * 20_001}).encode()
    handler = GitHubEventHandler(None, True)
    with pytest.raises(BadPayload, match="more than 20000 elements") as caught:
        handler.getChanges(delivery(body, headers={"X-GitHub-Event": "push"}, verification="none"))
    assert caught.value.field == "$.commits"


class Lists(Shape):
    one: List[str] | None = None  # noqa: UP006
    two: Sequence[str] | None = None
    three: list | None = None  # type: ignore[type-arg]
    four: object = None
    five: str = ""


@pytest.mark.parametrize("name", ["one", "two", "three", "four"])
def test_a_list_is_one_however_its_type_is_written(name: str) -> None:
    many = json.dumps({name: ["a"] * 20_001, "five": "x"}).encode()
    with pytest.raises(BadPayload, match="more than 20000 elements") as caught:
        payload_of(None, many, Lists, [])
    assert caught.value.field == f"$.{name}"
    assert payload_of(None, b'{"five": "x"}', Lists, []) == Lists(five="x")
