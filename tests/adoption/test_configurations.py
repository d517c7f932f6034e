"""Configurations as operators write them: what Buildbot makes of them, and what we make of the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from buildbot.process.properties import Interpolate, WithProperties
from buildbot.www.hooks.base import BaseHookHandler
from buildbot.www.hooks.github import GitHubEventHandler, GitHubHandler
from buildbot.www.hooks.gitlab import GitLabHandler

from change_hooks.config import read_www
from tests.adoption.judge import judged, ours, plain
from tests.adoption.payloads import (
    SECRET,
    ZERO,
    Sent,
    as_server,
    bitbucket,
    bitbucket_pull,
    bitbucket_push,
    form,
    github,
    github_pull,
    github_push,
    gitlab,
    gitlab_merge,
    gitlab_note,
    gitlab_push,
    gitorious,
    old_bitbucket,
)

PUSHES = (
    github("push", github_push("One change", "Another")),
    github("push", github_push("One [skip ci]")),
    github("push", github_push("A tag", ref="refs/tags/v1", created=True, before=ZERO)),
    github("push", github_push(deleted=True, after=ZERO)),
)
PULLS = (github("pull_request", github_pull()), github("pull_request", github_pull("closed")))
GITLAB = (
    gitlab(gitlab_push("One", "Two")),
    gitlab(gitlab_push(ref="refs/tags/v1", kind="tag_push")),
    gitlab(gitlab_merge()),
    gitlab(gitlab_merge("update", oldrev=ZERO)),
    gitlab(gitlab_merge("merge", state="merged")),
    gitlab(gitlab_note()),
)
PULL_EVENTS = ("created", "updated", "fulfilled", "rejected")
MISSING = ("change_hook_missing",)


class Branched(GitHubEventHandler):
    """A subclass of Buildbot's own."""

    def __init__(self, *args: Any, suffix: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.suffix = suffix

    def handle_push(self, payload: Any, event: str) -> Any:
        changes, src = super().handle_push(payload, event)
        for change in changes:
            change["branch"] += self.suffix or "-own"
        return changes, src


def made_by_a_function(secret: Any, strict: bool, **more: Any) -> Any:
    return Branched(secret, strict, suffix="-made", **more)


class Svn(BaseHookHandler):
    def getChanges(self, request: Any) -> Any:
        return [{"revision": request.args[b"rev"][0], "author": "svn", "comments": "", "files": []}], "svn"


class Topic(GitLabHandler):
    def _process_change(self, *args: Any, **more: Any) -> Any:
        return [dict(change, project="topic") for change in super()._process_change(*args, **more)]


class Signed:
    """A handler of nobody's, which takes any options."""

    def __init__(self, master: Any, options: Any) -> None:
        self.secret = options["secret"]

    def getChanges(self, request: Any) -> Any:
        return [{"revision": "1", "author": self.secret.fmtstring, "comments": "", "files": []}], None


def pulls(name: str, change: Any = lambda payload: payload) -> tuple[Sent, ...]:
    return tuple(bitbucket(name, f"pullrequest:{event}", change(bitbucket_pull())) for event in PULL_EVENTS)


CONFIGURATIONS: dict[str, tuple[Mapping[str, Any], tuple[Sent, ...], tuple[str, ...]]] = {
    "github, a secret": ({"github": {"secret": SECRET}}, (*PUSHES, *PULLS), ()),
    "github, strict": ({"github": {"secret": SECRET, "strict": True}}, (*PUSHES, *PULLS), ()),
    "github, another secret": ({"github": {"secret": "another one", "strict": True}}, PUSHES, ()),
    "github, nothing": ({"github": {}}, PUSHES, ()),
    "github, True and pushes": ({"github": {"strict": False}, "base": True}, PUSHES, ()),
    "github, one codebase": ({"github": {"secret": SECRET, "codebase": "app"}}, (*PUSHES, *PULLS), ()),
    "github, a callable codebase": (
        {"github": {"secret": SECRET, "codebase": lambda payload: payload["repository"]["name"]}},
        (*PUSHES, *PULLS),
        (),
    ),
    "github, a whitelist": (
        {
            "github": {
                "secret": SECRET,
                "github_property_whitelist": ["github.number", "github.head.*", "github.ref"],
            }
        },
        (*PUSHES, *PULLS),
        (),
    ),
    "github, a whitelist of one character": (
        {"github": {"secret": SECRET, "github_property_whitelist": "*"}},
        (*PUSHES, *PULLS),
        (),
    ),
    "github, its head": ({"github": {"secret": SECRET, "pullrequest_ref": "head"}}, PULLS, ()),
    "github, own skips": ({"github": {"secret": SECRET, "skips": ["Another"]}}, (*PUSHES, *PULLS), ()),
    "github, compiled skips": (
        {"github": {"secret": SECRET, "skips": [re.compile("ANOTHER", re.IGNORECASE)]}},
        (*PUSHES, *PULLS),
        (),
    ),
    "github, no skips": ({"github": {"secret": SECRET, "skips": []}}, (*PUSHES, *PULLS), ()),
    "github, a new branch": (
        {"github": {"secret": SECRET, "new_branch": "head"}},
        (github("push", github_push("One", "Two", created=True, before=ZERO)),),
        (),
    ),
    "github, a rendered secret": (
        {"github": {"secret": Interpolate(SECRET), "token": Interpolate("t-%(prop:full_name)s")}},
        (*PUSHES, *PULLS),
        (),
    ),
    "github, a secret with properties": ({"github": {"secret": WithProperties(SECRET)}}, PUSHES, ()),
    "github, the address of the API": (
        {
            "github": {
                "secret": SECRET,
                "github_api_endpoint": "https://api.github.com",
                "debug": True,
                "verify": True,
            }
        },
        PULLS,
        (),
    ),
    "github, a class of Buildbot's": (
        {"github": {"secret": SECRET, "class": Branched, "github_property_whitelist": ["github.*"]}},
        (*PUSHES, *PULLS),
        (),
    ),
    "github, a partial": (
        {"github": {"secret": SECRET, "class": partial(Branched, suffix="-x")}},
        PUSHES,
        (),
    ),
    "github, a function": ({"github": {"secret": SECRET, "class": made_by_a_function}}, PUSHES, ()),
    "github, a handler of Buildbot's": (
        {"github": {"secret": SECRET, "custom_class": GitHubHandler, "class": Branched}},
        PUSHES,
        (),
    ),
    "gitlab, True": ({"gitlab": True}, GITLAB, MISSING),
    "gitlab, a token": (
        {"gitlab": {"secret": "token"}},
        (
            gitlab(gitlab_push(), X_Gitlab_Token="token"),
            gitlab(gitlab_push(), X_Gitlab_Token="no"),
            *GITLAB[:1],
        ),
        (),
    ),
    "gitlab, a codebase in the URL": ({"gitlab": {}}, (gitlab(gitlab_push(), "?codebase=app"),), ()),
    "gitlab, a class of Buildbot's": ({"gitlab": {"custom_class": Topic}}, GITLAB, MISSING),
    "bitbucketcloud": (
        {"bitbucketcloud": {"bitbucket_property_whitelist": ["bitbucket.title"], "codebase": "app"}},
        (bitbucket("bitbucketcloud", "repo:push", bitbucket_push()), *pulls("bitbucketcloud")),
        (*MISSING, "comments"),
    ),
    "bitbucketserver": (
        {"bitbucketserver": {"codebase": lambda payload: payload["repository"]["slug"]}},
        (
            bitbucket("bitbucketserver", "repo:push", as_server(bitbucket_push())),
            *pulls("bitbucketserver", as_server),
        ),
        (*MISSING, "comments"),
    ),
    "bitbucket": (
        {"bitbucket": True},
        (form("bitbucket?project=p", payload=json.dumps(old_bitbucket())),),
        ("event",),
    ),
    "gitorious": ({"gitorious": True}, (form("gitorious", payload=json.dumps(gitorious())),), MISSING),
    "base": (
        {"base": True},
        (
            form(
                "base",
                revision="1",
                branch="b",
                author="Ann",
                comments="c",
                files='["a"]',
                properties='{"x": 1}',
            ),
            form(
                "", revision="2", who="Ann", comments="c", when="5", category="k", revlink="l", repository="r"
            ),
            form("base", revision="3", author="a", comments="c", files="not JSON"),
        ),
        (),
    ),
    "names that nobody knows": (
        {"nobody": True, "nor-this": {}, "github": {"secret": SECRET}},
        (PUSHES[0], form("nobody", revision="1")),
        (),
    ),
    "classes of one's own": (
        {
            "svn": {"custom_class": Svn, "more": 1},
            "signed": {"custom_class": Signed, "secret": Interpolate("s")},
        },
        (form("svn", rev="5"), form("signed", x="y")),
        (),
    ),
    "not enabled": ({"github": {"secret": SECRET}}, (gitlab(gitlab_push()), PUSHES[0]), ()),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_gives_the_same_changes(name: str) -> None:
    dialects, requests, differs = CONFIGURATIONS[name]
    theirs = {
        dialect: {option: value for option, value in options.items() if option != "new_branch"}
        if isinstance(options, dict)
        else options
        for dialect, options in dialects.items()
    }
    wanted_statuses, wanted = judged(theirs, *requests)
    statuses, found = ours(dialects, *requests)
    assert [status < 400 for status in statuses] == [status < 400 for status in wanted_statuses]
    assert len(found) == len(wanted)
    for change, same in zip(found, wanted, strict=True):
        assert plain(change, differs) == plain(same, differs)


def test_a_new_branch_is_one_change_or_as_many_as_it_has_commits() -> None:
    push = github("push", github_push("One", "Two", created=True, before=ZERO))
    dialects: dict[str, Any] = {"github": {"secret": SECRET}}
    assert len(judged(dialects, push)[1]) == 1
    assert len(ours(dialects, push)[1]) == 2


def test_there_are_warnings_where_there_is_a_better_way() -> None:
    dialects = {"nobody": True, "github": {"secret": SECRET, "strict": True, "class": Branched}}
    warnings = read_www({"change_hook_dialects": dialects}).warnings
    assert "dialect 'nobody': no dialect of this name" in warnings[0]
    assert "Branched verifies its senders itself" in warnings[1]
    assert len(warnings) == 2
