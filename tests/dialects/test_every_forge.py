"""What all forges' dialects share: the documented example, any field broken, options, secrets."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks import make_resource
from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.handler import check_options
from change_hooks.plugins import FORGE_GROUPS, installed
from tests.conftest import Client, delivery, result_of
from tests.support import payloads
from tests.support.changes import none_for
from tests.support.forges import EVENT_HEADERS, EVENTS, FORGES, FORMS, example, sent
from tests.support.inputs import tried
from tests.support.recorded import handler_class, recorded

CLASSES = {name: installed().load(name) for name in FORGES}
#: Every kind of payload: dialect, event, payload.
EVERY_PAYLOAD = [
    *((name, EVENTS.get(name, ""), example(name)) for name in FORGES),
    ("github", "pull_request", payloads.GITHUB_PULL_REQUEST),
    ("gitlab", "Merge Request Hook", payloads.GITLAB_MERGE_REQUEST),
    ("gitlab", "Note Hook", payloads.GITLAB_NOTE),
    ("bitbucketcloud", "pullrequest:fulfilled", payloads.CLOUD_PULL_REQUEST),
    ("bitbucketcloud", "pullrequest:created", payloads.CLOUD_OLD_PULL_REQUEST),
    ("bitbucketserver", "pr:opened", payloads.SERVER_PULL_REQUEST),
    ("bitbucketserver", "repo:push", payloads.SERVER_ADD_ON_PUSH),
    ("bitbucketserver", "pullrequest:updated", payloads.SERVER_ADD_ON_PULL_REQUEST),
]
IDS = [f"{name}-{event or 'push'}" for name, event, _ in EVERY_PAYLOAD]


def handle(name: str, event: str, payload: Any, options: Any = True, **more: Any) -> Any:
    """The changes."""
    handler = CLASSES[name](None, options)
    return handler.getChanges(sent(name, event, payload, **more))[0]


@pytest.mark.parametrize(
    ("name", "project"), [("github", "ann/app"), ("gitea", "ann/app"), ("gogs", "ann/app"), ("gitee", "")]
)
def test_a_repository_as_older_versions_name_it(name: str, project: str) -> None:
    """With a ``url`` alone, and the owner beside the name."""
    page = "https://git.example/ann/app"
    handler = installed().load(name)(None, True)
    for url, known in ((page, page), ("https://git.example/api/v1/repos/ann/app", "")):
        repository = {"name": "app", "url": url, "owner": {"name": "ann"}}
        push = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "commits": []}
        headers = handler.naming("Push Hook" if name == "gitee" else "push", "1")
        received = delivery(json.dumps({**push, "repository": repository}).encode(), headers=headers)
        (change,) = handler.getChanges(received)[0]
        assert (change.repository, change.project) == (known, project)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside *value*."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def answered(name: str, event: str, payload: Any) -> None:
    """Fails unless there is an answer of the documented kind: changes, or a 400 that names a field."""
    try:
        changes = handle(name, event, payload)
    except BadPayload as error:
        assert error.field is not None
        assert error.field.startswith(("$", "payload", "header"))
    else:
        assert all(isinstance(change, Change) for change in changes)
        assert changes or changes == []


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(("name", "event", "payload"), EVERY_PAYLOAD, ids=IDS)
def test_any_field_may_be_missing_null_or_of_another_type(name: str, event: str, payload: Any) -> None:
    assert handle(name, event, payload)
    broken = copy.deepcopy(payload)
    for number, (*way, last) in enumerate(list(paths(payload))):
        place = broken
        for key in way:
            place = place[key]
        whole = place.copy()
        for value in tried(OTHERS, number):
            if value is REMOVED:
                del place[last]
            else:
                place[last] = value
            answered(name, event, broken)
            place.clear()
            (place.extend if isinstance(place, list) else place.update)(whole)
    assert broken == payload


REMOVED = object()
OTHERS = (REMOVED, None, 5, "x", [], {}, True, -1.5, [None], {"x": None})
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_any_value_anywhere(data: st.DataObject) -> None:
    name, event, payload = data.draw(st.sampled_from(EVERY_PAYLOAD))
    broken = copy.deepcopy(payload)
    place: Any = broken
    path = data.draw(st.sampled_from(list(paths(payload))))
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(json_values)
    answered(name, event, broken)


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("document", ["[]", "1", "null", '"x"', "{", "", "\ufffd"])
def test_no_object_is_a_400(name: str, document: str) -> None:
    received = sent(name, EVENTS.get(name, ""), None)
    body = document.encode()
    if name in FORMS:
        body = urlencode({"payload": document}).encode()
    broken = delivery(body, content_type=received.getHeader(b"content-type"), headers=_headers(name))
    with pytest.raises(BadPayload):
        CLASSES[name](None, True).getChanges(broken)


def _headers(name: str) -> dict[str, str]:
    return {EVENT_HEADERS[name]: EVENTS[name]} if name in EVENT_HEADERS else {}


@pytest.mark.parametrize(("name", "event", "payload"), EVERY_PAYLOAD, ids=IDS)
def test_project_and_codebase_of_the_url_win(name: str, event: str, payload: Any) -> None:
    options = {"project": "option", "codebase": "option"}
    for change in handle(name, event, payload, options):
        assert (change.project, change.codebase) == ("option", "option")
    for change in handle(name, event, payload, options, uri=b"/?project=%C3%A4&codebase=url"):
        assert (change.project, change.codebase) == ("\u00e4", "url")


@pytest.mark.parametrize(("name", "event", "payload"), EVERY_PAYLOAD, ids=IDS)
def test_codebase_and_address_may_be_computed_of_the_payload(name: str, event: str, payload: Any) -> None:
    options = {"codebase": lambda p: sorted(p)[0], "repository_url": lambda p: sorted(p)[-1]}
    for change in handle(name, event, payload, options):
        assert (change.codebase, change.repository) == (sorted(payload)[0], sorted(payload)[-1])


@pytest.mark.parametrize(("name", "event", "payload"), EVERY_PAYLOAD, ids=IDS)
def test_repositories_and_branches_that_are_not_wanted_give_no_change(
    name: str, event: str, payload: Any
) -> None:
    for option in ("repositories", "branches"):
        refused = handle(name, event, payload, {option: ["nothing*"]})
        assert none_for(refused)
        assert option in refused.reason
        assert handle(name, event, payload, {option: ["*"]})


@pytest.mark.parametrize("name", FORGES)
def test_properties_may_be_taken_from_the_payload(name: str) -> None:
    prefix = CLASSES[name].prefix or CLASSES[name].forge
    (change,) = handle(
        name, EVENTS.get(name, ""), example(name), {f"{prefix}_property_whitelist": [f"{prefix}.*"]}
    )
    assert change.properties[f"{prefix}.repository.name"] == example(name)["repository"]["name"]


@pytest.mark.parametrize("name", FORGES)
def test_a_commit_that_asks_for_no_build_gives_no_change(name: str) -> None:
    if name == "bitbucketserver":
        payload = {**example(name), "toCommit": {"message": "x [skip ci]"}}
    else:
        text = json.dumps(example(name), ensure_ascii=False)
        for message in (
            "Gr\u00fc\u00dfe",
            "fixed readme",
            "Added some",
            "added a place",
            "new commit message",
        ):
            text = text.replace(message, "[ci skip] " + message)
        payload = json.loads(text)
    refused = handle(name, EVENTS.get(name, ""), payload)
    assert none_for(refused)
    assert "skip" in refused.reason
    assert handle(name, EVENTS.get(name, ""), payload, {"skips": []})


@pytest.mark.parametrize("name", ["github", "bitbucketcloud", "bitbucketserver", "bitbucket", "gitorious"])
@pytest.mark.parametrize(
    "secret",
    ["s3cret", b"s3cret", ["other", b"s3cret"], lambda received: "s3cret"],
    ids=["str", "bytes", "list", "callable"],
)
def test_a_signed_delivery_is_proved_over_the_raw_body(name: str, secret: Any) -> None:
    header = "X-Hub-Signature-256" if name == "github" else "X-Hub-Signature"
    event = EVENTS.get(name, "")
    body = sent(name, event, example(name)).body
    options = {"secret": secret, **({"strict": True} if name == "github" else {})}
    assert handle(name, event, example(name), options, headers={header: sign_hmac(body, b"s3cret")})
    with pytest.raises(SignatureMismatch):
        handle(name, event, example(name), options, headers={header: sign_hmac(body, b"wrong")})
    with pytest.raises(SignatureMismatch):
        handle(name, event, example(name), options, headers={header: "sha256=\u00e9"})
    with pytest.raises(SignatureMissing):
        handle(name, event, example(name), options)


@pytest.mark.parametrize("name", list(EVENTS))
def test_an_event_that_is_not_handled_is_no_error(name: str) -> None:
    payload = {"object_kind": "build"} if name == "gitlab" else {}
    refused = handle(name, "build", payload)
    assert none_for(refused)
    assert "'build'" in refused.reason
    if name != "gitlab":
        with pytest.raises(BadPayload, match="names the event"):
            CLASSES[name](None, True).getChanges(delivery(b"{}"))


@pytest.mark.parametrize("name", FORGES)
def test_the_dialect_over_http(name: str, changes: list[Change]) -> None:
    client = Client(make_resource({"change_hook_dialects": {name: True}}, sink=changes.append))
    received = sent(name, EVENTS.get(name, ""), example(name))
    kind = received.getHeader(b"content-type").decode()
    reply = client.post(f"/{name}", data=received.body, headers={"content-type": kind, **_headers(name)})
    assert (reply.status, reply.text) == (202, "1 change found\n")
    assert changes[0].src == "git"
    for form in FORMS:
        refused = client.post(f"/{name}", data=received.body, headers={"content-type": "text/plain"})
        assert refused.status == 415, form


def test_a_secret_may_be_fetched_by_a_coroutine() -> None:
    async def fetch(received: Any) -> str:
        return "s3cret"

    body = sent("bitbucketcloud", "repo:push", example("bitbucketcloud")).body
    handler = CLASSES["bitbucketcloud"](None, {"secret": fetch})
    signed = {"X-Hub-Signature": sign_hmac(body, b"s3cret")}
    found = handler.getChanges(sent("bitbucketcloud", "repo:push", example("bitbucketcloud"), signed))
    assert len(result_of(found)[0]) == 1


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("github", "X-GitHub-Delivery"),
        ("gitlab", "Idempotency-Key"),
        ("bitbucketcloud", "X-Request-UUID"),
        ("bitbucketserver", "X-Request-Id"),
    ],
)
def test_the_forges_name_of_a_delivery(name: str, header: str) -> None:
    handler = CLASSES[name](None, True)
    assert (
        handler.delivery_id(sent(name, EVENTS[name], {}, {header: "72d3162e-cc78-11e3"}))
        == "72d3162e-cc78-11e3"
    )
    assert handler.delivery_id(sent(name, EVENTS[name], {})) is None


@pytest.mark.parametrize("name", FORMS)
def test_a_forge_that_names_no_delivery(name: str) -> None:
    assert CLASSES[name](None, True).delivery_id(sent(name, "", {})) is None


@pytest.mark.parametrize("name", FORGES)
@pytest.mark.parametrize("option", [{"complete": True}, {"commands": {"regex": "^!build"}}])
def test_what_asks_the_forge_needs_an_api_to_ask(name: str, option: Any) -> None:
    """It is a warning, and costs nothing else: a comment is no command then."""
    clients = installed(FORGE_GROUPS)
    client = clients.load(CLASSES[name].forge) if CLASSES[name].forge in clients.names() else None
    can = client is not None and set(option) <= client.supports

    def doubts(**more: str | None) -> str:
        written = {"secret": "a long enough secret", "strict": True, **option, **more}
        problems, doubts = check_options(CLASSES[name], written)
        assert problems == []
        return "".join(doubts)

    asking = {"token": "T", **({} if name == "github" else {"api": "https://forge.example"})}
    assert ("no effect" in doubts(**asking)) == (not can)
    assert can or "leave it out" in doubts(**asking)
    assert can == (name not in FORMS)
    if can and client.api is None:
        assert "no effect without 'api'" in doubts(token="T")
    if can and "commands" in option:
        assert "no effect without a 'token'" in doubts(**{**asking, "token": None})


@pytest.mark.parametrize("name", sorted({each.dialect for each in recorded()}))
def test_every_forge_has_a_property_whitelist(name: str) -> None:
    handler = handler_class(name)
    option = f"{handler.prefix or handler.forge}_property_whitelist"
    assert not any(option in problem for problem in check_options(handler, {option: ["*"]})[0])
