from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from change_hooks import make_resource
from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, SignatureMismatch, SignatureMissing
from change_hooks.dialects.gerrit import GerritHandler
from tests.conftest import Client, delivery
from tests.support.changes import none_for
from tests.support.recorded import load

SECRET = "the token in the address"
BODY = load("gerrit/ref_updated__branch").body


def changes(uri: bytes, body: bytes = BODY) -> Any:
    return GerritHandler(None, {"secret": SECRET}).getChanges(delivery(body, uri=uri))[0]


def test_the_token_stands_in_the_address() -> None:
    assert len(changes(b"/change_hook/gerrit?token=the%20token+in%20the+address")) == 1
    with pytest.raises(SignatureMismatch):
        changes(b"/change_hook/gerrit?token=another")
    with pytest.raises(SignatureMissing):
        changes(b"/change_hook/gerrit")
    with pytest.raises(SignatureMissing):
        changes(b"/change_hook/gerrit?token=")


def test_the_token_is_never_stored() -> None:
    kept = delivery(
        BODY, uri=b"/change_hook/gerrit?token=abc&project=p", stored=GerritHandler(None, True).stored()
    )
    assert b"abc" not in kept.dump()[0]
    assert b"project=p" in kept.dump()[0]


def test_the_same_event_has_the_same_name_and_another_has_another() -> None:
    handler = GerritHandler(None, True)
    first, again, other = (handler.delivery_id(delivery(body)) for body in (BODY, BODY, BODY + b" "))
    assert first == again != other


def test_basic_authentication_is_another_way() -> None:
    got: list[Change] = []
    checker = InMemoryUsernamePasswordDatabaseDontUse(gerrit=b"pass word")
    www = {"change_hook_dialects": {"gerrit": True}, "change_hook_auth": [checker]}
    client = Client(make_resource(www, sink=got.append))
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert client.post("/gerrit", data=BODY, headers=headers).status == 401
    basic = {**headers, "Authorization": "Basic Z2Vycml0OnBhc3Mgd29yZA=="}
    assert client.post("/gerrit", data=BODY, headers=basic).status == 202
    assert len(got) == 1


def test_many_refs_at_once_cost_no_more_than_each_of_them_alone() -> None:
    moved = {"oldRev": "a" * 40, "newRev": "b" * 40, "project": "tools/lamp"}
    refs = [{**moved, "refName": f"refs/heads/{number:0200}"} for number in range(600)]
    body = json.dumps({"type": "batch-ref-updated", "project": "tools/lamp", "refUpdates": refs}).encode()
    found, _ = GerritHandler(None, True).getChanges(delivery(body))
    assert len(found) == 600
    assert found[7].properties["event.refUpdate.refName"] == refs[7]["refName"]
    assert sum(len(json.dumps(change.as_dict())) for change in found) < 10 * len(body)


def test_an_empty_list_of_refs_is_no_change() -> None:
    handler = GerritHandler(None, True)
    found, _ = handler.getChanges(
        delivery(b'{"type": "batch-ref-updated", "project": "x", "refUpdates": []}')
    )
    assert none_for(found)
    with pytest.raises(BadPayload, match=r"refUpdate"):
        handler.getChanges(delivery(b'{"type": "batch-ref-updated", "project": "x"}'))


def test_a_ref_without_its_commit_is_said_and_costs_no_other() -> None:
    recorded = load("gerrit/batch_ref_updated__several")
    document = recorded.payload
    del document["refUpdates"][1]["newRev"]
    found, _ = GerritHandler(None, True).getChanges(delivery(json.dumps(document).encode()))
    assert [change.branch for change in found] == ["main", "v1.0"]
    assert {change.properties["change_hook_unread"][0] for change in found} == {"$.refUpdates[1].newRev"}


@pytest.mark.parametrize(
    "name", ["ref_updated__branch", "batch_ref_updated__several", "patchset_created__first"]
)
def test_a_project_may_be_an_object_and_a_number_text(name: str) -> None:
    document = load(f"gerrit/{name}").payload

    def written_otherwise(value: Any) -> Any:
        if isinstance(value, list):
            return [written_otherwise(each) for each in value]
        if not isinstance(value, dict):
            return value
        found = {key: written_otherwise(each) for key, each in value.items()}
        if isinstance(found.get("project"), str):
            found["project"] = {"name": found["project"]}
        if "number" in found:
            found["number"] = str(found["number"])
        return found

    body = json.dumps(written_otherwise(document)).encode()
    found = [
        GerritHandler(None, True).getChanges(delivery(each))[0]
        for each in (load(f"gerrit/{name}").body, body)
    ]
    assert [(c.repository, c.project, c.branch, c.revision, c.revlink) for c in found[0]] == [
        (c.repository, c.project, c.branch, c.revision, c.revlink) for c in found[1]
    ]
    assert {c.repository for c in found[1]} == {"tools/lamp"}
    for change in found[1]:
        assert change.properties.get("event.refUpdate.project", "tools/lamp") == "tools/lamp"
