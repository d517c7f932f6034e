"""Actions of pull requests that give a change only where they are asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from change_hooks import Change
from change_hooks.dialects.bitbucketserver import BitbucketServerEventHandler
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.gitlab import GitLabHandler
from tests.conftest import delivery

A, B = "a" * 40, "b" * 40
PROJECT = {"id": 1, "name": "App", "git_http_url": "https://gitlab.example/acme/app.git"}


def found(handler: Any, headers: dict[str, str], payload: Any, **options: Any) -> list[Change]:
    result = handler(None, {"look_up": False, **options}).getChanges(
        delivery(json.dumps(payload).encode(), headers=headers)
    )
    changes: list[Change] = result[0]
    return changes


def gitlab(changes: dict[str, Any], draft: bool = False, **options: Any) -> list[Change]:
    attributes = {
        "iid": 7,
        "action": "update",
        "state": "opened",
        "draft": draft,
        "target_branch": "next",
        "source_branch": "topic",
        "target": PROJECT,
        "last_commit": {"id": B},
    }
    payload = {"object_kind": "merge_request", "object_attributes": attributes, "changes": changes}
    return found(GitLabHandler, {"X-Gitlab-Event": "Merge Request Hook"}, payload, **options)


@pytest.mark.parametrize(
    ("changes", "draft", "action"),
    [
        ({"target_branch": {"previous": "main", "current": "next"}}, False, "edited"),
        ({"draft": {"previous": True, "current": False}}, False, "ready"),
        ({"draft": {"previous": False, "current": True}}, True, "drafted"),
    ],
)
def test_gitlabs_updates_without_commits(changes: Any, draft: bool, action: str) -> None:
    assert gitlab(changes, draft) == []
    (change,) = gitlab(changes, draft, actions=[action])
    assert (change.revision, change.properties["target_branch"]) == (B, "next")


def test_a_pull_request_with_another_target_on_github() -> None:
    repository = {"full_name": "acme/app"}
    pull = {"number": 7, "head": {"sha": B, "ref": "topic"}, "base": {"ref": "next", "repo": repository}}
    payload = {"action": "edited", "pull_request": pull, "repository": repository}
    payload["changes"] = {"base": {"ref": {"from": "main"}}}
    headers = {"X-GitHub-Event": "pull_request"}
    assert found(GitHubEventHandler, headers, payload) == []
    (change,) = found(GitHubEventHandler, headers, payload, actions=["edited"])
    assert (change.revision, change.properties["basename"]) == (B, "next")


def test_what_gitea_calls_synchronized() -> None:
    repository = {"full_name": "acme/app"}
    pull = {"number": 7, "head": {"sha": B, "ref": "topic"}, "base": {"ref": "main", "repo": repository}}
    payload = {"action": "synchronized", "pull_request": pull, "repository": repository}
    assert len(found(GitHubEventHandler, {"X-GitHub-Event": "pull_request"}, payload)) == 1


def test_a_pull_request_of_bitbucket_server_whose_target_and_commit_stay() -> None:
    target = {
        "id": "refs/heads/main",
        "latestCommit": A,
        "repository": {"slug": "app", "project": {"key": "P"}},
    }
    pull = {"id": 1, "title": "T", "fromRef": {"id": "refs/heads/x", "latestCommit": B}, "toRef": target}
    payload = {
        "eventKey": "pr:modified",
        "actor": {"name": "ann"},
        "pullRequest": pull,
        "previousTitle": "Old",
    }
    payload["previousTarget"] = {"id": "refs/heads/main", "latestCommit": A}
    headers = {"X-Event-Key": "pr:modified"}
    assert found(BitbucketServerEventHandler, headers, payload) == []
    payload["previousTarget"] = {"id": "refs/heads/old", "latestCommit": A}
    assert len(found(BitbucketServerEventHandler, headers, payload)) == 1
