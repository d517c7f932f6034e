"""Which address Git is given, and what goes with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from change_hooks.core.recovering import Source
from change_hooks.forges.azuredevops import AzureDevOps
from change_hooks.forges.bitbucketcloud import BitbucketCloud
from change_hooks.forges.bitbucketserver import BitbucketServer
from change_hooks.forges.forge import Forge
from change_hooks.forges.gerrit import Gerrit
from change_hooks.forges.gitea import Gitea
from change_hooks.forges.github import GitHub
from change_hooks.forges.gitlab import GitLab
from change_hooks.forges.rest import RestError
from change_hooks.recovery import remotes
from change_hooks.recovery.remotes import Addressed, Named, addressed
from tests.conftest import result_of
from tests.support.fake_git_forges import FakeGitea


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that Git is given."""
    urls: list[str] = []

    async def refs_of(url: str) -> dict[str, str]:
        urls.append(url)
        return {}

    monkeypatch.setattr(remotes, "refs_of", refs_of)
    return urls


def run(coroutine: Any) -> Any:
    return result_of(ensureDeferred(coroutine))


@pytest.mark.parametrize(
    ("cls", "options", "name", "url"),
    [
        (GitHub, {"github_api_endpoint": None}, "o/r", "https://x-access-token:T@github.com/o/r.git"),
        (
            GitHub,
            {"github_api_endpoint": "https://ghe.example/api/v3"},
            "o/r",
            "https://x-access-token:T@ghe.example/o/r.git",
        ),
        (GitLab, {}, "g/sub/p", "https://oauth2:T@gitlab.com/g/sub/p.git"),
        (Gitea, {"api": "https://gitea.example/"}, "o/r", "https://oauth2:T@gitea.example/o/r.git"),
        (BitbucketCloud, {}, "w/r", "https://x-token-auth:T@bitbucket.org/w/r.git"),
        (
            BitbucketServer,
            {"api": "https://bb.example", "token": "ann:p/w"},
            "PRJ/r",
            "https://ann:p%2Fw@bb.example/scm/PRJ/r.git",
        ),
        (AzureDevOps, {}, "acme/p/r", "https://token:T@dev.azure.com/acme/p/_git/r"),
        (Gitea, {"api": "https://gitea.example", "token": None}, "o/r", "https://gitea.example/o/r.git"),
    ],
)
def test_the_token_goes_to_the_configured_server(
    asked: list[str], cls: type[Forge], options: dict[str, Any], name: str, url: str
) -> None:
    forge = cls(SimpleNamespace(**{"token": "T", **options}), StubTreq(FakeGitea()), Clock())
    assert run(Named(forge, name).refs()) == {}
    assert asked == [url]


def test_a_repository_of_which_only_the_address_is_known(asked: list[str]) -> None:
    place = Addressed("https://ann:secret@git.example/o/r.git")
    found = run(place.repository())
    assert found == addressed("https://git.example/o/r.git")
    assert (found.full_name, found.name) == ("o/r", "r")
    run(place.refs())
    assert asked == ["https://ann:secret@git.example/o/r.git"]
    assert "secret" not in Source(url="https://ann:secret@git.example/o/r.git").name


def test_a_repository_as_the_forge_says_it_is_asked_for_once() -> None:
    api = FakeGitea()
    forge = Gitea(SimpleNamespace(token=None, api="https://gitea.example"), StubTreq(api), Clock())
    place = Named(forge, "o/r")
    assert run(place.repository()) == run(place.repository())
    assert len(api.asked) == 1


def test_where_the_forge_does_not_say_it_the_address_must_do() -> None:
    forge = Gerrit(SimpleNamespace(token=None, api="https://gerrit.example"), StubTreq(FakeGitea()), Clock())
    assert run(Named(forge, "a/b").repository()).urls == {"usual": "https://gerrit.example/a/b.git"}


def test_a_name_that_climbs_is_no_address(asked: list[str]) -> None:
    forge = Gitea(SimpleNamespace(token="T", api="https://gitea.example"), StubTreq(FakeGitea()), Clock())
    with pytest.raises(RestError):
        run(Named(forge, "o/../x").refs())
    assert asked == []
