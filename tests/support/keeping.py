"""A webhook that is kept at a fake forge, on a clock that stands still."""

from __future__ import annotations

from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from change_hooks.config import read_www
from change_hooks.tree import idle_tree
from change_hooks.webhooks.keeping import Keeper
from change_hooks.webhooks.places import Asked, Place, places
from tests.conftest import result_of
from tests.support.fake_api import FakeApi

SECRET = "a long enough secret"
URL = "https://ci.example.com"


class Keeping:
    """One endpoint of a configuration, and what it means at a forge."""

    def __init__(
        self, dialect: str, fake: FakeApi, repository: str = "o/r", *, url: str = URL, **options: Any
    ) -> None:
        self.api: Any = fake
        self.clock = Clock()
        written = {"secret": SECRET, "token": "T", **options}
        hooks = read_www({"change_hook_dialects": {dialect: written}})
        tree = idle_tree(hooks, self.clock)
        asked = Asked(repositories=(repository,) if repository else (), url=url, secret="")
        (self.place,) = places(
            tree.handlers, asked, http=StubTreq(fake), clock=self.clock, left_out=lambda name, error: None
        )
        self.keeper = Keeper(self.place, self.clock)

    def run(self, coroutine: Any) -> Any:
        """What it gives, at once."""
        return result_of(Deferred.fromCoroutine(coroutine))

    def ensure(self) -> tuple[str, str]:
        found: tuple[str, str] = self.run(self.keeper.ensure())
        return found

    def judge(self, **more: Any) -> Any:
        return self.run(self.keeper.judge(**more))


__all__ = ["SECRET", "URL", "Keeping", "Place"]
