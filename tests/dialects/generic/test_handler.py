from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from change_hooks import make_resource
from change_hooks.core.errors import BadPayload, ConfigurationError
from change_hooks.core.events import Ignored
from change_hooks.dialects.generic import GenericHandler
from change_hooks.flow import proceed
from tests.conftest import Client, delivery

SECRET = "the secret of both sides"
CHANGE = {"branch": "ref", "revision": "rev"}
BODY = b'{"ref": "main", "rev": "1", "kind": "push", "n": 7}'


def handler(**options: Any) -> GenericHandler:
    return GenericHandler(None, {"change": CHANGE, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the options 'refs' and 'change'"),
        ({"change": CHANGE, "refs": {"ref": "r"}}, "one of the options 'refs' and 'change'"),
        ({"change": CHANGE, "commits": {"each": "c", "id": "i"}}, "option 'commits' needs 'refs'"),
        ({"change": CHANGE, "secret": SECRET}, "'secret' needs 'signature' or 'token_in'"),
        ({"change": CHANGE, "token_in": "bearer"}, "'token_in' needs a 'secret'"),
        ({"change": CHANGE, "signature": {"header": "X"}}, "'signature' needs a 'secret'"),
        (
            {"change": CHANGE, "secret": SECRET, "token_in": "bearer", "signature": {"header": "X"}},
            "exclude each other",
        ),
        ({"change": {"brnch": "ref"}}, "option 'change' has an unknown name 'brnch'; did you mean 'branch'"),
        ({"change": CHANGE, "evnt": "kind"}, "unknown option 'evnt'; did you mean 'event"),
        ({"change": CHANGE, "event": 5}, "option 'event' must be a path"),
    ],
)
def test_what_is_wrong_in_the_options_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GenericHandler(None, options)


def test_all_mistakes_are_reported_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        GenericHandler(None, {"secret": SECRET, "commits": {"each": 5}, "event": ""})
    assert len(caught.value.problems) == 5


def test_the_event_has_a_name_where_the_option_says() -> None:
    named = handler(event="kind", events=["push"])
    assert len(named.getChanges(delivery(BODY))[0]) == 1
    assert not named.getChanges(delivery(b'{"ref": "main", "kind": "tag"}'))[0]
    assert handler(event="nothing").event(delivery(BODY), BODY) == "delivery"
    assert handler().event(delivery(BODY), BODY) == "delivery"


def test_the_property_event_is_there_when_events_have_names() -> None:
    refs = {"ref": "ref", "after": "rev"}
    for options, event in (({"event": "kind"}, "push"), ({}, None)):
        (change,) = GenericHandler(None, {"refs": refs, **options}).getChanges(delivery(BODY))[0]
        assert change.properties.get("event") == event


@pytest.mark.parametrize(
    ("written", "headers", "body", "found"),
    [
        ("n", {}, BODY, "7"),
        ({"header": "X-Id"}, {"X-Id": "a"}, BODY, "a"),
        ({"header": "X-Id"}, {}, BODY, None),
        ("nothing", {}, BODY, None),
        ("n", {}, b"not JSON", None),
        ("n", {}, b"[]", None),
        (None, {"X-Id": "a"}, BODY, None),
    ],
)
def test_the_id(written: Any, headers: dict[str, str], body: bytes, found: str | None) -> None:
    assert handler(id=written).delivery_id(delivery(body, headers=headers)) == found


def test_a_payload_that_is_not_an_object_is_refused() -> None:
    with pytest.raises(BadPayload):
        handler(event="kind").getChanges(delivery(b"[]"))


def test_the_headers_that_are_read_are_stored() -> None:
    stored = handler(event={"header": "X-Token-Event"}, id={"header": "X-Id"}).stored()
    assert stored.keeps(b"x-token-event")
    assert stored.keeps(b"x-id")
    assert not stored.keeps(b"x-other")


def test_a_token_in_a_header_or_in_the_address_is_not_stored() -> None:
    header = handler(secret=SECRET, token_in={"header": "X-Key"}, event={"header": "X-Key"})
    assert not header.stored().keeps(b"x-key")
    query = handler(secret=SECRET, token_in={"query": "key"})
    request = delivery(BODY, uri=b"/x?key=the+secret&a=1", stored=query.stored())
    assert b"/x?key=&a=\x91" in request.dump()[0]


def test_a_body_without_its_token_keeps_its_character_set() -> None:
    made = handler(secret=SECRET, token_in={"body": "key"})
    body = json.dumps({"key": SECRET, "rev": "\u00e4"}).encode("utf-16")
    sent = delivery(body, content_type=b"application/json; charset=utf-16")
    verified: Any = proceed(made.verified(sent))
    assert json.loads(made.document(verified)) == {"rev": "\u00e4"}
    assert SECRET.encode("utf-16-le") not in verified.body
    assert proceed(made.verified(made.sign(sent, SECRET.encode()))).verification == "token"


@pytest.mark.parametrize("form", [False, True])
def test_a_token_in_the_body_is_taken_out_before_it_is_stored(form: bool) -> None:
    whole = {"ref": "main", "auth": {"key": SECRET, "by": "ann"}}
    body, kind = json.dumps(whole).encode(), b"application/json"
    if form:
        body, kind = urlencode({"payload": body}).encode(), b"application/x-www-form-urlencoded"
    made = handler(secret=SECRET, token_in={"body": "auth.key"})
    verified: Any = proceed(made.verified(delivery(body, content_type=kind)))
    assert verified.verification == "token"
    document = parse_qs(verified.body.decode())["payload"][0] if form else verified.body
    assert json.loads(document) == {"ref": "main", "auth": {"by": "ann"}}
    assert made.getChanges(verified)[0][0].branch == "main"
    assert proceed(made.verified(verified)) is verified


def test_a_subclass_may_handle_an_event_itself() -> None:
    class Own(GenericHandler):
        def handle_push(self, payload: Any) -> Any:
            return Ignored("my own reason")

    own = Own(None, {"change": CHANGE, "event": "kind"})
    assert own.getChanges(delivery(BODY))[0].reason == "my own reason"
    assert len(own.getChanges(delivery(b'{"ref": "x", "kind": "other"}'))[0]) == 1


def test_it_is_served_with_the_options_of_all_forges() -> None:
    taken: list[Any] = []
    options = {
        "dialect": "generic",
        "secret": SECRET,
        "token_in": "bearer",
        "change": CHANGE,
        "branches": ["main"],
        "project": "lamp",
    }
    www = {"change_hook_dialects": {"own": options}, "change_hook_journal": None}
    client = Client(make_resource(www, sink=taken.append))
    right = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    for body, headers, status, count in (
        (BODY, right, 202, 1),
        (BODY.replace(b"main", b"other"), right, 202, 1),
        (BODY, {**right, "Authorization": "Bearer no"}, 403, 1),
        (b"{", right, 400, 1),
    ):
        assert client.post("/own", data=body, headers=headers).status == status
        assert len(taken) == count
    assert (taken[0].project, taken[0].revision) == ("lamp", "1")
