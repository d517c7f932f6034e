from __future__ import annotations

import json
from typing import Any

import pytest

from change_hooks.core.errors import BadPayload, ConfigurationError, SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_standard_webhook
from change_hooks.dialects.gitlab import GitLabHandler
from tests.conftest import delivery
from tests.support.changes import none_for
from tests.support.forges import example
from tests.support.payloads import GITLAB_MERGE, GITLAB_MERGE_REQUEST, GITLAB_NOTE, GITLAB_PROJECT, SHA, ZEROS

KEY = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_795_516_245


def sent(payload: Any, headers: dict[str, str] | None = None, event: str = "Push Hook") -> Any:
    return delivery(
        json.dumps(payload).encode(), headers={"X-Gitlab-Event": event, **(headers or {})}, received=NOW
    )


def handle(payload: Any, options: Any = True, headers: dict[str, str] | None = None) -> Any:
    return GitLabHandler(None, options).getChanges(sent(payload, headers))[0]


def push(options: Any = True, **fields: Any) -> Any:
    return handle({**example("gitlab"), **fields}, options)


def merge_request(options: Any = True, **attributes: Any) -> Any:
    return handle({**GITLAB_MERGE_REQUEST, "object_attributes": {**GITLAB_MERGE, **attributes}}, options)


def note(options: Any = True, **attributes: Any) -> Any:
    payload = {**GITLAB_NOTE, "object_attributes": {**GITLAB_NOTE["object_attributes"], **attributes}}
    return handle(payload, options)


def test_a_tag() -> None:
    tag = {"object_kind": "tag_push", "event_name": "tag_push", "ref": "refs/tags/v1", "before": ZEROS}
    (change,) = push(**tag, commits=[], total_commits_count=0, after="a" * 40, message="Version 1")
    assert (change.branch, change.category, change.comments) == ("v1", "tag_push", "Version 1")
    assert change.revision == example("gitlab")["checkout_sha"]
    assert change.properties == {"event": "tag_push", "change_hook_missing": ["files"]}


def test_a_new_branch_on_a_known_commit_gives_one_change() -> None:
    (change,) = push(commits=[], total_commits_count=0, before=ZEROS, checkout_sha=None)
    assert (change.revision, change.author) == (
        example("gitlab")["after"],
        "J\u00f6rg Schmidt <joerg@example.com>",
    )
    assert change.revlink == "https://gitlab.example.com/mike/diaspora/-/commit/" + example("gitlab")["after"]
    assert change.properties == {"event": "push", "change_hook_missing": ["files", "comments"]}


def test_a_deletion_gives_no_change() -> None:
    assert "deleted" in push(after=ZEROS, checkout_sha=None, commits=[]).reason


def test_a_push_cut_to_twenty_commits_says_so() -> None:
    commits = [{"id": f"{n:040x}", "message": f"commit {n}"} for n in range(20)]
    changes = push(commits=commits, total_commits_count=31, after=commits[-1]["id"], checkout_sha=None)
    assert len(changes) == 20
    assert {change.properties["change_hook_truncated"] for change in changes} == {31}
    assert changes[0].properties["change_hook_missing"] == ["files"]
    assert "change_hook_truncated" not in push()[0].properties


def test_the_head_commit_decides_about_skipping() -> None:
    first = {"id": "a" * 40, "message": "x [skip ci]"}
    head = {"id": example("gitlab")["after"], "message": "y"}
    assert len(push(commits=[head, first])) == 2
    assert none_for(push(commits=[first]))


@pytest.mark.parametrize(
    ("options", "count"), [({"ci": {"skip": True}}, 0), ({"ci": {}}, 1), ({}, 1), ([], 1), (None, 1)]
)
def test_push_options(options: Any, count: int) -> None:
    assert len(push(push_options=options)) == count


def test_a_payload_of_version_8() -> None:
    old = {
        "object_kind": "push",
        "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
        "after": SHA,
        "ref": "refs/heads/master",
        "user_id": 4,
        "user_name": "John Smith",
        "project_id": 15,
        "repository": {
            "name": "Diaspora",
            "url": "git@example.com:diaspora.git",
            "homepage": "http://example.com/",
        },
        "commits": [
            {
                "id": SHA,
                "message": "fixed",
                "timestamp": "2011-12-12T14:27:31+02:00",
                "author": {"name": "John"},
            }
        ],
        "total_commits_count": 1,
    }
    (change,) = handle(old)
    assert (change.repository, change.project, change.author) == (
        "git@example.com:diaspora.git",
        "Diaspora",
        "John",
    )
    assert change.when_timestamp == 1323692851
    (change,) = handle(
        {**old, "repository": None, "project": {"name": "Diaspora", "http_url": "http://x/d.git"}}
    )
    assert change.repository == "http://x/d.git"


def test_the_address_wanted() -> None:
    assert push({"repository_url": "https"})[0].repository == GITLAB_PROJECT["git_http_url"]
    assert push({"repository_url": "ssh"})[0].repository == GITLAB_PROJECT["git_ssh_url"]
    assert push({"repository_url": "html"})[0].repository == GITLAB_PROJECT["web_url"]
    assert len(push({"repositories": ["mike/*"]})) == 1


def test_a_system_hook() -> None:
    system = {**example("gitlab"), "object_kind": None}
    assert len(handle(system, headers={"X-Gitlab-Event": "System Hook"})) == 1
    assert "'project_create'" in handle({"event_name": "project_create"}).reason
    with pytest.raises(BadPayload, match="ref"):
        handle({})
    with pytest.raises(BadPayload, match="object_kind"):
        handle({}, headers={"X-Gitlab-Event": "System Hook"})


def test_a_merge_request() -> None:
    (change,) = merge_request()
    assert change.as_dict() == {
        "author": "J\u00f6rg <joerg@example.com>",
        "committer": None,
        "files": [],
        "comments": "MR#4: Say hello \u00fc\n\nIt was time.",
        "revision": SHA,
        "when_timestamp": 1795514400,
        "branch": "main",
        "category": "merge_request",
        "revlink": "https://gitlab.example.com/mike/diaspora/-/merge_requests/4",
        "repository": GITLAB_PROJECT["git_http_url"],
        "project": "Diaspora",
        "codebase": None,
        "src": "git",
        "properties": {
            "source_branch": "hello",
            "source_project_id": 15,
            "source_repository": GITLAB_PROJECT["git_http_url"],
            "source_git_ssh_url": GITLAB_PROJECT["git_ssh_url"],
            "target_branch": "main",
            "target_project_id": 15,
            "target_repository": GITLAB_PROJECT["git_http_url"],
            "target_git_ssh_url": GITLAB_PROJECT["git_ssh_url"],
            "event": "merge_request",
            "change_hook_missing": ["files"],
        },
    }


@pytest.mark.parametrize(
    ("attributes", "count"),
    [
        ({"action": "reopen"}, 1),
        ({"action": "update", "oldrev": SHA}, 1),
        ({"action": "update"}, 0),
        ({"action": "merge", "state": "merged"}, 0),
        ({"action": "close", "state": "closed"}, 0),
        ({"action": None}, 1),
        ({"action": None, "state": None}, 1),
        ({"action": None, "state": "merged"}, 0),
        ({"last_commit": None}, 1),
        ({"last_commit": {"id": SHA, "message": "[ci skip]"}}, 0),
        ({"source": None, "target": None}, 1),
    ],
)
def test_which_merge_requests_give_a_change(attributes: Any, count: int) -> None:
    assert len(merge_request(**attributes)) == count


def test_a_merge_request_into_no_branch_is_refused() -> None:
    with pytest.raises(BadPayload) as caught:
        merge_request(target_branch=None)
    assert caught.value.field == "$.object_attributes.target_branch"


def test_a_note() -> None:
    (change,) = note()
    assert (change.category, change.properties["event"]) == ("note", "note")
    assert change.properties["comments"] == "/build it"
    assert len(note({"repositories": ["mike/diaspora"], "branches": ["main"]})) == 1


@pytest.mark.parametrize(
    ("attributes", "count"),
    [({"action": "update"}, 0), ({"system": True}, 0), ({"action": None, "system": None}, 1)],
)
def test_which_notes_give_a_change(attributes: Any, count: int) -> None:
    assert len(note(**attributes)) == count


def test_a_note_on_something_else_gives_none() -> None:
    other = {name: value for name, value in GITLAB_NOTE.items() if name != "merge_request"}
    assert none_for(handle(other))
    assert len(handle(other, {"repositories": ["*"]})) == 0


def test_commands_in_notes() -> None:
    assert len(note({"note_pattern": r"^/build\b"})) == 1
    assert len(note({"note_pattern": r"^/build\b"}, note="nice")) == 0
    assert len(note({"note_pattern": "x"}, note=None)) == 0
    with pytest.raises(ConfigurationError, match="note_pattern"):
        GitLabHandler(None, {"note_pattern": "("})


def test_a_subclass_and_its_own_event() -> None:
    class Mine(GitLabHandler):
        def handle_pipeline(self, payload: Any, event: str) -> Any:
            return [{"branch": payload["ref"], "category": event}], "git"

    payload = {"object_kind": "pipeline", "ref": "main"}
    (change,), _ = Mine(None, {"branches": ["main"]}).getChanges(sent(payload))
    assert (change.branch, change.category) == ("main", "pipeline")


# Proof


def standard(payload: Any, key: bytes = KEY, at: int = NOW) -> dict[str, str]:
    body = json.dumps(payload).encode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": sign_standard_webhook(body, "msg_1", at, key),
    }


def test_a_token() -> None:
    payload = example("gitlab")
    assert handle(payload, {"secret": ["old", "new"]}, {"X-Gitlab-Token": "new"})
    with pytest.raises(SignatureMismatch):
        handle(payload, {"secret": "new"}, {"X-Gitlab-Token": "old"})
    with pytest.raises(SignatureMissing):
        handle(payload, {"secret": "new"})


def test_a_signing_token() -> None:
    payload = example("gitlab")
    assert handle(payload, {"secret": KEY}, standard(payload))
    for wrong in (standard(payload, b"whsec_" + b"A" * 32), standard(payload, at=NOW - 301), standard({})):
        with pytest.raises(SignatureMismatch):
            handle(payload, {"secret": KEY}, wrong)
    with pytest.raises(SignatureMissing):
        handle(payload, {"secret": KEY})


def test_both_together() -> None:
    payload = example("gitlab")
    both = {"secret": [KEY, b"token"]}
    assert handle(payload, both, {**standard(payload), "X-Gitlab-Token": "token"})
    assert handle(payload, both, standard(payload))
    assert handle(payload, both, {"X-Gitlab-Token": "token"})
    with pytest.raises(SignatureMismatch):
        handle(payload, both, {**standard(payload), "X-Gitlab-Token": "wrong"})
    with pytest.raises(SignatureMismatch):
        handle(payload, both, {**standard({}), "X-Gitlab-Token": "token"})
    assert handle(payload, {"secret": "token"}, {**standard({}), "X-Gitlab-Token": "token"})
    assert handle(payload, {"secret": KEY}, {**standard(payload), "X-Gitlab-Token": "not ours"})


@pytest.mark.parametrize(
    ("headers", "id"),
    [
        ({"Idempotency-Key": "k", "X-Gitlab-Webhook-UUID": "h", "X-Gitlab-Event-UUID": "e"}, "k"),
        ({"X-Gitlab-Webhook-UUID": "h", "X-Gitlab-Event-UUID": "e"}, "e:44136fa355b3678a"),
        ({"X-Gitlab-Event-UUID": "e"}, "e:44136fa355b3678a"),
        ({"webhook-id": "msg_1"}, "msg_1"),
    ],
)
def test_the_delivery_id(headers: dict[str, str], id: str | None) -> None:
    assert GitLabHandler(None, True).delivery_id(sent({}, headers)) == id


def test_the_id_that_is_signed_is_the_deliverys() -> None:
    received = sent({}, {"webhook-id": "msg_1", "Idempotency-Key": "k"})
    assert GitLabHandler(None, True).delivery_id(received) == "k"
    assert GitLabHandler(None, True).delivery_id(received.replace(verification="signature")) == "msg_1"
