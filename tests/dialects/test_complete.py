"""The option ``complete``, from a delivery to its changes, with each forge's own client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.plugins import installed
from tests.conftest import result_of
from tests.support.fake_api import FakeApi, Say
from tests.support.fake_azuredevops import FakeAzureDevOps
from tests.support.fake_git_forges import FakeBitbucketCloud, FakeBitbucketServer, FakeGitea, sha
from tests.support.fake_gitlab import FakeGitLab
from tests.support.recorded import load

OLD, NEW = sha(100), sha(123)
#: The newest of them.
LISTED = [{"id": sha(number), "message": f"sent {number}"} for number in range(119, 124)]
PLACE = {"project": {"key": "PRJ"}, "slug": "r"}
AZURE = {
    "name": "r",
    "id": "repo-id",
    "remoteUrl": "https://acme@dev.azure.com/acme/p/_git/r",
    "project": {"name": "p"},
}
SIDE: dict[str, Any] = {"commit": {"hash": sha(9)}, "branch": {"name": "topic"}}
#: Of each case: the forge's fake, a recorded delivery, and what is otherwise in it.
PUSHES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "gitlab": (
        FakeGitLab,
        "gitlab/push__truncated",
        {
            "project.path_with_namespace": "g/sub/p",
            "before": OLD,
            "after": NEW,
            "checkout_sha": NEW,
            "commits": LISTED,
            "total_commits_count": 23,
        },
    ),
    "gitea": (
        FakeGitea,
        "gitea/push__capped",
        {
            "repository.full_name": "o/r",
            "before": OLD,
            "after": NEW,
            "commits": LISTED[::-1],
            "total_commits": 23,
        },
    ),
    "gogs": (
        FakeGitea,
        "gogs/push__capped",
        {"repository.full_name": "o/r", "before": OLD, "after": NEW, "commits": LISTED[::-1]},
    ),
    "azuredevops": (
        FakeAzureDevOps,
        "azuredevops/git_push__without_commits",
        {
            "resource.repository": AZURE,
            "resource.refUpdates": [{"name": "refs/heads/main", "oldObjectId": OLD, "newObjectId": NEW}],
            "resource.pushId": 17,
        },
    ),
    "bitbucketcloud": (
        FakeBitbucketCloud,
        "bitbucketcloud/repo_push__truncated",
        {
            "repository.full_name": "w/r",
            "push": {
                "changes": [
                    {
                        "old": {"name": "main", "target": {"hash": OLD}},
                        "new": {"name": "main", "target": {"hash": NEW, "message": "sent"}},
                        "truncated": True,
                    }
                ]
            },
        },
    ),
    "bitbucketserver": (
        FakeBitbucketServer,
        "bitbucketserver/repo_refs_changed__update",
        {
            "repository": PLACE,
            "changes": [{"refId": "refs/heads/main", "fromHash": OLD, "toHash": NEW, "type": "UPDATE"}],
        },
    ),
}
PULLS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "gitlab": (
        FakeGitLab,
        "gitlab/merge_request__open",
        {"object_attributes.target.path_with_namespace": "g/sub/p", "object_attributes.iid": 3},
    ),
    "gitea": (
        FakeGitea,
        "gitea/pull_request__opened",
        {"repository.full_name": "o/r", "pull_request.number": 3},
    ),
    "azuredevops": (
        FakeAzureDevOps,
        "azuredevops/git_pullrequest_created__opened",
        {"resource.repository": AZURE, "resource.pullRequestId": 3},
    ),
    "bitbucketcloud": (
        FakeBitbucketCloud,
        "bitbucketcloud/pullrequest_created__same_repository",
        {
            "repository.full_name": "w/r",
            "pullrequest.id": 3,
            "pullrequest.source": {**SIDE, "repository": {"full_name": "w/r"}},
            "pullrequest.destination": SIDE,
        },
    ),
    "bitbucketserver": (
        FakeBitbucketServer,
        "bitbucketserver/pr_opened__plain",
        {"pullRequest.id": 3, "pullRequest.toRef": {"id": "refs/heads/main", "repository": PLACE}},
    ),
}
BY_COMMIT = ("gitlab", "gitea", "gogs", "azuredevops")
ANYWHERE = {"token": "T", "api": "https://forge.example"}


def changes_of(
    case: tuple[Any, str, dict[str, Any]], *, broken: bool = False, **options: Any
) -> tuple[list[Change], FakeApi]:
    """What comes of a delivery, and the API that was asked."""
    make, name, fields = case
    recorded = load(name)
    document = recorded.payload
    for path, value in fields.items():
        *way, last = path.split(".")
        place = document
        for key in way:
            place = place[key]
        place[last] = value
    api = make()
    api.base = ANYWHERE["api"]
    if broken:
        api.instead = [Say({}, 503)] * 99
    context = Context(http=StubTreq(api), clock=Clock())
    handler = make_handler(installed().load(recorded.dialect), {**ANYWHERE, **options}, context)
    request = recorded.delivery(json.dumps(document).encode()).replace(verification="signature")
    result = handler.getChanges(request)
    changes, _ = result_of(result) if isinstance(result, Deferred) else result
    return list(changes), api


@pytest.mark.parametrize("name", PUSHES)
def test_a_push_is_asked_about_when_that_is_wanted(name: str) -> None:
    changes, api = changes_of(PUSHES[name])
    assert api.asked == []
    assert any({"change_hook_missing", "change_hook_truncated"} & {*each.properties} for each in changes)


@pytest.mark.parametrize("name", BY_COMMIT)
def test_a_push_is_a_change_for_each_of_its_commits(name: str) -> None:
    changes, _ = changes_of(PUSHES[name], complete=True)
    assert [change.revision for change in changes] == [sha(number) for number in range(101, 124)]
    assert all(change.files[:2] == ["a.c", "b.c"] for change in changes[:18])
    for change in changes:
        assert not {"change_hook_missing", "change_hook_truncated"} & {*change.properties}
    assert changes[0].comments.startswith("commit 101")
    assert changes[-1].comments.startswith("commit 123" if name == "azuredevops" else "sent 123")


@pytest.mark.parametrize(("default", "there"), [("main", 23), ("topic", 5), (None, 5)])
def test_a_new_branch_on_gitlab_has_all_that_gitlab_counts(default: str | None, there: int) -> None:
    """Of the default branch itself, and where that is not known, there is nothing to count from."""
    make, name, fields = PUSHES["gitlab"]
    new = {"before": "0" * 40, "ref": "refs/heads/topic", "project.default_branch": default}
    changes, _ = changes_of((make, name, {**fields, **new}), complete=True)
    assert [change.revision for change in changes] == [sha(number) for number in range(124 - there, 124)]
    assert {change.properties.get("change_hook_truncated") for change in changes} == {
        None if there == 23 else 23
    }


@pytest.mark.parametrize("name", ["bitbucketcloud", "bitbucketserver"])
def test_a_push_that_is_one_change_has_all_its_files(name: str) -> None:
    (change,), _ = changes_of(PUSHES[name], complete=True)
    assert change.files[:2] == ["a.c", "b.c"]
    assert change.comments.startswith("sent" if name == "bitbucketcloud" else "commit 123")
    assert not {"change_hook_missing", "change_hook_truncated"} & {*change.properties}


@pytest.mark.parametrize("name", PUSHES)
def test_a_push_of_which_nothing_can_be_had_says_what_is_missing(name: str) -> None:
    changes, _ = changes_of(PUSHES[name], broken=True, complete=True)
    assert changes[-1].revision == NEW
    truncated = changes[-1].properties.get("change_hook_truncated")
    if name == "bitbucketserver":
        # It never says how many there are.
        assert truncated is None
        assert changes[-1].properties["change_hook_missing"] == ["files"]
    else:
        assert truncated == (23 if name in ("gitlab", "gitea") else True)


@pytest.mark.parametrize("name", PULLS)
def test_the_files_of_a_pull_request(name: str) -> None:
    (change,), api = changes_of(PULLS[name])
    assert (change.properties["change_hook_missing"], api.asked) == (["files"], [])
    (change,), _ = changes_of(PULLS[name], complete=True)
    assert change.files[:2] == ["a.c", "b.c"]
    assert "change_hook_missing" not in change.properties
    (change,), _ = changes_of(PULLS[name], broken=True, complete=True)
    assert change.properties["change_hook_missing"] == ["files"]


def test_files_that_are_not_all_are_said_to_be_missing() -> None:
    case = PULLS["gitlab"]

    def without() -> FakeGitLab:
        api = FakeGitLab()
        api.files = []
        return api

    (change,), _ = changes_of((without, *case[1:]), complete=True)
    assert (change.files, change.properties["change_hook_missing"]) == ([], ["files"])
