"""The clients of the forges' APIs, each with a fake of its API."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from change_hooks.core.events import RefUpdate, Repository
from change_hooks.forges.azuredevops import AzureDevOps
from change_hooks.forges.bitbucketcloud import BitbucketCloud
from change_hooks.forges.bitbucketserver import BitbucketServer
from change_hooks.forges.forge import Forge
from change_hooks.forges.gitea import Gitea
from change_hooks.forges.gitlab import GitLab
from tests.conftest import result_of
from tests.support.fake_api import FakeApi
from tests.support.fake_azuredevops import FakeAzureDevOps
from tests.support.fake_git_forges import FakeBitbucketCloud, FakeBitbucketServer, FakeGitea, sha
from tests.support.fake_gitlab import FakeGitLab

#: Each client, a fake of its API that wants the token T, and the name of the repository there.
CLIENTS: dict[str, tuple[type[Forge], Any, str, str | None]] = {
    "gitlab": (GitLab, lambda: FakeGitLab("T"), "g/sub/p", None),
    "gitea": (Gitea, lambda: FakeGitea("token T", most=7), "o/r", "https://gitea.example/"),
    "bitbucketcloud": (BitbucketCloud, lambda: FakeBitbucketCloud("Bearer T"), "w/r", None),
    "bitbucketserver": (
        BitbucketServer,
        lambda: FakeBitbucketServer("Bearer T"),
        "PRJ/r",
        "https://bitbucket.example",
    ),
    "azuredevops": (AzureDevOps, lambda: FakeAzureDevOps("Basic OlQ="), "acme/p/r", None),
}
#: Those whose pushes are a change for each commit.
WITH_COMMITS = ("gitlab", "gitea", "azuredevops")


def client(name: str, token: str = "T", api: Any = None) -> tuple[Forge, FakeApi]:
    cls, fake, _, base = CLIENTS[name]
    api = api or fake()
    return cls(SimpleNamespace(token=token, api=base), StubTreq(api), Clock()), api


def run(coroutine: Any) -> Any:
    return result_of(Deferred.fromCoroutine(coroutine))


def pushed(name: str, before: int, after: int) -> RefUpdate:
    repository = Repository(full_name=CLIENTS[name][2], urls={"html": "https://bitbucket.example/"})
    return RefUpdate(
        repository=repository, ref="refs/heads/main", before=sha(before), after=sha(after), push="17"
    )
