"""What GitHub is asked for, and what of it."""

from __future__ import annotations

from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from change_hooks.core.events import (
    Comment,
    Commit,
    Ignored,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
)
from change_hooks.forges.github import GitHub
from tests.conftest import has_fired, result_of
from tests.support.fake_api import HANG, FakeApi, Say
from tests.support.fake_github import OLD, SHA, FakeGitHub, commit, sha

REPOSITORY = Repository(full_name="o/r", name="r")
PULL = PullRequest(repository=REPOSITORY, number=7, action="opened", head=Side(revision=SHA, branch="topic"))
PUSH = RefUpdate(repository=REPOSITORY, ref="refs/heads/main", before=OLD, after=SHA)


def forge(api: FakeApi, clock: Any = None, **options: Any) -> GitHub:
    return GitHub(SimpleNamespace(**options), StubTreq(api), clock or Clock())


def enriched(api: FakeApi, event: Any, *, complete: bool = False, **options: Any) -> Any:
    github = forge(api, **options)
    later = github.enrich(event, complete=complete)
    for _ in range(200):
        if has_fired(later):
            break
        github.http.flush()
    return result_of(later)


def test_it_is_found_by_the_name_of_the_forge() -> None:
    (entry,) = entry_points(group="change_hooks.forges", name="github")
    assert entry.load() is GitHub


def test_the_files_and_the_head_commit_of_a_pull_request() -> None:
    api = FakeGitHub()
    api.files = [
        {"filename": "b.c", "previous_filename": "a.c", "status": "renamed"},
        {"filename": "ü.c", "status": "added"},
        {"no": "name"},
        7,
    ]
    pull = enriched(api, PULL)
    assert pull.files == ["b.c", "a.c", "ü.c"]
    assert (pull.head_commit.id, pull.head_commit.message) == (SHA, "commit 9")
    assert pull.head_commit.author == "Änne <aenne@example.com>"
    assert sorted(api.paths()) == [f"/repos/o/r/commits/{SHA}", "/repos/o/r/pulls/7/files"]


def test_what_is_known_is_not_asked_for() -> None:
    api = FakeGitHub()
    event = replace(PULL, files=["x"], head_commit=Commit(SHA))
    assert enriched(api, event) == event
    assert api.asked == []


@pytest.mark.parametrize(("there", "listed", "asked"), [(250, 250, 3), (200, 200, 3), (5000, 3000, 30)])
def test_all_pages_of_files_as_far_as_github_lists_them(there: int, listed: int, asked: int) -> None:
    api = FakeGitHub()
    api.files = [{"filename": f"{number}.c"} for number in range(there)]
    assert len(enriched(api, PULL).files) == listed
    assert api.paths().count("/repos/o/r/pulls/7/files") == asked


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500])
def test_an_api_that_refuses_costs_no_event(status: int) -> None:
    api = FakeGitHub()
    api.instead = [Say(status=status)] * 2
    assert enriched(api, PULL, debug=True) == PULL


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b"[1]", b"null", b'{"commit": 1}'])
def test_an_api_that_answers_nonsense_costs_no_event(answer: bytes) -> None:
    api = FakeGitHub()
    api.instead = [Say(body=answer)] * 2
    pull = enriched(api, PULL)
    assert pull.head_commit is None
    assert not pull.files


def test_an_api_that_hangs_is_left_after_three_seconds() -> None:
    api, clock = FakeGitHub(), Clock()
    api.instead = [HANG, HANG]
    later = forge(api, clock).enrich(PULL)
    clock.advance(2.9)
    assert not has_fired(later)
    clock.advance(0.2)
    assert result_of(later) == PULL


def test_an_api_that_is_slow_on_every_page_is_left_before_github_gives_us_up() -> None:
    api, clock = FakeGitHub(), Clock()
    api.files = [{"filename": f"{number}.c"} for number in range(1000)]
    http = StubTreq(api)

    class Slow:
        def request(self, *where: Any, **more: Any) -> Deferred[Any]:
            answer = http.request(*where, **more)
            return deferLater(clock, 1.5, lambda: answer)

    later = GitHub(SimpleNamespace(), Slow(), clock).enrich(PULL)
    clock.pump([0.5] * 8)
    pull = result_of(later)
    assert pull.files is None
    assert pull.head_commit is not None


@pytest.mark.parametrize(
    "name", ["../../user", "a/../b", "a", "a/b/c", "a/b?x=", "a/..", "ä/b", "", "a/ b", None]
)
def test_no_address_is_built_of_a_strange_name(name: Any) -> None:
    api = FakeGitHub()
    event = replace(PULL, repository=Repository(full_name=name))
    assert enriched(api, event) == event
    assert api.asked == []


def test_an_enterprise_server_and_a_token() -> None:
    api = FakeGitHub(token="token t0ken")
    enriched(api, PULL, token="t0ken", github_api_endpoint="https://github.example.com/api/v3/")
    assert f"/api/v3/repos/o/r/commits/{SHA}" in api.paths()
    assert enriched(api, PULL, token="wrong").files is None


def test_a_push_is_asked_about_only_on_demand() -> None:
    api = FakeGitHub()
    assert enriched(api, PUSH) == PUSH
    assert enriched(api, Ignored("x"), complete=True) == Ignored("x")
    assert enriched(api, replace(PUSH, after=None), complete=True).after is None
    assert api.asked == []


def test_the_commits_over_the_limit_of_a_payload() -> None:
    api = FakeGitHub()
    api.commits = [commit(number) for number in range(250)]
    known = Commit(sha(249), "as sent", files=["x.c"], properties={"github_distinct": True})
    event = replace(PUSH, after=sha(249), commits=(known,), total=250)
    update = enriched(api, event, complete=True)
    assert [one.id for one in update.commits] == [sha(number) for number in range(250)]
    assert update.commits[-1] == known
    assert update.commits[0].message == "commit 0"
    assert api.paths().count(f"/repos/o/r/compare/{OLD}...{sha(249)}") == 3
    # The files of the newest hundred only; of the others they are not known.
    assert sum(one.files is not None for one in update.commits) == 101


def test_the_files_of_commits_where_the_payload_has_none() -> None:
    api = FakeGitHub()
    api.commits = [commit(1, *(f"{number}.c" for number in range(150)))]
    update = enriched(api, replace(PUSH, commits=(Commit(sha(1)), Commit(sha(2), files=[]))), complete=True)
    assert [len(one.files) for one in update.commits] == [150, 0]


def test_a_push_that_is_whole_costs_no_request() -> None:
    api = FakeGitHub()
    event = replace(PUSH, commits=(Commit(SHA, files=[]),), total=1)
    assert enriched(api, event, complete=True) == event
    fresh = replace(event, before=None, total=9)
    assert enriched(api, fresh, complete=True) == fresh
    assert api.asked == []


def test_when_the_commits_cannot_be_fetched_what_is_known_stays() -> None:
    api = FakeGitHub()
    event = replace(PUSH, commits=(Commit(sha(2), files=[]), Commit(sha(1), files=[])), total=9)
    api.instead = [Say(status=404)]
    assert enriched(api, event, complete=True) == event
    # Fewer than the payload itself lists: the old commit is gone, or it is another comparison.
    assert enriched(api, event, complete=True) == event


def test_the_pull_request_of_a_comment() -> None:
    api = FakeGitHub()
    comment = Comment(pull_request=PullRequest(repository=REPOSITORY, number=7, action="updated"))
    pull = enriched(api, comment).pull_request
    assert (pull.head.revision, pull.head.branch, pull.base.branch) == (SHA, "topic", "main")
    assert (pull.title, pull.body, pull.draft, pull.commits) == ("Say hello", None, False, 2)
    assert pull.base.repository.full_name == "o/r"
    assert pull.head.repository is None
    known = replace(comment, pull_request=PULL)
    assert enriched(api, known) == known
    api.instead = [Say({}), Say(status=500)]
    assert enriched(api, comment) == comment
    assert enriched(api, comment) == comment


@pytest.mark.parametrize(
    ("login", "wanted", "may"),
    [
        ("ann", "write", True),
        ("ann", "read", True),
        ("ann", "admin", False),
        ("root", "write", True),
        ("eve", "write", False),
        ("eve", "read", True),
        ("nobody", "read", False),
        ("", "read", False),
        (None, "read", False),
        ("../../../user", "read", False),
        ("ann", "everything", False),
    ],
)
def test_who_may_do_what(login: Any, wanted: str, may: bool) -> None:
    github = forge(FakeGitHub())
    assert result_of(github.permission(REPOSITORY, Person(login=login), wanted)) is may


def test_when_a_permission_cannot_be_asked_for_nobody_has_it() -> None:
    api = FakeGitHub()
    api.instead = [Say(status=403), Say({"permission": "everything"}), Say({"permission": None}), Say([])]
    for _ in range(4):
        assert result_of(forge(api).permission(REPOSITORY, Person(login="ann"), "read")) is False


def test_without_a_client_and_a_clock_the_reactors_are_used() -> None:
    from twisted.internet import reactor

    github = GitHub(SimpleNamespace())
    assert github.clock is reactor
    assert github.http is not None
