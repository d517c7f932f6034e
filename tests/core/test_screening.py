"""Every test that the options make can be seen, and is the one that decides."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from change_hooks.core.change import Change
from change_hooks.core.events import (
    Comment,
    Commit,
    Event,
    Ignored,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
)
from change_hooks.core.found import About
from change_hooks.core.options import ForgeOptions, read_options
from change_hooks.core.policy import Policy
from change_hooks.core.screening import HANDLER
from change_hooks.core.style import Style
from change_hooks.core.verdicts import IGNORED_SENDER, NOT_PERMITTED, OTHER_BRANCH, OTHER_REPOSITORY, Verdict

REPOSITORY = Repository(full_name="acme/api", name="api", urls={"https": "https://forge/acme/api.git"})
PUSH = RefUpdate(
    repository=REPOSITORY, ref="refs/heads/main", before="0", after="2", sender=Person(login="ann")
)
PULL = PullRequest(
    repository=REPOSITORY,
    number=7,
    action="opened",
    title="Say hello",
    body="",
    head=Side(branch="hello", revision="2"),
    base=Side(branch="main", revision="1"),
    author=Person(login="eve"),
    sender=Person(login="eve"),
    labels=("ci", "docs"),
)
COMMENT = Comment(pull_request=PULL, author=Person(login="ann"), text="!build")


class Talking(Style):
    comments = True


def policy(style: Style | None = None, **written: Any) -> Policy:
    options, problems, _ = read_options(ForgeOptions, written)
    assert not problems
    return Policy(options, style or Style())


def test_all_tests_of_a_push_in_order() -> None:
    verdicts = policy(branches=["v*"], ignore_senders=["b*"], skips=["x"]).verdicts(PUSH)
    assert verdicts == [
        Verdict("ref", ("a branch", "a tag"), ("refs/heads/main",)),
        Verdict("deleted", ("no",), ("no",)),
        Verdict("ignore_senders", ("b*",), ("ann",)),
        Verdict(HANDLER, ("wanted",), ("wanted",)),
        Verdict("skips", ("x",), ()),
        Verdict("repositories", (), ("acme/api", "api", "https://forge/acme/api.git")),
        Verdict(
            "branches",
            ("v*",),
            ("refs/heads/main", "main"),
            passed=False,
            reason="the branch matches none of the option 'branches'",
        ),
    ]


def test_all_tests_of_a_pull_request_and_of_a_comment() -> None:
    names = [verdict.test for verdict in policy().verdicts(PULL)]
    assert names == ["actions", "drafts", "labels", "ignore_senders", "skips", "repositories", "branches"]
    (*_, labels, _, _, _, branches) = policy(labels=["ci"]).verdicts(PULL)
    assert labels == Verdict("labels", ("ci",), ("ci", "docs"))
    assert branches.value == ("main", "hello")
    names = [verdict.test for verdict in policy().verdicts(COMMENT)]
    assert names == [
        "new comment",
        "commands",
        "labels",
        "ignore_senders",
        "skips",
        "repositories",
        "branches",
    ]
    (_, commands, *_) = policy().verdicts(COMMENT)
    assert commands.reason == "comments give no change (option 'commands')"


def test_whether_a_pull_request_is_a_draft_is_seen() -> None:
    for draft, value in ((True, "yes"), (False, "no")):
        verdicts = policy(drafts=False).verdicts(replace(PULL, draft=draft))
        (seen,) = [verdict for verdict in verdicts if verdict.test == "drafts"]
        assert (seen.value, seen.passed) == ((value,), not draft)


def test_the_last_commit_of_a_push_says_whether_it_is_skipped() -> None:
    commits = [Commit("1", "[skip ci]"), Commit("2", "built"), Commit("3", "also built")]
    for order, skipped in ((commits, False), (commits[::-1], True)):
        refusal = policy().refusal(replace(PUSH, commits=order))
        assert (refusal is not None) is skipped


def test_whether_a_comments_author_may_give_a_command_is_a_test_too() -> None:
    asked = policy(commands=[{"regex": "^!build", "permission": "write"}])
    assert asked.verdicts(COMMENT)[-1] == Verdict("permission", ("write",), (), False, NOT_PERMITTED)
    assert asked.verdicts(replace(COMMENT, permitted=True))[-1] == Verdict("permission", ("write",))
    assert policy(Talking()).verdicts(COMMENT)[1] == Verdict("commands", (), ("!build",))


def test_what_a_handler_ignores_is_said_in_its_words() -> None:
    assert policy().verdicts(Ignored("a ping")) == [
        Verdict(HANDLER, ("wanted",), ("a ping",), passed=False, reason="a ping")
    ]


def test_the_tests_of_changes_that_a_method_made() -> None:
    changes = [Change(branch="refs/heads/a", comments="b"), Change(branch="main", comments="[skip ci]")]
    first, second = policy(branches=["main"]).verdicts_of_changes(changes)
    assert [(each.test, each.passed) for each in first] == [
        ("skips", False),
        ("repositories", True),
        ("branches", False),
    ]
    assert first[2].value == ("refs/heads/a", "a")
    assert [each.passed for each in second] == [False, True, True]
    assert policy().verdicts_of_changes([]) == []


EVENTS: list[Event] = [
    PUSH,
    replace(PUSH, ref="refs/notes/x"),
    replace(PUSH, after=None),
    replace(PUSH, unwanted="a copy"),
    PULL,
    replace(PULL, draft=True),
    replace(PULL, action="closed"),
    replace(PULL, title="[skip ci]"),
    COMMENT,
    replace(COMMENT, is_new=False),
    Ignored("a ping"),
]


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"branches": ["main"]},
        {"branches": ["x"], "repositories": ["acme/*"]},
        {"labels": ["x"]},
        {"ignore_senders": ["ann"]},
        {"drafts": False, "actions": ["closed"]},
        {"skips": []},
        {"commands": [{"regex": "^!build"}]},
    ],
)
@pytest.mark.parametrize("event", EVENTS)
def test_the_first_that_does_not_pass_is_why_there_is_no_change(
    event: Event, written: dict[str, Any]
) -> None:
    judge = policy(**written)
    reasons = [verdict.reason for verdict in judge.verdicts(event) if not verdict.passed]
    refusal = judge.refusal(event)
    if refusal is None:
        assert [reason for reason in reasons if reason != NOT_PERMITTED] == []
    else:
        assert reasons[0] == refusal


def test_of_a_delivery_without_its_body_those_tests_are_made_that_need_none() -> None:
    about = About("push", "git@forge.example:group/sub/app.git", "refs/heads/topic", "ann <ann@x.example>")
    kept = policy(repositories=["group/sub/app"], branches=["main"], ignore_senders=["a*"]).kept(about)
    assert [(verdict.test, verdict.passed) for verdict in kept.verdicts] == [
        ("repositories", True),
        ("branches", False),
        ("ignore_senders", False),
    ]
    repositories, branches, senders = kept.verdicts
    assert repositories.value[-2:] == ("group/sub/app", "app")
    assert branches.value == ("refs/heads/topic", "topic")
    assert (senders.value, senders.reason) == (("ann",), IGNORED_SENDER)
    assert "skips" in kept.unknown
    assert {"repositories", "branches", "ignore_senders", "labels"}.isdisjoint(kept.unknown)


def test_of_such_a_delivery_it_is_said_why_it_was_not_wanted() -> None:
    about = About("push", "https://forge.example/acme/api", "main", "ann")
    repositories, branches, senders = (
        policy(repositories=["web"], branches=["v*"], ignore_senders=["ann"]).kept(about).verdicts
    )
    assert (repositories.wanted, repositories.reason) == (("web",), OTHER_REPOSITORY)
    assert (branches.wanted, branches.reason) == (("v*",), OTHER_BRANCH)
    assert (senders.wanted, senders.value, senders.reason) == (("ann",), ("ann",), IGNORED_SENDER)


def test_and_what_is_not_known_is_named() -> None:
    """An author's name is no login: that it matches nothing says nothing."""
    kept = policy(repositories=["r"], branches=["main"], ignore_senders=["bot"]).kept(About(author="Ann"))
    assert kept.verdicts == []
    assert {"repositories", "branches", "ignore_senders"} <= set(kept.unknown)
    (senders,) = policy().kept(About(author="Ann <a@x.example>")).verdicts
    assert senders == Verdict("ignore_senders", (), ("Ann",))
