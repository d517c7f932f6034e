"""A fake of a forge's API over a real socket, with pushes that nobody was told of.

It is a program of its own; what it is to be stands in its one argument, as JSON: see :class:`Settings`.
"""

from __future__ import annotations

import sys
from time import time
from typing import Any

import msgspec
from twisted.internet import endpoints, reactor
from twisted.web.server import Site

from tests.support.fake_api import FakeApi, Fault
from tests.support.fake_azuredevops import FakeAzureDevOps
from tests.support.fake_git_forges import FakeBitbucketServer, FakeGitea
from tests.support.fake_github_hooks import FakeGitHubHooks, sent_again
from tests.support.fake_gitlab import FakeGitLab

SECRET = "a long enough secret"


class Settings(msgspec.Struct):
    """What the fake is to be.

    :param forge: the short name of a forge.
    :param count: how many pushes there were in the last hour, of one commit each.
    :param pause: how long each answer takes, in seconds.
    :param target: where it sends again what it is asked to send again.
    :param links: what ``Link`` names; empty: itself.
    :param faults: what goes wrong.
    """

    forge: str
    port: int
    count: int = 300
    pause: float = 0.0
    target: str = ""
    links: str = ""
    faults: list[Fault] = []


class GitHubWithPushes(FakeGitHubHooks):
    """Of the repository ``o/r``."""

    def grow(self) -> None:
        """A push that was not delivered."""
        number = len(self.log) + 1
        self.attempt(f"guid-{number}", _ago(number))


class GitLabWithPushes(FakeGitLab):
    """Of the project ``g/sub/p``."""

    def grow(self) -> None:
        """A push that was not delivered."""
        self.event(f"key-{len(self.log) + 1}")


class AzureWithPushes(FakeAzureDevOps):
    """Of the repository ``acme/p/r``."""

    def grow(self) -> None:
        """A push that was not delivered."""
        number = len(self.log) + 1
        self.notification(number, _ago(number))


class GiteaWithPushes(FakeGitea):
    """Of the repository ``o/r``."""

    def grow(self) -> None:
        """A push."""
        number = len(self.feed) + 1
        self.activity(_ago(number), "commit_repo", "refs/heads/main", number - 1, number)


class BitbucketWithPushes(FakeBitbucketServer):
    """Of the repository ``PRJ/r``."""

    def grow(self) -> None:
        """A push."""
        number = len(self.log) + 1
        self.activity(_ago(number), "UPDATE", number - 1, number)


def _ago(number: int) -> float:
    """When the push was: within the hour before the last two minutes."""
    return time() - 3600 + number


def made(settings: Settings) -> FakeApi:
    """The fake."""
    api: FakeApi
    if settings.forge == "github":
        here = f"http://127.0.0.1:{settings.port}"
        api = github = GitHubWithPushes("token t0ken", base=settings.links or here)
        if settings.target:
            github.again = lambda item: sent_again(item, settings.target, SECRET.encode())
    else:
        api = {
            "gitlab": lambda: GitLabWithPushes("t0ken"),
            "azuredevops": lambda: AzureWithPushes("Basic OnQwa2Vu"),
            "gitea": lambda: GiteaWithPushes("token t0ken"),
            "bitbucketserver": lambda: BitbucketWithPushes("Bearer t0ken"),
        }[settings.forge]()
    for _ in range(settings.count):
        api.grow()
    api.pause, api.faults = settings.pause, settings.faults
    return api


def main() -> None:
    """Serve until somebody ends it."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    loop: Any = reactor
    server = endpoints.TCP4ServerEndpoint(loop, settings.port, interface="127.0.0.1")
    server.listen(Site(made(settings)))
    loop.run()


if __name__ == "__main__":
    main()
