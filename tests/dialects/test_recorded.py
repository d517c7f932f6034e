"""Every recorded delivery gives what stands beside it; and no value in one costs the delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from change_hooks.core import payload, pieces
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, DeliveryError
from change_hooks.plugins import installed
from change_hooks.testing import Recorded
from change_hooks.testing.recorded import in_short
from tests.conftest import result_of
from tests.support.inputs import tried
from tests.support.recorded import handler_class, load, recorded

NAMES = [each.name for each in recorded()]
HANDLERS: dict[str, Any] = {}


@cache
def delivery_of(name: str) -> Delivery:
    return load(name).delivery()


def handle(delivery: Recorded, document: Any = None) -> Any:
    """The changes, as they are written in the files."""
    key = f"{delivery.dialect} {sorted(delivery.options.items())}"
    if key not in HANDLERS:
        HANDLERS[key] = handler_class(delivery.dialect)(None, delivery.options or True)
    handler, request = HANDLERS[key], delivery_of(delivery.name)
    if document is not None:
        request = request.replace(body=delivery.sent(msgspec.json.encode(document)))
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


@pytest.mark.parametrize("name", NAMES)
def test_one_that_is_decoded_in_pieces_gives_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those over 2 MiB are."""
    monkeypatch.setattr(payload, "LARGE", 0)
    monkeypatch.setattr(pieces, "PIECE", 40)
    test_it_gives_what_is_recorded(name)


#: What proxies add, and what users put into a URL.
ADDED = dict.fromkeys(
    (
        *("Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Forwarded-Access-Token"),
        *("X-Amzn-Oidc-Data", "X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion", "X-Client-Cert"),
        *("X-Ms-Client-Principal", "X-Anything", "Forwarded", "X-Forwarded-For"),
    ),
    "s3cr3t",
)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_of_it_gives_the_same_and_holds_no_secret(name: str) -> None:
    recording = load(name)
    sent = recording.delivery()
    handler = handler_class(recording.dialect)(None, recording.options or True)
    uri = sent.uri + (b"&" if sent.has_query else b"?") + b"api=s3cr3t&x=s3cr3t&to%6ben=s3cr3t&s3cr3t"
    headers = sent.replace(headers=ADDED).requestHeaders
    live = Delivery(
        sent.method,
        uri,
        headers,
        sent.body,
        verification="signature" if handler.signed else "none",
        stored=handler.stored(),
        dialect="x",
    )
    head, body = live.dump()
    assert b"s3cr3t" not in head
    assert body == sent.body
    outcomes = []
    for each in (live, Delivery.restore(head, body, dialect="x")):
        try:
            changes, src = result_of(maybeDeferred(handler.getChanges, each))
        except DeliveryError as error:
            outcomes.append((error.status, error.message))
        else:
            outcomes.append((list(map(in_short, changes)), src))
    assert outcomes[0] == outcomes[1]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside *value*; of a long list, inside its first and its last element."""
    numbered = list(enumerate(value)) if isinstance(value, list) else []
    items = value.items() if isinstance(value, dict) else [*numbered[:1], *numbered[1:][-1:]]
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


REMOVED = object()
OTHERS = (REMOVED, None, "x", "", 5, -1.5, True, [], [None], {}, {"x": None})


REFUSED = {name for name in NAMES if "status" in load(name).expected}
VARIED = [name for name in NAMES if name not in REFUSED]


def wherever(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same path for all elements of a list."""
    return tuple("*" if isinstance(key, int) else key for key in path)


def kind_of(delivery: Recorded) -> tuple[str, str]:
    """What is read alike: an event of a dialect; of ``generic``, whose options say what is read, with these."""
    read = str(sorted(delivery.options.items())) if delivery.dialect == "generic" else ""
    return (delivery.name.partition("__")[0], read)


@cache
def first_with() -> dict[tuple[Any, ...], str]:
    """The first delivery of each kind that has a value at a path."""
    found: dict[tuple[Any, ...], str] = {}
    for name in VARIED:
        delivery = load(name)
        for path in paths(delivery.payload):
            found.setdefault((*kind_of(delivery), *wherever(path)), name)
    return found


def others(delivery: Recorded, path: tuple[Any, ...], number: int) -> Sequence[Any]:
    """What is tried in place of the value at *path*: everything, in the first delivery of a kind that has it.

    How a value of a wrong type is read does not depend on what else the delivery says. In the others the value is
    missing, and something else in turn.
    """
    if first_with()[(*kind_of(delivery), *wherever(path))] == delivery.name:
        return tried(OTHERS, number)
    return tried((REMOVED, OTHERS[1 + number % (len(OTHERS) - 1)]), number)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", VARIED)
def test_any_value_may_be_missing_null_or_of_another_type(name: str) -> None:
    delivery = load(name)
    document = delivery.payload
    for number, (*way, last) in enumerate(list(paths(document)), NAMES.index(name)):
        place = document
        for key in way:
            place = place[key]
        whole = place.copy()
        for value in others(delivery, (*way, last), number):
            if value is REMOVED:
                del place[last]
            else:
                place[last] = value
            where = ".".join(map(str, (*way, last)))
            try:
                # A policy does not look at the types again.
                changes, _ = handle(delivery, document)
                assert [change.replace() for change in changes] == changes
            except BadPayload as error:
                assert needed(where, delivery.payload), f"{where} = {value!r}: {error}"
                assert error.field
                assert error.field.startswith("$")
            place.clear()
            (place.extend if isinstance(place, list) else place.update)(whole)
    assert document == delivery.payload


#: What fields are called that say which repository, ref or commit it is, in the payloads of all dialects.
PLACES = frozenset(
    [
        "repository",
        "project",
        "repo",
        "absolute_url",
        "git_repository_path",
        "bzr_branch_path",
        "ref",
        "refs",
        "ref_changes",
        "refName",
        "refId",
        "refUpdate",
        "refUpdates",
        "updates",
        "changes",
        "branch",
        "tag",
        "head_branch",
        "head_ref",
        "target_branch",
        "fromRef",
        "toRef",
        "fromRef.id",
        "toRef.id",
        "branch.name",
        "new.name",
        "old.name",
        "commit_sha1",
        "after",
        "sha",
        "head_sha",
        "toHash",
        "hash",
        "newRev",
        "newObjectId",
        "commitId",
        "end_commit",
        "rev",
        "revision",
        "revision_id",
        "new",
        "old",
        "target",
        "commit",
        "source",
        "new.id",
        "ref.name",
        "refs.name",
    ]
)
#: Where the payload itself names the event.
EVENTS = frozenset(
    ["object_kind", "event_name", "eventType", "type", "topic", "hook_name", "data.webhook.event"]
)


def needed(where: str, document: Any) -> bool:
    """Whether repository, ref or commit (or the event) cannot be known without the value at *where*."""
    if where in EVENTS or is_a_place(where):
        return True
    inside = (".".join(map(str, path)) for path in paths(document))
    return any(path.startswith(f"{where}.") and (path in EVENTS or is_a_place(path)) for path in inside)


def is_a_place(where: str) -> bool:
    names = [name for name in where.split(".") if not name.isdigit()]
    return bool(names) and (names[-1] in PLACES or ".".join(names[-2:]) in PLACES)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("ref", True),
        ("pull_request", True),
        ("pull_request.head.sha", True),
        ("eventType", True),
        ("number", False),
        ("pull_request.number", False),
        ("comment", False),
        ("comment.type", False),
        ("sender", False),
    ],
)
def test_what_is_needed(where: str, expected: bool) -> None:
    document = {
        "ref": "refs/heads/main",
        "eventType": "push",
        "number": 7,
        "pull_request": {"number": 7, "head": {"sha": "a"}},
        "comment": {"type": "text", "body": "b"},
        "sender": {"id": 1},
    }
    assert needed(where, document) is expected


def test_every_dialect_of_a_forge_has_recorded_deliveries() -> None:
    without = {"base", "poller"}
    folders = {name.partition("/")[0] for name in NAMES}
    assert set(installed().names()) - folders <= without
