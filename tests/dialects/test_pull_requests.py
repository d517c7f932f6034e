"""What the options say about pull requests and comments on them holds for every dialect that has them."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed

from change_hooks.core.events import Comment, Person, Repository
from change_hooks.core.verdicts import NOT_PERMITTED
from change_hooks.plugins import installed
from tests.conftest import result_of
from tests.support.changes import none_for
from tests.support.recorded import handler_class, load

#: Of each dialect: a pull request that was opened, and a comment on one, with its text.
OPENED = {
    "github": "github/pull_request__opened",
    "gitlab": "gitlab/merge_request__open",
    "bitbucketcloud": "bitbucketcloud/pullrequest_created__same_repository",
    "bitbucketserver": "bitbucketserver/pr_opened__plain",
    "gitea": "gitea/pull_request__opened",
    "azuredevops": "azuredevops/git_pullrequest_created__opened",
    "gerrit": "gerrit/patchset_created__first",
    "gitee": "gitee/merge_request__open",
    "pagure": "pagure/pull_request_new__from_a_fork",
}
COMMENTED = {
    "github": ("github/issue_comment__on_a_pull_request", None),
    "gitlab": ("gitlab/note__command", "build this please"),
    "bitbucketcloud": ("bitbucketcloud/pullrequest_comment_created__command", "build this please"),
    "bitbucketserver": ("bitbucketserver/pr_comment_added__command", "build this please"),
    "gitea": ("gitea/issue_comment__command_that_nobody_confirms", "!build"),
    "azuredevops": ("azuredevops/ms_vss_code_git_pullrequest_comment_event__command", "!build"),
    "gerrit": ("gerrit/comment_added__command", "!build"),
    "gitee": ("gitee/note__command", "!build"),
    "pagure": ("pagure/pull_request_comment_added__comment", "!build"),
}
HEAD = "e5" * 20
DRAFTS = {
    "github": "pull_request.draft",
    "gitlab": "object_attributes.draft",
    "bitbucketcloud": "pullrequest.draft",
    "bitbucketserver": "pullRequest.draft",
    "gitea": "pull_request.draft",
    "azuredevops": "resource.isDraft",
    "gerrit": "change.wip",
    "gitee": "pull_request.draft",
}
LABELS = {
    "github": ("pull_request.labels", [{"name": "try"}]),
    "gitlab": ("labels", [{"title": "try"}]),
    "gitea": ("pull_request.labels", [{"name": "try"}]),
    "azuredevops": ("resource.labels", [{"name": "try"}]),
    "gerrit": ("change.hashtags", ["try"]),
    "gitee": ("pull_request.labels", [{"name": "try"}]),
    "pagure": ("msg.pullrequest.tags", ["try"]),
}


class Forge:
    """An API that says who may do what, and where a pull request is now."""

    def __init__(self, allows: bool) -> None:
        self.allows = allows
        self.asked: list[tuple[str | None, str | None, str]] = []

    def permission(self, repository: Repository, who: Person, wanted: str) -> Deferred[bool]:
        self.asked.append((repository.full_name, who.login, wanted))
        return succeed(self.allows)

    def enrich(self, event: Any, *, complete: bool) -> Deferred[Any]:
        if isinstance(event, Comment):
            pull = event.pull_request
            event = replace(event, pull_request=replace(pull, head=replace(pull.head, revision=HEAD)))
        return succeed(event)


class Forges:
    """What is installed: one API, whatever its name."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge

    def load(self, name: str) -> Any:
        return lambda *_: self.forge


def handle(name: str, options: Any, forge: Forge | None = None, **fields: Any) -> Any:
    """What comes of a recorded delivery, with other values at some dotted paths."""
    recorded = load(name)
    document = recorded.payload
    for path, value in fields.items():
        *way, last = path.split(".")
        place = document
        for key in way:
            place = place[key]
        place[last] = value
    handler = handler_class(recorded.dialect)(None, options)
    request = recorded.delivery(json.dumps(document).encode()).replace(verification="signature")
    with patch("change_hooks.dialects.event_handler.installed", lambda _: Forges(forge or Forge(True))):
        result = handler.getChanges(request)
    changes, _ = result_of(result) if isinstance(result, Deferred) else result
    return changes


@pytest.mark.parametrize("dialect", COMMENTED)
def test_a_command_of_somebody_who_may_give_it_builds_what_the_pull_request_is_on_now(dialect: str) -> None:
    name, text = COMMENTED[dialect]
    forge = Forge(True)
    options = {"commands": {"regex": "(?P<what>build)", "permission": "admin"}}
    if text is None:
        text = load(name).payload["comment"]["body"]
        options = {"commands": {"regex": "(?P<what>.+)", "permission": "admin"}}
    (change,) = handle(name, options, forge)
    assert change.revision == HEAD
    assert change.properties["what"] in text
    assert change.properties["command"] in text
    ((repository, login, wanted),) = forge.asked
    assert (bool(repository), bool(login), wanted) == (True, True, "admin")


@pytest.mark.parametrize("dialect", COMMENTED)
def test_a_command_of_anybody_else_builds_nothing(dialect: str) -> None:
    name, _ = COMMENTED[dialect]
    options = {"commands": {"regex": ".", "permission": "write"}}
    refused = handle(name, options, Forge(False))
    assert none_for(refused)
    assert refused.reason == NOT_PERMITTED
    asked = Forge(True)
    assert none_for(handle(name, {"commands": {"regex": "^nothing like it$"}}, asked))
    assert asked.asked == []


@pytest.mark.parametrize("dialect", OPENED)
def test_actions_and_senders(dialect: str) -> None:
    name = OPENED[dialect]
    assert len(handle(name, {})) == 1
    assert len(handle(name, {"actions": ["opened"]})) == 1
    refused = handle(name, {"actions": ["closed", "merged"]})
    assert none_for(refused)
    assert "actions" in refused.reason
    refused = handle(name, {"ignore_senders": ["*"]})
    assert none_for(refused)
    assert "ignore_senders" in refused.reason
    assert len(handle(name, {"ignore_senders": ["nobody-*"]})) == 1


@pytest.mark.parametrize("dialect", DRAFTS)
def test_drafts(dialect: str) -> None:
    name, field = OPENED[dialect], DRAFTS[dialect]
    refused = handle(name, {"drafts": False}, **{field: True})
    assert none_for(refused)
    assert "drafts" in refused.reason
    assert len(handle(name, {"drafts": False}, **{field: False})) == 1
    assert len(handle(name, {}, **{field: True})) == 1


@pytest.mark.parametrize("dialect", LABELS)
def test_labels(dialect: str) -> None:
    name, (field, labels) = OPENED[dialect], LABELS[dialect]
    assert len(handle(name, {"labels": ["tr*"]}, **{field: labels})) == 1
    refused = handle(name, {"labels": ["other"]}, **{field: labels})
    assert none_for(refused)
    assert "labels" in refused.reason


def test_every_dialect_with_pull_requests_is_here() -> None:
    without = {"base", "bitbucket", "generic", "gitorious", "poller", "sourcehut"}
    # A merge proposal on Launchpad names neither a commit nor who did something.
    others = {"launchpad", "forgejo", "gogs"}
    assert set(installed().names()) >= set(OPENED) | without | others
    ours = {name for name in installed().names() if _is_ours(name)}
    assert ours - without - others == set(OPENED) == set(COMMENTED)


def _is_ours(name: str) -> bool:
    return str(handler_class(name).__module__).startswith("change_hooks.dialects")
