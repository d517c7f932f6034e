from __future__ import annotations

import json
from typing import Any

import pytest

from change_hooks.core.errors import BadPayload
from change_hooks.dialects.bitbucketcloud import BitbucketCloudEventHandler
from tests.conftest import delivery
from tests.support.changes import none_for
from tests.support.forges import example
from tests.support.payloads import CLOUD_OLD_PULL_REQUEST, CLOUD_PULL_REQUEST, OTHER, SHA


def handle(event: str, payload: Any, options: Any = True) -> Any:
    received = delivery(json.dumps(payload).encode(), headers={"X-Event-Key": event})
    return BitbucketCloudEventHandler(None, options).getChanges(received)[0]


def push(*changes: Any, options: Any = True, **fields: Any) -> Any:
    payload = {**example("bitbucketcloud"), **fields}
    if changes:
        payload["push"] = {"changes": list(changes)}
    return handle("repo:push", payload, options)


def ref(name: str, type: str = "branch", **target: Any) -> dict[str, Any]:
    return {"type": type, "name": name, "target": {"hash": SHA, **target}}


def test_several_refs_in_one_push() -> None:
    changes = push(
        {"old": None, "new": ref("main", message="a", date="2026-11-24T10:00:00+00:00")},
        {"old": None, "new": ref("v1", "tag")},
        {"old": None, "new": ref("v2", "annotated_tag")},
        {"old": ref("gone", message="old", date="2026-11-24T10:00:00+00:00"), "new": None},
        {"old": None, "new": ref("default", "named_branch"), "truncated": True},
        {"old": None, "new": None},
    )
    assert [(change.branch, change.category, change.comments) for change in changes] == [
        ("refs/heads/main", "push", "a"),
        ("refs/tags/v1", "push", f"Bitbucket Cloud commit {SHA}"),
        ("refs/tags/v2", "push", f"Bitbucket Cloud commit {SHA}"),
        ("refs/heads/gone", "ref-deleted", f"Bitbucket Cloud commit {SHA}"),
        ("default", "push", f"Bitbucket Cloud commit {SHA}"),
    ]
    assert changes[1].author == "Emma \u00d1and\u00fa <emma>"
    assert changes[1].revlink == f"https://bitbucket.org/team_name/repo_name/commits/{SHA}"
    assert changes[3].when_timestamp is None
    assert changes[4].properties == {"change_hook_missing": ["files"], "change_hook_truncated": True}


def test_a_page_that_is_not_known_is_not_made_up() -> None:
    new = {"old": None, "new": ref("main")}
    assert push(new)[0].revlink == f"https://bitbucket.org/team_name/repo_name/commits/{SHA}"
    assert push(new, repository={"full_name": "team_name/repo_name"})[0].revlink == ""


def test_only_the_refs_that_are_wanted() -> None:
    both = ({"new": ref("main", message="[skip ci]")}, {"new": ref("other")})
    assert [change.branch for change in push(*both)] == ["refs/heads/other"]
    assert none_for(push(both[0]))
    assert [change.branch for change in push(*both, options={"branches": ["main"], "skips": []})] == [
        "refs/heads/main"
    ]
    assert len(push({"old": ref("x", message="[skip ci]")})) == 1
    assert push({"new": None}) == []


def test_a_personal_repository_and_an_actor_without_a_nickname() -> None:
    repository = {"full_name": "a/b", "links": {}}
    (change,) = push({"new": ref("main")}, repository=repository, actor={"display_name": "Emma"})
    assert (change.project, change.author, change.repository) == ("", "Emma", "git@bitbucket.org:a/b.git")
    (change,) = push(
        {"new": ref("main")}, repository=repository, actor=None, options={"repository_url": "ssh"}
    )
    assert (change.author, change.repository) == ("", "git@bitbucket.org:a/b.git")


@pytest.mark.parametrize(
    ("event", "category", "branch", "revision"),
    [
        ("created", "pull-created", "refs/heads/hello", SHA),
        ("updated", "pull-updated", "refs/heads/hello", SHA),
        ("fulfilled", "pull-fulfilled", "refs/heads/main", "764413d85e29"),
        ("rejected", "pull-rejected", "refs/heads/hello", SHA),
    ],
)
def test_pull_requests(event: str, category: str, branch: str, revision: str) -> None:
    (change,) = handle(f"pullrequest:{event}", CLOUD_PULL_REQUEST)
    assert (change.category, change.branch, change.revision) == (category, branch, revision)
    assert change.comments == "Bitbucket Cloud Pull Request #1\nSay hello \u00fc\nIt was time."
    assert change.when_timestamp == (1795168800 if event == "created" else 1795514400)
    assert change.revlink == "https://bitbucket.org/team_name/repo_name/pull-requests/1"
    assert change.properties["pullrequesturl"] == change.revlink


@pytest.mark.parametrize(
    ("event", "branch"),
    [
        ("created", "refs/pull-requests/21/merge"),
        ("updated", "refs/pull-requests/21/merge"),
        ("fulfilled", "refs/heads/main"),
        ("rejected", "refs/heads/hello"),
    ],
)
def test_pull_requests_of_the_older_form(event: str, branch: str) -> None:
    (change,) = handle(f"pullrequest:{event}", CLOUD_OLD_PULL_REQUEST)
    assert (change.branch, change.revision, change.author) == (branch, SHA, "Emma <emma>")
    assert change.comments == "Bitbucket Cloud Pull Request #21"
    assert change.revlink == "https://bitbucket.example.com/pull-requests/21"


def test_pull_requests_with_what_is_missing() -> None:
    pull = CLOUD_PULL_REQUEST["pullrequest"]
    (change,) = handle(
        "pullrequest:fulfilled", {**CLOUD_PULL_REQUEST, "pullrequest": {**pull, "merge_commit": None}}
    )
    assert (change.branch, change.revision) == ("refs/heads/main", SHA)
    bare = {"id": 1, "source": {"branch": None, "commit": None}}
    (change,) = handle("pullrequest:created", {**CLOUD_PULL_REQUEST, "pullrequest": bare})
    assert (change.branch, change.revision) == ("refs/pull-requests/1/from", None)
    with pytest.raises(BadPayload, match=r"\$\.pullrequest\.source"):
        handle("pullrequest:created", {**CLOUD_PULL_REQUEST, "pullrequest": {"id": 1}})


def test_properties_of_a_pull_request() -> None:
    options = {"bitbucket_property_whitelist": ["bitbucket.title", "bitbucket.source.*"]}
    (change,) = handle("pullrequest:created", CLOUD_PULL_REQUEST, options)
    assert change.properties["bitbucket.title"] == "Say hello \u00fc"
    assert change.properties["bitbucket.source.branch.name"] == "hello"
    assert OTHER not in change.properties.values()


def test_wanted_by_the_branch_it_is_for() -> None:
    for payload in (CLOUD_PULL_REQUEST, CLOUD_OLD_PULL_REQUEST):
        assert len(handle("pullrequest:created", payload, {"branches": ["main"]})) == 1
        assert len(handle("pullrequest:created", payload, {"branches": ["release"]})) == 0


def test_one_that_was_rejected_is_on_its_source() -> None:
    (change,) = handle("pullrequest:rejected", CLOUD_PULL_REQUEST)
    assert change.category == "pull-rejected"
    assert change.branch.startswith("refs/")
