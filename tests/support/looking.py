"""A recovery by heads, of a repository whose refs are what the test says, on a clock that stands still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from treq.testing import StubTreq
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import RefUpdate, Repository
from change_hooks.core.fetched import events_in
from change_hooks.core.found import Found
from change_hooks.forges.forge import Forge
from change_hooks.forges.gitea import Gitea
from change_hooks.journal.in_memory import MemoryJournal, MemoryStore
from change_hooks.recovery.heads import Heads
from change_hooks.recovery.recovered import Acceptance, Missing
from tests.conftest import all_of, result_of
from tests.support.fake_git_forges import FakeGitea, sha

NOW = 1_800_000_000.0
NAME = "recovery gitea o/r heads"


class Looking:
    """A repository whose refs are what the test says."""

    def __init__(self, forge: Forge | None = None, store: MemoryStore | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = MemoryJournal(store, clock=self.clock.seconds)
        result_of(self.journal.open())
        self.now = {"refs/heads/main": sha(1)}
        self.forge = forge
        self.events: list[Any] = []
        self.broken: set[str] = set()
        self.error: Exception | None = None
        self.acceptance = Acceptance("gitea", self.found, self.accept)
        self.restart()

    def restart(self) -> None:
        """Go on as another process does: with what is in the journal."""
        self.heads = Heads("o/r", self, self.journal, self.acceptance, self.clock, forge=self.forge)

    async def repository(self) -> Repository:
        return Repository(full_name="o/r", name="r", urls={"usual": "https://gitea.example/o/r"})

    async def refs(self) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        # It takes its time.
        self.clock.advance(0.5)
        return dict(self.now)

    async def found(self, delivery: Delivery) -> Found:
        (event,) = events_in(delivery)
        if getattr(event, "ref", "") in self.broken:
            raise BadPayload("is missing", "$.x")
        self.events.append(event)
        ref = event.ref if isinstance(event, RefUpdate) else f"#{event.number}"  # type: ignore[union-attr]
        revision = event.after if isinstance(event, RefUpdate) else event.head.revision  # type: ignore[union-attr]
        return Found([Change(revision=revision, branch=ref, repository="https://gitea.example/o/r")])

    async def accept(self, delivery: Delivery, found: Found) -> bool:
        if self.error is not None:
            raise self.error
        appended = await self.journal.append(delivery, found, [], way="fetched")
        return not appended.duplicate

    def run(self, **how: Any) -> list[Missing]:
        return all_of(self.heads.run(**how))

    def moved(self, **how: Any) -> list[tuple[str, str | None, str | None]]:
        """What was found: refs, from where and to where."""
        self.events.clear()
        self.run(**how)
        return [(event.ref, event.before, event.after) for event in self.events]


class Line:
    """The way to a forge; it breaks when one of these commits is asked for."""

    def __init__(self, api: FakeGitea) -> None:
        self.http = StubTreq(api)
        self.breaks: tuple[int, ...] = ()
        self.broke: list[int] = []

    def request(self, method: str, url: str, **more: Any) -> Any:
        broken = [number for number in self.breaks if sha(number) in f"{url}{more}"]
        self.broke += broken
        if broken:
            raise ConnectionError
        return self.http.request(method, url, **more)


def with_gitea() -> tuple[Looking, FakeGitea]:
    api = FakeGitea()
    return Looking(Gitea(SimpleNamespace(api="https://gitea.example"), Line(api), Clock())), api
