"""What the options say about pull requests and comments on them holds for every dialect that has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed

from change_hooks.core.events import Comment, Person, Repository
from change_hooks.core.verdicts import NOT_PERMITTED
from change_hooks.plugins import installed
from tests.conftest import result_of
from tests.support.changes import none_for
from tests.support.knowing import knowing
from tests.support.recorded import handler_class, load

#: Of each dialect: a pull request that was opened, or has new commits, and a comment on one, with its text.
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
    "forgejo": "forgejo/pull_request__synchronized",
    "gogs": "gogs/pull_request__opened",
    "launchpad": "launchpad/merge_proposal_0_1__created",
}
#: A merge proposal on Launchpad says who registered it, but not who did something; there are no comments.
NOBODY = {"launchpad"}
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
    "forgejo": ("forgejo/issue_comment__on_a_pull_request", "!build"),
    "gogs": ("gogs/issue_comment__on_a_pull_request", "!build"),
}
HEAD = "e5" * 20
#: Where it is said that it is a draft, and what is said of others.
DRAFTS: dict[str, tuple[str, Any, Any]] = {
    "github": ("pull_request.draft", True, False),
    "gitlab": ("object_attributes.draft", True, False),
    "bitbucketcloud": ("pullrequest.draft", True, False),
    "bitbucketserver": ("pullRequest.draft", True, False),
    "gitea": ("pull_request.draft", True, False),
    "azuredevops": ("resource.isDraft", True, False),
    "gerrit": ("change.wip", True, False),
    "gitee": ("pull_request.draft", True, False),
    "forgejo": ("pull_request.draft", True, False),
    "gogs": ("pull_request.title", "WIP: lamp", "lamp"),
    "launchpad": ("new.queue_status", "Work in progress", "Needs review"),
}
LABELS = {
    "github": ("pull_request.labels", [{"name": "try"}]),
    "gitlab": ("labels", [{"title": "try"}]),
    "gitea": ("pull_request.labels", [{"name": "try"}]),
    "azuredevops": ("resource.labels", [{"name": "try"}]),
    "gerrit": ("change.hashtags", ["try"]),
    "gitee": ("pull_request.labels", [{"name": "try"}]),
    "pagure": ("msg.pullrequest.tags", ["try"]),
    "forgejo": ("pull_request.labels", [{"name": "try"}]),
    "gogs": ("pull_request.labels", [{"name": "try"}]),
}
#: One that comes from another repository, and one that does not, where the forge says so.
FORKS: dict[str, tuple[str, str | None]] = {
    "github": ("github/pull_request__from_a_fork", "github/pull_request__opened"),
    "gitlab": ("gitlab/merge_request__from_a_fork", "gitlab/merge_request__open"),
    "bitbucketcloud": (
        "bitbucketcloud/pullrequest_created__from_a_fork",
        "bitbucketcloud/pullrequest_created__same_repository",
    ),
    "bitbucketserver": ("bitbucketserver/pr_opened__from_a_fork", "bitbucketserver/pr_opened__plain"),
    "gitea": ("gitea/pull_request__opened", None),
    "azuredevops": (
        "azuredevops/git_pullrequest_created__from_a_fork",
        "azuredevops/git_pullrequest_created__opened",
    ),
    "gitee": ("gitee/merge_request__open", "gitee/merge_request__same_repository"),
    "pagure": ("pagure/pull_request_new__from_a_fork", None),
    "forgejo": ("forgejo/pull_request__synchronized", None),
    "gogs": ("gogs/pull_request__opened", None),
    "launchpad": (
        "launchpad/merge_proposal_0_1__created",
        "launchpad/merge_proposal_0_1__same_repository",
    ),
}
#: In Gerrit there are no forks.
WITHOUT_FORKS = {"gerrit"}


class Forge:
    """An API that says who may do what, and where a pull request is now."""

    def __init__(self, allows: bool) -> None:
        self.allows = allows
        self.asked: list[tuple[str | None, str | None, str]] = []
        self.keys: list[str | None] = []

    def permission(self, repository: Repository, who: Person, wanted: str) -> Deferred[bool]:
        self.asked.append((repository.full_name, who.login, wanted))
        self.keys.append(who.id)
        return succeed(self.allows)

    def enrich(self, event: Any, *, complete: bool) -> Deferred[Any]:
        if isinstance(event, Comment):
            pull = event.pull_request
            event = replace(event, pull_request=replace(pull, head=replace(pull.head, revision=HEAD)))
        return succeed(event)


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
    with knowing(forge or Forge(True)):
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


@pytest.mark.parametrize(
    ("dialect", "field"),
    [
        ("github", "comment.user.id"),
        ("gitlab", "user.id"),
        ("gitea", "comment.user.id"),
        ("forgejo", "comment.user.id"),
        ("bitbucketcloud", "comment.user.uuid"),
        ("bitbucketserver", "comment.author.id"),
    ],
)
@pytest.mark.parametrize(("key", "known"), [(7, "7"), ("{7}", "{7}"), ("", None), (None, None)])
def test_a_comments_author_is_known_by_the_forges_own_key(
    dialect: str, field: str, key: Any, known: str | None
) -> None:
    if dialect == "bitbucketcloud" and not key:
        return
    forge = Forge(True)
    options = {"commands": {"regex": ".", "permission": "write"}}
    handle(COMMENTED[dialect][0], options, forge, **{field: str(key) if "uuid" in field else key})
    assert forge.keys == [known]


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
    action = "updated" if dialect == "forgejo" else "opened"
    assert len(handle(name, {"actions": [action]})) == 1
    refused = handle(name, {"actions": ["closed", "merged"]})
    assert none_for(refused)
    assert "actions" in refused.reason
    assert none_for(handle(name, {"actions": []}))
    assert none_for(handle(name, {"actions": [], "drafts": False}))
    if dialect not in NOBODY:
        refused = handle(name, {"ignore_senders": ["*"]})
        assert none_for(refused)
        assert "ignore_senders" in refused.reason
    assert len(handle(name, {"ignore_senders": ["nobody-*"]})) == 1


@pytest.mark.parametrize("dialect", DRAFTS)
def test_drafts(dialect: str) -> None:
    name, (field, draft, other) = OPENED[dialect], DRAFTS[dialect]
    refused = handle(name, {"drafts": False}, **{field: draft})
    assert none_for(refused)
    assert "drafts" in refused.reason
    assert len(handle(name, {"drafts": False}, **{field: other})) == 1
    assert len(handle(name, {}, **{field: draft})) == 1


@pytest.mark.parametrize("dialect", LABELS)
def test_labels(dialect: str) -> None:
    name, (field, labels) = OPENED[dialect], LABELS[dialect]
    assert len(handle(name, {"labels": ["tr*"]}, **{field: labels})) == 1
    refused = handle(name, {"labels": ["other"]}, **{field: labels})
    assert none_for(refused)
    assert "labels" in refused.reason


@pytest.mark.parametrize("dialect", FORKS)
def test_one_that_comes_from_another_repository_says_so(dialect: str) -> None:
    from_a_fork, other = FORKS[dialect]
    (change,) = handle(from_a_fork, {})
    assert isinstance(change.properties["change_hook_fork"], str)
    if other is not None:
        (change,) = handle(other, {})
        assert "change_hook_fork" not in change.properties


def test_a_merge_queue() -> None:
    name = "github/merge_group__checks_requested"
    refused = handle(name, {})
    assert none_for(refused)
    assert "actions" in refused.reason
    (change,) = handle(name, {"actions": ["queued"]})
    assert change.revision == load(name).payload["merge_group"]["head_sha"]
    for options in ({"ignore_senders": ["*"]}, {"branches": ["other"]}, {"labels": ["try"]}):
        refused = handle(name, {"actions": ["queued"], **options})
        assert none_for(refused)
        assert next(iter(options)) in refused.reason
    assert len(handle(name, {"actions": ["queued"], "branches": ["main"], "drafts": False})) == 1


def test_every_dialect_with_pull_requests_is_here() -> None:
    without = {"base", "bitbucket", "generic", "gitorious", "poller", "sourcehut"}
    dialects = installed()
    ours = {name for name in dialects.names() if _is_ours(name)} - without
    assert ours == set(OPENED) == set(COMMENTED) | NOBODY == set(FORKS) | WITHOUT_FORKS


def _is_ours(name: str) -> bool:
    return str(handler_class(name).__module__).startswith("change_hooks.dialects")
