"""What the forges' APIs are asked about repositories, and what of it."""

from __future__ import annotations

from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.task import Clock

from change_hooks.core.events import Commit, Repository
from change_hooks.forges.azuredevops import AzureDevOps
from change_hooks.forges.forge import Forge
from change_hooks.forges.gerrit import Gerrit
from change_hooks.forges.github import GitHub
from change_hooks.forges.paging import by_skip
from change_hooks.forges.rest import RestError, Unsupported
from tests.support.fake_api import FakeApi, Say
from tests.support.fake_azuredevops import FakeAzureDevOps
from tests.support.fake_git_forges import sha
from tests.support.fake_github import FakeGitHub
from tests.support.forge_clients import CLIENTS, WITH_COMMITS, client, pushed, run

ADDRESSES = {
    "gitlab": "git@gitlab.example:g/sub/p.git",
    "gitea": "git@gitea.example:o/r.git",
    "bitbucketcloud": "https://api.bitbucket.org/2.0/repositories/w/r",
    "bitbucketserver": "https://bitbucket.example/projects/PRJ/repos/r/",
    "azuredevops": "https://dev.azure.com/acme/p/_git/r",
}


@pytest.mark.parametrize("name", [*CLIENTS, "gerrit"])
def test_it_is_found_by_the_name_of_the_forge(name: str) -> None:
    (entry,) = entry_points(group="change_hooks.forges", name=name)
    assert issubclass(entry.load(), Forge) and entry.load().name == name


@pytest.mark.parametrize("name", WITH_COMMITS)
def test_all_commits_of_a_push_oldest_first_over_all_pages(name: str) -> None:
    forge, api = client(name)
    found = run(forge.commits(pushed(name, 100, 123)))
    commits = found.items
    assert found.whole
    assert [commit.id for commit in commits] == [sha(number) for number in range(101, 124)]
    first = commits[0]
    assert (first.message or "").rstrip() == "commit 101"
    assert "aenne@example.com" in first.author
    assert first.when and first.url.endswith(sha(101))
    assert len(api.asked) == {"gitea": 5}.get(name, 1)


@pytest.mark.parametrize("name", CLIENTS)
def test_one_commit_and_its_files_with_both_names_of_a_renamed_one(name: str) -> None:
    forge, _ = client(name)
    repository = pushed(name, 1, 2).repository
    commit = run(forge.commit(repository, sha(7)))
    assert (
        isinstance(commit, Commit) and commit.id == sha(7) and (commit.message or "").startswith("commit 7")
    )
    assert run(forge.commit_files(repository, sha(7))).items[:2] == ["a.c", "b.c"]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_repository_as_it_stands_in_payloads(name: str) -> None:
    forge, _ = client(name)
    found = run(forge.repository(CLIENTS[name][2]))
    assert found.full_name == {"azuredevops": "p/r"}.get(name, CLIENTS[name][2])
    assert (found.urls.get("usual") or next(iter(found.urls.values()))) == ADDRESSES[name]


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("said", [Say([]), Say({"id": 5})])
def test_an_answer_that_is_none_is_said(name: str, said: Say) -> None:
    forge, api = client(name)
    api.instead = [said]
    with pytest.raises(RestError, match="contains no commit"):
        run(forge.commit(pushed(name, 1, 2).repository, sha(7)))


@pytest.mark.parametrize("name", CLIENTS)
def test_an_expired_token_is_said_and_not_shown(name: str) -> None:
    forge, _ = client(name, token="expired")
    with pytest.raises(RestError, match="has expired") as error:
        run(forge.commit_files(pushed(name, 1, 2).repository, sha(2)))
    assert "expired" not in str(error.value).replace("has expired", "")


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("bad", ["", "../r", "o/r?x", "o/r/..", None])
def test_a_name_that_is_none_asks_for_nothing(name: str, bad: str | None) -> None:
    forge, api = client(name)
    with pytest.raises(RestError):
        run(forge.commit_files(Repository(full_name=bad), sha(2)))
    assert api.asked == []


def test_a_next_page_elsewhere_is_not_fetched() -> None:
    forge, api = client("bitbucketcloud")
    api.files *= 10  # type: ignore[attr-defined]
    api.base = "https://evil.example"  # type: ignore[attr-defined]
    with pytest.raises(RestError, match="not at the configured address"):
        run(forge.update_files(pushed("bitbucketcloud", 100, 123)))
    assert len(api.asked) == 1


def test_a_page_that_does_not_say_whether_it_is_the_last_is_an_error() -> None:
    forge, api = client("bitbucketserver")
    api.says_where_it_ends = False  # type: ignore[attr-defined]
    with pytest.raises(RestError, match="another page"):
        run(forge.update_files(pushed("bitbucketserver", 100, 123)))


def test_pages_by_skip() -> None:
    page: Any = by_skip(2)
    assert page(None, [1, 2], {}) == {"skip": "2"}
    assert page(None, [3, 4], {"skip": "2"}) == {"skip": "4"}
    assert page(None, [5], {"skip": "4"}) is None


def test_the_open_pull_requests_of_gitea() -> None:
    forge, api = client("gitea")
    api.pulls = [api.pull(3, sha(9)), api.pull(4, sha(8))]  # type: ignore[attr-defined]
    repository = run(forge.repository("o/r"))
    pulls = run(forge.pull_requests(repository)).items
    assert [(pull.number, pull.head.revision, pull.action) for pull in pulls] == [
        (3, sha(9), "opened"),
        (4, sha(8), "opened"),
    ]
    assert pulls[0].repository == repository and pulls[0].author.login == "ann"


def test_the_open_merge_requests_of_gitlab() -> None:
    forge, api = client("gitlab")
    api.merge_requests = [  # type: ignore[attr-defined]
        {
            "iid": 3,
            "title": "Say hello",
            "source_branch": "topic",
            "target_branch": "main",
            "sha": sha(9),
            "draft": True,
            "labels": ["bug", 5],
            "author": {"name": "Ann", "username": "ann"},
            "created_at": "2026-11-20T10:00:00Z",
            "web_url": "https://gitlab.example/g/sub/p/-/merge_requests/3",
        },
        {"title": "no number"},
        {"iid": 4, "source_branch": "other", "target_branch": "main", "sha": sha(8), "labels": 5},
    ]
    pull, odd = run(forge.pull_requests(run(forge.repository("g/sub/p")))).items
    assert (odd.number, list(odd.labels)) == (4, [])
    assert (pull.number, pull.head.branch, pull.head.revision, pull.base.branch) == (
        3,
        "topic",
        sha(9),
        "main",
    )
    assert (pull.draft, pull.labels, pull.author.login) == (True, ["bug"], "ann")


def test_the_open_pull_requests_and_the_repository_of_github() -> None:
    api = FakeGitHub("token T")
    api.route("GET", "/repos/o/r/pulls", lambda asked: [api.pull])
    api.route("GET", "/repos/o/r", lambda asked: api.pull["base"]["repo"])
    forge = GitHub(SimpleNamespace(token="T", github_api_endpoint=None), StubTreq(api), Clock())
    repository = run(forge.repository("o/r"))
    assert repository.urls["html"] == "https://github.example/o/r"
    (pull,) = run(forge.pull_requests(repository)).items
    assert (pull.number, pull.head.branch, pull.action) == (7, "topic", "opened")


def test_a_repository_of_azure_has_three_names() -> None:
    forge = AzureDevOps(SimpleNamespace(token="T"), StubTreq(FakeAzureDevOps()), Clock())
    assert run(forge.repository("acme/p/r")).id == "repo-id"
    with pytest.raises(RestError):
        run(forge.repository("acme/r"))


def test_what_an_api_does_not_have_is_said() -> None:
    forge = Gerrit(SimpleNamespace(token="u:p", api="https://gerrit.example"), StubTreq(FakeApi()), Clock())
    repository = Repository(full_name="p")
    for asked in (
        forge.commit(repository, "1"),
        forge.repository("p"),
        forge.pull_requests(repository),
        forge.commit_files(repository, "1"),
    ):
        with pytest.raises(Unsupported):
            run(asked)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_requests_that_change_something(method: str) -> None:
    forge, api = client("gitea")
    api.route(method.upper(), ".*/api/v1/x", lambda asked: Say(asked.json, 201))
    more = {} if method == "delete" else {"json": {"a": 1}}
    got = run(getattr(forge.rest, method)("x", **more))
    assert got.status == 201 and api.asked[-1].method == method.upper()
