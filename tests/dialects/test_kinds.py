"""No value that is missing, null or of another type makes a push a deletion or a creation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred

from change_hooks.core.errors import BadPayload, DeliveryError
from change_hooks.core.events import Event, RefUpdate
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.testing import Recorded
from tests.conftest import result_of
from tests.support.inputs import tried
from tests.support.recorded import handler_class, load, recorded

REMOVED = object()
OTHERS = (REMOVED, None, "", True, [], {"x": None})


#: The handlers by their options, and the events that each reports.
HANDLERS: dict[str, tuple[Any, list[Event]]] = {}


def reporting(dialect: str, options: Mapping[str, Any]) -> tuple[Any, list[Event]]:
    """A handler with these options, and the list that gets the events it reports."""
    key = f"{dialect} {sorted(options.items())}"
    if key not in HANDLERS:
        events: list[Event] = []
        context = Context(reported=events.extend)
        handler = make_handler(handler_class(dialect), {**options, "look_up": False}, context)
        HANDLERS[key] = handler, events
    return HANDLERS[key]


class Reading:
    """Deliveries of one recording, as the dialect reads them."""

    def __init__(self, recording: Recorded) -> None:
        self._recording = recording
        self._handler, self._events = reporting(recording.dialect, recording.options)

    def updates(self, document: Any = None) -> list[RefUpdate]:
        """The updates of refs that a document reports; the recorded one, unless another is given."""
        self._events.clear()
        body = None if document is None else json.dumps(document).encode()
        sent = self._recording.delivery(body).replace(verification="signature")
        result_of(maybeDeferred(self._handler.getChanges, sent))
        return [event for event in self._events if isinstance(event, RefUpdate)]


def pushes() -> list[str]:
    """One recorded delivery of each dialect, event, and what happened to its refs."""
    found: dict[tuple[object, ...], str] = {}
    for each in recorded():
        try:
            updates = Reading(each).updates()
        except DeliveryError:
            continue
        if updates:
            happened = tuple((update.after is None, update.created, update.is_tag) for update in updates)
            found[(each.name.partition("__")[0], *happened)] = each.name
    return list(found.values())


NAMES = pushes()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value that holds no others."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, (dict, list)) and inner:
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key)


def worse(was: list[RefUpdate], found: list[RefUpdate]) -> list[str]:
    """The refs that are now said to have been deleted, or made. One that cannot be read is left out, and said."""
    before = {update.ref: update for update in was}
    wrong = []
    for update in found:
        known = before.get(update.ref)
        if known is None or known.after is None:
            continue
        if update.after is None or (update.created and not known.created):
            wrong.append(update.ref)
    return wrong


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", NAMES)
def test_it_stays_what_it_is_or_is_refused(name: str) -> None:
    recording = load(name)
    reading, document = Reading(recording), recording.payload
    whole = reading.updates()
    for number, (*way, last) in enumerate(list(leaves(document)), NAMES.index(name)):
        place = document
        for key in way:
            place = place[key]
        was = place[last]
        for value in tried(OTHERS, number):
            # It is of the right type, or says what a user's mapping may say with it.
            if (value is True and (was is None or isinstance(was, bool))) or (
                value in (None, "") and recording.dialect == "generic"
            ):
                continue
            if value is REMOVED:
                del place[last]
            else:
                place[last] = value
            where = ".".join(map(str, (*way, last)))
            try:
                found = reading.updates(document)
            except BadPayload as error:
                assert error.field
            else:
                assert worse(whole, found) == [], f"{where} = {value!r}"
            if isinstance(place, list) and value is REMOVED:
                place.insert(last, was)
            else:
                place[last] = was
    assert document == recording.payload


@pytest.mark.parametrize(
    ("name", "way", "field"),
    [
        ("bitbucketcloud/repo_push__one_commit", "push.changes.0.new.name", "$.push.changes[0].new.name"),
        ("bitbucketcloud/repo_push__one_commit", "push.changes.0.new", "$.push.changes[0].new"),
        (
            "bitbucketcloud/repo_push__one_commit",
            "push.changes.0.new.target.hash",
            "$.push.changes[0].new.target.hash",
        ),
        ("bitbucketserver/repo_push__add_on", "push.changes.0.new.name", "$.push.changes[0].new.name"),
        (
            "bitbucketserver/repo_push__add_on",
            "push.changes.0.new.target.hash",
            "$.push.changes[0].new.target.hash",
        ),
        ("bitbucketserver/repo_refs_changed__update", "changes.0.toHash", "$.changes[0].toHash"),
        (
            "sourcehut/GIT_POST_RECEIVE__branch",
            "data.webhook.updates.0.new.id",
            "$.data.webhook.updates[0].new.id",
        ),
        ("sourcehut/repo_post_update__branch", "refs.0.new.id", "$.refs[0].new.id"),
        (
            "launchpad/git_push_0_1__one_branch",
            "ref_changes.refs/heads/main.new.commit_sha1",
            "$.ref_changes[...].new.commit_sha1",
        ),
        ("azuredevops/git_push__one_commit", "resource.refUpdates.0.newObjectId", None),
        ("gerrit/ref_updated__branch", "refUpdate.newRev", "$.refUpdate"),
        ("gitlab/repository_update__system_hook", "changes.0.after", "$.changes[0].after"),
    ],
)
def test_what_decides_is_named(name: str, way: str, field: str | None) -> None:
    recording = load(name)
    document = place = recording.payload
    *keys, last = way.split(".")
    for key in keys:
        place = place[int(key) if key.isdigit() else key]
    place[last] = [] if last == "new" else None
    reading = Reading(recording)
    if field is None:
        assert reading.updates(document) == []
        return
    with pytest.raises(BadPayload) as caught:
        reading.updates(document)
    assert caught.value.field == field
