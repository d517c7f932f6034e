"""What the options say about events, for all dialects alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from change_hooks.core.change import MISSING, TRUNCATED, Change
from change_hooks.core.errors import BadPayload
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
    is_zeros,
    revision_or_none,
    was_created,
)
from change_hooks.core.found import About, Found
from change_hooks.core.options import ForgeOptions, read_options
from change_hooks.core.policy import FORK, MAX_CHANGES, Policy
from change_hooks.core.screening import head_message
from change_hooks.core.select import MOST_LISTED
from change_hooks.core.style import Style

REPOSITORY = Repository(
    full_name="acme/api",
    name="api",
    urls={"https": "https://forge/acme/api.git", "ssh": "git@forge:acme/api.git", "html": None},
    names=("old/api",),
)
ONE = Commit("1", "Fix it", "Ann", None, 5, "https://forge/1", ["a"])
TWO = Commit("2", "Fix more", "Bob", "Ann", 6, "https://forge/2", [], properties={"distinct": True})
PUSH = RefUpdate(
    repository=REPOSITORY,
    ref="refs/heads/main",
    before="0",
    after="2",
    commits=(ONE, TWO),
    sender=Person("Ann", "ann@example.com", "ann"),
    url="https://forge/compare",
)
PULL = PullRequest(
    repository=REPOSITORY,
    number=7,
    action="opened",
    title="Say hello",
    body="It was time.",
    head=Side(branch="hello", revision="2", repository=Repository(full_name="eve/api")),
    base=Side(branch="main", revision="1"),
    author=Person(login="eve"),
    sender=Person("Eve", None, "eve"),
    labels=("ci", "docs"),
    url="https://forge/pull/7",
    created=3,
    files=["a"],
)
COMMENT = Comment(pull_request=PULL, author=Person(login="ann"), text="  !build linux  ")


class Source:
    """A delivery without arguments, and with one listed property."""

    def __init__(
        self,
        arguments: Mapping[str, str] | None = None,
        listed: Mapping[str, Any] | None = None,
        unread: Sequence[str] = (),
    ) -> None:
        self.adds = bool(arguments or listed or unread)
        self.payload: Mapping[str, Any] = {"a": 1}
        self.listed: Mapping[str, Any] = listed or {}
        self.unread: Sequence[str] = unread
        self._arguments = arguments or {}

    def argument(self, name: str) -> str | None:
        return self._arguments.get(name)


class PerRef(Style):
    per_commit = False
    full_refs = True
    deleted = "gone"
    unnamed = "commit {revision}"
    event_property = False


class Talking(Style):
    comments = True


def policy(style: Style | None = None, **written: Any) -> Policy:
    options, problems, unknown = read_options(ForgeOptions, written)
    assert not problems
    assert not unknown
    return Policy(options, style or Style())


def decided(
    *events: Event, style: Style | None = None, source: Source | None = None, **written: Any
) -> Found:
    return policy(style, **written).decide(events, source or Source(), "push")


def test_a_push_is_a_change_for_each_commit() -> None:
    first, last = decided(PUSH)
    assert first == Change(
        author="Ann",
        files=["a"],
        comments="Fix it",
        revision="1",
        when_timestamp=5,
        branch="main",
        category="push",
        revlink="https://forge/1",
        repository="https://forge/acme/api.git",
        project="acme/api",
        src="git",
        properties={"event": "push"},
    )
    assert (last.committer, last.files, last.properties) == ("Ann", [], {"event": "push", "distinct": True})
    assert decided(PUSH).about == About("push", "https://forge/acme/api.git", "main", "Bob")
    assert decided(PUSH).reason == ""


def test_what_was_not_as_documented_is_said_of_every_change_or_in_the_reason() -> None:
    source = Source(unread=["$.commits[1].id"])
    for change in decided(PUSH, source=source):
        assert change.properties["change_hook_unread"] == ["$.commits[1].id"]
    refused = decided(Ignored("nothing"), source=source)
    assert refused.reason == "nothing; left out: $.commits[1].id"
    made = policy(branches=["other"]).select([Change(branch="main")], source)
    assert made.reason.endswith("; left out: $.commits[1].id")
    made = policy().select([Change(comments="[skip ci]")], source)
    assert made.reason.endswith("; left out: $.commits[1].id")


def test_the_properties_of_an_event_have_so_much_room_in_all_changes_together() -> None:
    large = {"large": "x" * (MOST_LISTED // 100), "small": 1}
    one = replace(PUSH, commits=[Commit(str(number)) for number in range(20)], after="19", properties=large)
    changes = decided(*[one] * 10)
    assert len(changes) == 200
    assert all(change.properties["change_hook_left_out"] == ["large"] for change in changes)
    assert changes[0].properties["small"] == 1
    assert "change_hook_left_out" not in decided(one)[0].properties


def test_what_is_not_known_is_said() -> None:
    (change,) = decided(replace(PUSH, commits=(Commit("2"),)))
    assert change.properties[MISSING] == ["files", "comments"]


@pytest.mark.parametrize(
    ("commit", "missing"),
    [
        (Commit("2", "m", files=["a"]), None),
        (Commit("2", "m", files=["a"], files_cut=True), ["files"]),
        (Commit("2", "m"), ["files"]),
        (Commit("2", None, files=["a"]), ["comments"]),
    ],
)
def test_of_a_commit_what_is_not_known_is_said(commit: Commit, missing: Any) -> None:
    for event in (replace(PUSH, commits=(commit,)), replace(PUSH, commits=(), head=commit)):
        assert decided(event)[0].properties.get(MISSING) == missing


def test_a_commit_may_have_a_branch_of_its_own() -> None:
    found = decided(replace(PUSH, commits=(replace(ONE, branch="stable"), TWO)))
    assert [(change.branch, change.comments) for change in found] == [
        ("stable", "Fix it"),
        ("main", "Fix more"),
    ]


@pytest.mark.parametrize("commits", [(TWO, ONE), (ONE, TWO)])
def test_the_commit_that_the_branch_is_on_comes_last(commits: tuple[Commit, ...]) -> None:
    assert [change.revision for change in decided(replace(PUSH, commits=commits))] == ["1", "2"]


def test_commits_whose_newest_comes_first_are_turned_round() -> None:
    commits = (Commit("2"), Commit("1"), Commit("0"))
    assert [change.revision for change in decided(replace(PUSH, commits=commits))] == ["0", "1", "2"]


def test_the_head_in_the_middle_of_the_commits_comes_last() -> None:
    commits = (Commit("0"), Commit("2"), Commit("1"))
    assert [change.revision for change in decided(replace(PUSH, commits=commits))] == ["0", "1", "2"]


def test_a_branch_that_is_on_none_of_the_commits_gets_a_change_for_where_it_is() -> None:
    found = decided(replace(PUSH, after="3"))
    assert [change.revision for change in found] == ["1", "2", "3"]
    assert found[-1].properties == {"event": "push", MISSING: ["files", "comments"]}
    tag = replace(PUSH, ref="refs/tags/v1", after="3")
    assert [(change.revision, change.category) for change in decided(tag)] == [("1", "tag"), ("2", "tag")]


def test_a_branch_that_moved_without_new_commits_is_one_change() -> None:
    (change,) = decided(replace(PUSH, commits=()))
    assert (change.author, change.revision, change.revlink) == (
        "Ann <ann@example.com>",
        "2",
        "https://forge/compare",
    )
    assert change.properties[MISSING] == ["files", "comments"]
    (change,) = decided(replace(PUSH, commits=(), head=TWO))
    assert (change.author, change.comments, change.files) == ("Bob", "Fix more", [])
    assert change.properties == {"event": "push", "distinct": True}
    assert (change.committer, change.when_timestamp) == ("Ann", 6)
    (change,) = decided(replace(PUSH, commits=(), head=replace(TWO, files=["b"], when=None), when=9))
    assert (change.files, change.when_timestamp) == (["b"], 9)


def test_what_a_tag_is_on_is_the_commit_and_not_the_tag_itself() -> None:
    (change,) = decided(replace(PUSH, ref="refs/tags/v1", after="7a9", commits=(), head=TWO))
    assert change.revision == "2"


def test_of_a_new_branch_the_head_alone_on_demand() -> None:
    new = replace(PUSH, created=True, head=TWO)
    assert len(decided(new)) == 2
    assert [change.revision for change in decided(new, new_branch="head")] == ["2"]
    assert len(decided(PUSH, new_branch="head")) == 2


@pytest.mark.parametrize(("total", "said"), [(5, 5), (True, True), (2, None), (None, None)])
def test_what_was_left_out_is_said(total: Any, said: Any) -> None:
    assert all(change.properties.get(TRUNCATED) is said for change in decided(replace(PUSH, total=total)))


def test_a_deletion_gives_no_change_unless_the_dialect_has_a_category_for_it() -> None:
    deletion = replace(PUSH, before="1", after=None, commits=())
    assert decided(deletion).reason == "the branch or tag was deleted"
    (change,) = decided(deletion, style=PerRef())
    assert (change.category, change.revision, change.branch) == ("gone", "1", "refs/heads/main")
    assert change.comments == "commit 1"


def test_a_style_may_have_one_change_for_each_ref() -> None:
    (change,) = decided(replace(PUSH, total=True, when=9), style=PerRef())
    assert (change.comments, change.when_timestamp) == ("commit 2", 9)
    assert change.properties == {MISSING: ["files"], TRUNCATED: True}


def test_other_refs_are_neither_branches_nor_tags() -> None:
    assert decided(replace(PUSH, ref="refs/notes/x")).reason == "the ref is neither a branch nor a tag"
    assert len(decided(replace(PUSH, ref="default"))) == 2


def test_several_events_are_decided_each_by_itself() -> None:
    found = decided(replace(PUSH, ref="refs/notes/x"), replace(PUSH, ref="refs/heads/b", commits=(TWO,)))
    assert [change.branch for change in found] == ["b"]
    assert decided().reason == "the event lists no changes"
    assert decided(Ignored("a ping")).reason == "a ping"
    assert decided(Ignored("a ping")).about == About("push")


@pytest.mark.parametrize(
    ("event", "options", "reason"),
    [
        (PUSH, {"skips": ["more"]}, "'skips'"),
        (replace(PUSH, commits=(TWO, ONE)), {"skips": ["more"]}, "'skips'"),
        (replace(PUSH, head=Commit("2", "[CI skip]")), {}, "'skips'"),
        (replace(PUSH, unwanted="ci.skip is set"), {}, "ci.skip is set"),
        (PUSH, {"ignore_senders": ["an*"]}, "'ignore_senders'"),
        (PUSH, {"repositories": ["other/*"]}, "'repositories'"),
        (PUSH, {"branches": ["release/*"]}, "'branches'"),
        (replace(PULL, action="closed"), {}, "'actions'"),
        (PULL, {"actions": ["merged"]}, "'actions'"),
        (replace(PULL, draft=True), {"drafts": False}, "'drafts'"),
        (PULL, {"labels": ["build-*"]}, "'labels'"),
        (replace(PULL, labels=None), {"labels": ["*"]}, "'labels'"),
        (PULL, {"ignore_senders": ["eve"]}, "'ignore_senders'"),
        (PULL, {"skips": ["hello"]}, "'skips'"),
        (PULL, {"skips": ["time"]}, "'skips'"),
        (replace(PULL, head_commit=Commit("2", "[skip ci]")), {}, "'skips'"),
        (PULL, {"repositories": ["eve/*"]}, "'repositories'"),
        (PULL, {"branches": ["release"]}, "'branches'"),
        (COMMENT, {}, "'commands'"),
        (COMMENT, {"commands": {"regex": "^!test"}}, "none of the option 'commands'"),
        (replace(COMMENT, is_new=False), {"commands": {"regex": "^!build"}}, "comment is not new"),
        (COMMENT, {"commands": {"regex": "^!build"}, "repositories": ["x"]}, "'repositories'"),
    ],
)
def test_what_is_not_wanted_gives_no_change_and_says_why(event: Event, options: Any, reason: str) -> None:
    found = decided(event, **options)
    assert found == []
    assert reason in found.reason
    author = "Ann <ann@example.com>" if isinstance(event, RefUpdate) else "Eve"
    assert found.about == About("push", "https://forge/acme/api.git", "main", author)


@pytest.mark.parametrize(
    ("event", "options"),
    [
        (PUSH, {"skips": ["it"]}),
        (PUSH, {"repositories": ["acme/*"], "branches": ["main"]}),
        (PUSH, {"repositories": ["git@forge:*"], "branches": ["refs/heads/m*"]}),
        (PUSH, {"repositories": ["old/api"], "ignore_senders": ["bot"]}),
        (PULL, {"branches": ["main"]}),
        (PULL, {"branches": ["hello"], "labels": ["c*"], "drafts": False}),
        (replace(PULL, draft=True, action="ready"), {"drafts": False}),
        (replace(PULL, draft=True), {}),
        (replace(PULL, action="labeled"), {"actions": ["labeled"]}),
    ],
)
def test_what_is_wanted_gives_a_change(event: Event, options: Any) -> None:
    assert decided(event, **options)


def test_a_pull_request_is_one_change() -> None:
    (change,) = decided(PULL)
    assert change == Change(
        author="Eve",
        files=["a"],
        comments="Say hello\nIt was time.",
        revision="2",
        when_timestamp=3,
        branch="hello",
        category="pull",
        revlink="https://forge/pull/7",
        repository="https://forge/acme/api.git",
        project="acme/api",
        src="git",
        properties={"event": "pull_request", FORK: "eve/api"},
    )
    ours = replace(PULL, head=replace(PULL.head, repository=REPOSITORY), files=None, sender=Person())
    (change,) = decided(ours)
    assert change.properties == {"event": "pull_request", MISSING: ["files"]}
    assert change.author == "eve"
    assert decided(replace(PULL, head=Side()))[0].properties == {"event": "pull_request"}
    assert decided(PULL, style=PerRef())[0].properties == {FORK: "eve/api"}


def test_a_comment_that_is_a_command_is_a_change_with_its_groups() -> None:
    permitted = replace(COMMENT, permitted=True)
    (change,) = decided(permitted, commands={r"^!build (?P<platform>\w+)$": "admin"})
    assert change.properties["platform"] == "linux"
    assert change.properties["command"] == "!build linux"
    assert change.properties["event"] == "comment"
    wanted = policy(commands=[{"regex": "^x"}, {"regex": "build", "permission": "read"}])
    command = wanted.command(COMMENT)
    assert command is not None
    assert command.permission == "read"
    assert wanted.command(replace(COMMENT, is_new=False)) is None


def test_a_command_of_somebody_whose_permission_nobody_confirmed_is_none() -> None:
    commands = {"regex": "^!build", "permission": "admin"}
    found = decided(COMMENT, commands=commands)
    assert found == []
    assert "may do this" in found.reason
    assert decided(COMMENT, style=Talking(), commands=commands).reason == found.reason


def test_a_dialect_may_have_changes_for_comments() -> None:
    (change,) = decided(replace(COMMENT, properties={"comments": "x"}), style=Talking())
    assert change.properties["comments"] == "x"
    assert "command" not in change.properties


@pytest.mark.parametrize(
    ("wanted", "address"),
    [
        (None, "https://forge/acme/api.git"),
        ("ssh", "git@forge:acme/api.git"),
        ("html", "https://forge/acme/api.git"),
        (lambda payload: f"mine/{payload['a']}", "mine/1"),
    ],
)
def test_the_address_is_the_one_that_is_wanted(wanted: Any, address: str) -> None:
    assert {change.repository for change in decided(PUSH, repository_url=wanted)} == {address}


def test_a_dialect_may_have_an_address_of_its_own() -> None:
    own = replace(REPOSITORY, urls={"html": "page", "usual": "own"}, project="Mine")
    change = decided(replace(PUSH, repository=own))[0]
    assert (change.repository, change.project) == ("own", "Mine")
    assert decided(replace(PUSH, repository=Repository()))[0].repository == ""


def test_what_is_alike_for_all_changes_is_put_on_them() -> None:
    written = {"project": "P", "codebase": lambda payload: f"c{payload['a']}"}
    for change in decided(PUSH, **written):
        assert (change.project, change.codebase) == ("P", "c1")
    for change in decided(PUSH, source=Source({"project": "Q", "codebase": "d"}), **written):
        assert (change.project, change.codebase) == ("Q", "d")
    for change in decided(PUSH, source=Source(listed={"forge.a": 1, "event": "x"}), project="P"):
        assert change.properties["forge.a"] == 1
        assert change.properties["event"] == "push"
        assert change.project == "P"


def test_what_is_equal_for_all_changes_exists_once() -> None:
    listed = {"forge.a": ["x", {"y": 1}]}
    alike = [replace(TWO, id=str(number), properties={"own": number // 3}) for number in range(9)]
    changes = decided(replace(PUSH, commits=alike, after="8"), source=Source(listed=listed))
    assert [change.properties["own"] for change in changes] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len({id(change.properties) for change in changes}) == 3
    assert len({id(change.properties["forge.a"]) for change in changes}) == 1


def test_there_is_a_limit_to_the_changes_of_a_delivery() -> None:
    most = (TWO,) * MAX_CHANGES
    assert len(decided(replace(PUSH, commits=most))) == MAX_CHANGES
    assert len(policy().select([Change()] * MAX_CHANGES, Source())) == MAX_CHANGES
    many = replace(PUSH, commits=(*most, TWO))
    with pytest.raises(BadPayload, match="more than"):
        decided(many)
    with pytest.raises(BadPayload, match="more than"):
        policy().select([Change()] * (MAX_CHANGES + 1), Source())


# Changes that a method makes by itself.

MADE = [
    Change(comments="a", repository="r", project="acme/x", branch="refs/heads/main", author="Ann"),
    Change(comments="b", repository="r", project="acme/y", branch="topic", author="Ann"),
]


def test_the_options_that_make_sense_for_changes_are_applied_too() -> None:
    assert policy().select([], Source()) == []
    assert policy().select(MADE, Source()) == MADE
    about = About("told", "r", "topic", "Ann")
    for options in ({}, {"skips": ["^b"]}, {"branches": ["x"]}):
        found = policy(**options).select(MADE, Source(), "told")
        assert (found.about, found.reason == "") == (about, not options)
    assert "'skips'" in policy(skips=["^b"]).select(MADE, Source()).reason
    assert policy(skips=["^a"]).select(MADE, Source()) == MADE
    assert policy(repositories=["acme/x"]).select(MADE, Source()) == MADE[:1]
    assert "'repositories'" in policy(repositories=["x"]).select(MADE, Source()).reason
    assert policy(branches=["main"]).select(MADE, Source()) == MADE[:1]
    assert "'branches'" in policy(branches=["x"]).select(MADE, Source()).reason
    (first, _) = policy(project="P").select(MADE, Source())
    assert first.project == "P"


# Events.


@pytest.mark.parametrize(("before", "created"), [("0" * 40, True), ("0a", False), ("", None), (None, None)])
def test_a_ref_that_was_at_zeros_was_created(before: str | None, created: bool | None) -> None:
    assert was_created(before) is created


def test_zeros_are_the_name_of_no_commit() -> None:
    assert is_zeros("0" * 40)
    assert is_zeros("0" * 64)
    assert is_zeros(None)
    assert is_zeros("")
    assert revision_or_none("0" * 40) is None
    assert revision_or_none("0a") == "0a"


def test_a_person_is_written_as_far_as_is_known() -> None:
    assert str(Person("Ann", "a@b", "ann")) == "Ann <a@b>"
    assert str(Person(None, "a@b", "ann")) == "ann <a@b>"
    assert str(Person(None, " a@b ")) == "a@b"
    assert str(Person()) == ""


def test_whether_a_pull_request_comes_from_a_fork() -> None:
    assert PULL.from_fork is True
    assert replace(PULL, head=replace(PULL.head, repository=REPOSITORY)).from_fork is False
    assert replace(PULL, head=Side()).from_fork is None


def test_the_message_of_the_head_is_that_of_where_the_branch_is_now() -> None:
    assert head_message(PUSH) == "Fix more"
    assert head_message(replace(PUSH, after="9")) == "Fix more"
    assert head_message(replace(PUSH, commits=())) is None
    assert head_message(replace(PUSH, head=Commit("9"))) is None


def test_the_events_of_a_delivery_together_have_a_bound() -> None:
    half = replace(PUSH, commits=(TWO,) * (MAX_CHANGES // 2 + 1))
    with pytest.raises(BadPayload, match="more than 20000 changes"):
        policy().decide([half, half], Source(), "push")
