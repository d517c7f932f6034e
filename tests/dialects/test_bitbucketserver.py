from __future__ import annotations

import json
from typing import Any

import pytest

from change_hooks.core.errors import BadPayload
from change_hooks.dialects.bitbucketserver import BitbucketServerEventHandler
from tests.conftest import delivery
from tests.support.changes import none_for
from tests.support.forges import example
from tests.support.payloads import (
    OTHER,
    SERVER_ADD_ON_PULL_REQUEST,
    SERVER_ADD_ON_PUSH,
    SERVER_PULL_REQUEST,
    SHA,
    ZEROS,
)


def handle(event: str, payload: Any, options: Any = True) -> Any:
    received = delivery(json.dumps(payload).encode(), headers={"X-Event-Key": event})
    return BitbucketServerEventHandler(None, options).getChanges(received)[0]


def push(options: Any = True, **fields: Any) -> Any:
    return handle("repo:refs_changed", {**example("bitbucketserver"), **fields}, options)


def ref_change(name: str, type: str, **fields: Any) -> dict[str, Any]:
    whole = {"ref": {"id": name}, "refId": name, "fromHash": OTHER, "toHash": SHA, "type": type}
    return {**whole, **fields}


def test_several_refs_in_one_push() -> None:
    changes = push(
        changes=[
            ref_change("refs/heads/new", "ADD", fromHash=ZEROS),
            ref_change("refs/heads/gone", "DELETE", toHash=ZEROS),
            ref_change("refs/tags/v1", "UPDATE", ref=None),
        ]
    )
    assert [(change.branch, change.category, change.revision) for change in changes] == [
        ("refs/heads/new", "push", SHA),
        ("refs/heads/gone", "ref-deleted", OTHER),
        ("refs/tags/v1", "push", SHA),
    ]
    assert push(changes=[]) == []


def test_the_commit_of_newer_versions() -> None:
    commit = {
        "message": "hello",
        "author": {"name": "ann", "emailAddress": "ann@example.com"},
        "authorTimestamp": 1795486609000,
    }
    (change,) = push(toCommit=commit, commits=[commit])
    assert (change.comments, change.author, change.when_timestamp) == (
        "hello",
        "ann <ann@example.com>",
        1795486609,
    )


def test_dates_in_milliseconds_and_none() -> None:
    assert push(date=1795486609000)[0].when_timestamp == 1795486609
    assert push(date=None)[0].when_timestamp is None


def test_a_repository_without_links() -> None:
    repository = {**example("bitbucketserver")["repository"], "links": None}
    (change,) = push(repository=repository)
    assert (change.repository, change.revlink) == ("projects/PROJ/repos/repository/", "")
    (change,) = push(repository={})
    assert (change.repository, change.project) == ("", "")
    with pytest.raises(BadPayload, match="refId"):
        push(changes=[ref_change("x", "ADD", ref=None, refId=None)])
    with pytest.raises(BadPayload, match=r"\$\.changes"):
        push(changes=None)


def test_the_addresses() -> None:
    assert (
        push({"repository_url": "ssh"})[0].repository
        == "ssh://git@bitbucket.example.com:7999/proj/repository.git"
    )
    assert (
        push({"repository_url": "https"})[0].repository
        == "https://bitbucket.example.com/scm/proj/repository.git"
    )
    assert len(push({"repositories": ["PROJ/repository"], "branches": ["main"]})) == 1


def test_a_ping() -> None:
    assert "ping" in handle("diagnostics:ping", {"test": True}).reason


@pytest.mark.parametrize(
    ("event", "category", "branch"),
    [
        ("opened", "pull-created", "refs/pull-requests/3/merge"),
        ("from_ref_updated", "pull-updated", "refs/pull-requests/3/merge"),
        ("modified", "pull-updated", "refs/pull-requests/3/merge"),
        ("merged", "pull-fulfilled", "refs/heads/main"),
        ("declined", "pull-rejected", "refs/heads/hello"),
        ("deleted", "pull-rejected", "refs/heads/hello"),
    ],
)
def test_pull_requests(event: str, category: str, branch: str) -> None:
    (change,) = handle(f"pr:{event}", SERVER_PULL_REQUEST)
    assert (change.category, change.branch, change.revision) == (category, branch, SHA)
    assert change.comments == "Bitbucket Server Pull Request #3\nSay hello \u00fc\nIt was time."
    assert change.author == "Admin <admin@example.com>"
    assert change.repository == "https://bitbucket.example.com/projects/PROJ/repos/repository/"
    assert change.revlink == "https://bitbucket.example.com/projects/PROJ/repos/repository/pull-requests/3"
    assert change.when_timestamp == 1795487009


def test_a_pull_request_without_links() -> None:
    pull = {**SERVER_PULL_REQUEST["pullRequest"], "links": None}
    (change,) = handle("pr:opened", {**SERVER_PULL_REQUEST, "pullRequest": pull, "actor": None})
    assert change.revlink == "https://bitbucket.example.com/projects/PROJ/repos/repository/pull-requests/3"
    assert change.author == ""
    assert none_for(handle("pr:comment:added", SERVER_PULL_REQUEST))


def test_the_add_ons_push() -> None:
    for event in ("repo:push", "repo:refs_changed"):
        (change,) = handle(event, SERVER_ADD_ON_PUSH)
        assert (change.branch, change.category, change.author) == ("refs/heads/main", "push", "Admin <admin>")
        assert change.comments == f"Bitbucket Server commit {SHA}"
        assert change.revlink == f"https://bitbucket.example.com/projects/PROJ/repos/repository/commits/{SHA}"
    old = SERVER_ADD_ON_PUSH["push"]["changes"][0]["old"]
    tag = {**old, "type": "tag"}
    changes = [{"old": old, "new": None}, {"new": tag, "truncated": True}]
    deleted, tagged = handle("repo:push", {**SERVER_ADD_ON_PUSH, "push": {"changes": changes}})
    assert (deleted.category, deleted.revision) == ("ref-deleted", OTHER)
    assert (tagged.branch, tagged.properties["change_hook_truncated"]) == ("refs/tags/main", True)
    with pytest.raises(BadPayload, match="new"):
        handle("repo:push", {**SERVER_ADD_ON_PUSH, "push": {"changes": [{}]}})


@pytest.mark.parametrize(
    ("event", "category", "branch"),
    [
        ("created", "pull-created", "refs/pull-requests/21/merge"),
        ("updated", "pull-updated", "refs/pull-requests/21/merge"),
        ("fulfilled", "pull-fulfilled", "refs/heads/main"),
        ("rejected", "pull-rejected", "refs/heads/hello"),
    ],
)
def test_the_add_ons_pull_requests(event: str, category: str, branch: str) -> None:
    (change,) = handle(f"pullrequest:{event}", SERVER_ADD_ON_PULL_REQUEST)
    assert (change.category, change.branch, change.revision) == (category, branch, SHA)
    assert change.comments == "Bitbucket Server Pull Request #21"
    assert change.revlink.endswith("/pull-requests/21")


def test_properties_and_filters_of_a_pull_request() -> None:
    options = {"bitbucket_property_whitelist": ["bitbucket.title"], "branches": ["main"]}
    (change,) = handle("pr:opened", SERVER_PULL_REQUEST, options)
    assert change.properties["bitbucket.title"] == "Say hello \u00fc"
    (change,) = handle("pullrequest:created", SERVER_ADD_ON_PULL_REQUEST, options)
    assert change.properties["bitbucket.title"] == "hello"


def test_too_many_refs_are_said() -> None:
    found = handle("repo:refs_changed", {"repository": {"slug": "x"}, "refLimitExceeded": True})
    assert none_for(found)
    assert "poller" in found.reason
