"""Lists of the forges in which one item is not what it should be: it costs itself, and is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from change_hooks.core.events import PullRequest, Repository, Side
from change_hooks.forges.forge import Forge
from change_hooks.forges.github import GitHub
from change_hooks.forges.odd_items import MOST_REASONS, OddItems
from change_hooks.forges.rest import RestError
from tests.support.fake_api import page_of
from tests.support.fake_git_forges import sha
from tests.support.fake_github import OLD, SHA, FakeGitHub, commit
from tests.support.forge_clients import CLIENTS, WITH_COMMITS, client, pushed, run

#: What may stand in a list instead of an item.
ODD: list[Any] = [None, 7, "x", [], {}, {"id": None, "sha": 5, "number": "x", "iid": True, "head": 3}]


def github() -> tuple[Forge, Any]:
    api = FakeGitHub("token T")
    return GitHub(SimpleNamespace(token="T", github_api_endpoint=None), StubTreq(api), Clock()), api


def pulls_of(name: str) -> tuple[Forge, Repository, list[Any]]:
    """A forge, a repository, and the list of its open pull requests, of which there are two."""
    if name == "github":
        forge, api = github()
        listed = [api.pull, {**api.pull, "number": 8}]
        api.route("GET", "/repos/o/r/pulls", lambda asked: page_of(listed, asked))
        return forge, Repository(full_name="o/r"), listed
    forge, fake = client(name)
    api = fake
    if name == "gitea":
        listed = api.pulls = [api.pull(7, sha(9)), api.pull(8, sha(9))]
    else:
        listed = api.merge_requests = [{"iid": number, "sha": sha(9)} for number in (7, 8)]
    return forge, Repository(full_name=CLIENTS[name][2]), listed


def said(events: Any) -> list[str]:
    return [str(event["reason"]) for event in events if "cannot be read" in str(event.get("log_format"))]


@pytest.mark.parametrize("name", ["github", "gitea", "gitlab"])
@pytest.mark.parametrize("odd", ODD)
def test_one_pull_request(name: str, odd: Any) -> None:
    forge, repository, listed = pulls_of(name)
    assert run(forge.pull_requests(repository)).whole
    listed.insert(1, odd)
    with capturedLogs() as events:
        for _ in range(2):
            found = run(forge.pull_requests(repository))
    assert ([pull.number for pull in found.items], found.whole) == ([7, 8], False)
    # Once.
    assert len(said(events)) == 1


@pytest.mark.parametrize("name", ["github", "gitea"])
@pytest.mark.parametrize("head", [None, {}, {"sha": None, "ref": "topic"}, "x"])
def test_one_pull_request_without_a_head(name: str, head: Any) -> None:
    forge, repository, listed = pulls_of(name)
    listed[0] = {**listed[0], "head": head}
    assert [pull.number for pull in run(forge.pull_requests(repository)).items] == [8]


def test_one_whose_repositories_are_gone() -> None:
    forge, repository, listed = pulls_of("gitea")
    listed[0] = {**listed[0], "base": {"ref": "main", "repo": None}, "user": None}
    first, _ = run(forge.pull_requests(repository)).items
    assert (first.number, first.repository, first.base.branch) == (7, repository, "main")


def test_a_list_of_pull_requests_that_is_cut_is_said() -> None:
    for name in ("github", "gitea", "gitlab"):
        forge, repository, listed = pulls_of(name)
        numbered = "iid" if name == "gitlab" else "number"
        listed[:] = [{**listed[0], numbered: number} for number in range(1, 6000)]
        assert run(forge.pull_requests(repository)).whole is False


@pytest.mark.parametrize("odd", [{}, {"number": 3}, {"number": 3, "head": {"ref": "x"}}, [], None])
def test_a_pull_request_of_a_comment_that_is_none(odd: Any) -> None:
    forge, api = client("gitea")
    api.pull = lambda number, revision: odd  # type: ignore[attr-defined]
    known = PullRequest(repository=Repository(full_name="o/r"), number=3, action="edited")
    with pytest.raises(RestError, match="the response"):
        run(forge.pull_request(known.repository, 3, known))


@pytest.mark.parametrize("name", [*WITH_COMMITS, "github"])
@pytest.mark.parametrize("odd", ODD)
def test_one_commit_of_a_push(name: str, odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "github":
        forge, api = github()
        api.commits = [commit(1), odd, commit(2)]
        update = replace(pushed("gitea", 0, 2), before=OLD, after=SHA)
    else:
        forge, api = client(name)
        update = pushed(name, 100, 102)
        true = api.true_answer

        def with_odd(asked: Any) -> Any:
            answer = true(asked)
            held = answer.value.get("value") if isinstance(answer.value, dict) else answer.value
            if isinstance(held, list) and held:
                held.insert(1, odd)
            return answer

        api.true_answer = with_odd
        if name == "azuredevops":
            api.pushed = [102, 101]
    with capturedLogs() as events:
        found = run(forge.commits(update))
    assert len(found.items) == 2 and not found.whole
    assert len(said(events)) == 1


@pytest.mark.parametrize("name", [*CLIENTS, "github"])
@pytest.mark.parametrize("odd", ODD)
def test_one_file_of_a_pull_request(name: str, odd: Any) -> None:
    forge, api = github() if name == "github" else client(name)
    repository = Repository(full_name="o/r" if name == "github" else CLIENTS[name][2])
    pull = PullRequest(
        repository=repository,
        number=7 if name == "github" else 3,
        action="opened",
        head=Side(revision=sha(9)),
        base=Side(revision=sha(1)),
    )
    whole = run(forge.pull_request_files(pull))
    assert whole.whole
    api.files.insert(1, odd)
    found = run(forge.pull_request_files(pull))
    assert (found.items, found.whole) == (whole.items, False)


def test_only_so_many_reasons_are_said() -> None:
    def refuse(item: Any) -> None:
        raise RestError(f"odd in the way {item}", 200)

    odd = OddItems("a forge")
    with capturedLogs() as events:
        assert odd.without("things", range(10 * MOST_REASONS), refuse) == []
    assert len(said(events)) == MOST_REASONS
