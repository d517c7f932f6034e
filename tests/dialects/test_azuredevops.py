from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from change_hooks import make_resource
from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, SignatureMismatch, SignatureMissing
from change_hooks.dialects.azuredevops import AzureDevOpsHandler
from tests.conftest import Client, delivery
from tests.support.recorded import load

SECRET = "the secret of the subscription"
BODY = load("azuredevops/git_push__one_commit").body


def basic(password: str, user: str = "azure") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def changes(headers: dict[str, str], **options: Any) -> Any:
    handler = AzureDevOpsHandler(None, {"secret": SECRET, **options})
    return handler.getChanges(delivery(BODY, headers=headers))[0]


def test_the_secret_stands_in_a_header_or_is_the_password() -> None:
    assert len(changes({"X-Change-Hook-Secret": SECRET})) == 1
    assert len(changes({"X-Ours": SECRET}, secret_header="X-Ours")) == 1
    assert len(changes(basic(SECRET))) == 1
    for headers in ({"X-Change-Hook-Secret": "wrong", **basic(SECRET)}, basic("wrong")):
        with pytest.raises(SignatureMismatch):
            changes(headers)
    for headers in ({}, {"X-Change-Hook-Secret": ""}, basic("")):
        with pytest.raises(SignatureMissing):
            changes(headers)


def test_the_header_with_the_secret_is_never_stored() -> None:
    stored = AzureDevOpsHandler(None, {"secret_header": "X-Ours"}).stored()
    kept = delivery(BODY, headers={"X-Ours": "abc"}, stored=stored)
    assert kept.header("x-ours") == "abc"
    assert b"abc" not in kept.dump()[0]


def test_a_delivery_that_is_tried_again_has_the_same_name() -> None:
    handler = AzureDevOpsHandler(None, True)
    payload = json.loads(BODY)
    expected = f"{payload['subscriptionId']}:{payload['notificationId']}"
    assert handler.delivery_id(delivery(BODY)) == expected
    del payload["notificationId"]
    assert handler.delivery_id(delivery(json.dumps(payload).encode())) == payload["id"]
    assert handler.delivery_id(delivery(b"[]")) is None


def updated(**fields: Any) -> bytes:
    payload = load("azuredevops/git_pullrequest_updated__first_heard_of").payload
    payload["notificationId"] = fields.pop("notification", payload["notificationId"])
    payload["resource"].update(fields)
    return json.dumps(payload).encode()


def test_an_update_without_a_new_commit_gives_no_change() -> None:
    handler = AzureDevOpsHandler(None, True)

    def found(body: bytes) -> int:
        return len(handler.getChanges(delivery(body))[0])

    assert found(updated(notification=1)) == 1
    assert found(updated(notification=2, reviewers=[{"vote": 10}])) == 0
    assert found(updated(notification=3, lastMergeSourceCommit={"commitId": "d4" * 20})) == 1
    # It is tried again.
    assert found(updated(notification=3, lastMergeSourceCommit={"commitId": "d4" * 20})) == 1
    assert found(updated(notification=4, lastMergeSourceCommit={"commitId": "d4" * 20})) == 0


def test_when_the_handler_breaks_azure_is_asked_to_try_again() -> None:
    class Broken(AzureDevOpsHandler):
        def handle_git_push(self, payload: Any) -> Any:  # type: ignore[override]
            raise RuntimeError("oh")

    www = {"change_hook_dialects": {"azuredevops": {"custom_class": Broken, "secret": SECRET}}}
    got: list[Change] = []
    client = Client(make_resource(www, sink=got.append))
    headers = {"X-Change-Hook-Secret": SECRET, "Content-Type": "application/json"}
    reply = client.post("/azuredevops", data=BODY, headers=headers)
    assert (reply.status, reply.header("retry-after")) == (503, "30")
    assert "broke" in reply.text
    assert got == []


def test_of_a_comment_the_missing_commit_is_named_where_it_should_stand() -> None:
    recorded = load("azuredevops/ms_vss_code_git_pullrequest_comment_event__command")
    document = recorded.payload
    del document["resource"]["pullRequest"]["lastMergeSourceCommit"]
    with pytest.raises(BadPayload) as caught:
        AzureDevOpsHandler(None, True).getChanges(recorded.delivery(json.dumps(document).encode()))
    assert caught.value.field == "$.resource.pullRequest.lastMergeSourceCommit.commitId"
