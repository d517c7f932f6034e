"""A recovery to one endpoint, on a clock that stands still, with a journal in memory."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.web.http_headers import Headers

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, Unavailable
from change_hooks.core.found import About, Found
from change_hooks.core.recovering import Source
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.forges.forge import Forge
from change_hooks.forges.github import GitHub
from change_hooks.forges.github_log import GitHubLog
from change_hooks.forges.logged import Log
from change_hooks.journal import StoredDelivery, Trace
from change_hooks.journal.in_memory import MemoryJournal, MemoryStore
from change_hooks.recovery.catch_up import CatchUp
from change_hooks.recovery.recovered import Acceptance, Missing
from tests.conftest import all_of, result_of
from tests.support.fake_api import FakeApi
from tests.support.fake_github_hooks import FakeGitHubHooks

STORED = GitHubEventHandler(None, True).stored()
NOW = 1_800_000_000.0


class Recovering:
    """The recovery, from GitHub unless said otherwise."""

    def __init__(
        self,
        api: FakeApi | None = None,
        source: Source | None = None,
        *,
        token: Any = "T",
        redeliver: bool = False,
        endpoint: str = "github",
        forge: type[Forge] = GitHub,
        log: Callable[[Any, Source, str], Log] = GitHubLog,
        event: str = "push",
        store: MemoryStore | None = None,
    ) -> None:
        self.api: Any = FakeGitHubHooks("token T") if api is None else api
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = MemoryJournal(store, clock=self.clock.seconds)
        result_of(self.journal.open())
        self.source = source or Source("o/r")
        self.http = StubTreq(self.api)
        self.forge: Forge = forge(SimpleNamespace(token=token, api=None), self.http, self.clock)
        self.endpoint = endpoint
        self.make_log = log
        self.event = event
        #: The payloads of what was recovered.
        self.payloads: list[Any] = []
        self.redeliver = redeliver
        #: The ids whose handler breaks, and how many deliveries fit into the journal.
        self.broken: set[str] = set()
        self.room: int | None = None
        self.restart()

    async def found(self, delivery: Delivery) -> Found:
        payload = msgspec.json.decode(delivery.body)
        self.payloads.append(payload)
        if delivery.id in self.broken:
            raise BadPayload("is missing", "$.ref")
        if delivery.id == "bug":
            raise KeyError("x")
        if delivery.id == "nothing":
            return Found(reason="nothing to do")
        change = Change(revision=payload.get("after"), properties={"a": 1})
        return Found([change], about=About("push", "o/r", "main", "ann"))

    async def accept(self, delivery: Delivery, found: Found) -> bool:
        if self.room is not None and len(self.stored()) >= self.room:
            raise Unavailable("the disk is full")
        appended = await self.journal.append(delivery, found, ["a"], ["b"], about=found.about)
        return not appended.duplicate

    def restart(self) -> None:
        """Go on as another process does: with what is in the journal."""
        self.catch_up = CatchUp(
            self.source.name,
            self.make_log(self.forge, self.source, f"/change_hook/{self.endpoint}"),
            self.journal,
            # A test may put others in the place of these two.
            Acceptance(
                self.endpoint, lambda *given: self.found(*given), lambda *given: self.accept(*given), STORED
            ),
            self.clock,
            handles=lambda event: event == self.event,
            redeliver=self.redeliver,
        )

    def run(self, since: float | None = None, **how: Any) -> list[Missing]:
        try:
            return all_of(self.catch_up.run(since, **how))
        finally:
            # It is let go of.
            other = MemoryJournal(self.journal.store, clock=self.clock.seconds)
            result_of(other.open())
            name = f"recovery {self.endpoint} {self.source.name}"
            assert result_of(other.lease(name, 1.0))
            result_of(other.release(name))

    def outcomes(self, since: float | None = None, **how: Any) -> dict[str, str]:
        """What became of each delivery."""
        return {missing.delivery: missing.outcome for missing in self.run(since, **how)}

    def stored(self) -> list[StoredDelivery]:
        """What was accepted, oldest first."""
        states = ("ignored", "refused")
        return [each for each in list(self.journal.reader().deliveries())[::-1] if each.state not in states]

    def ids(self) -> list[str]:
        return [each.delivery for each in self.stored()]

    def came(self, delivery: str, status: int = 202) -> None:
        """A delivery arrived in a request, and was answered so."""
        if status == 202:
            sent = Delivery(
                b"POST", b"/x", Headers(), b"{}", id=delivery, dialect=self.endpoint, received=NOW
            )
            result_of(self.journal.append(sent, [Change(revision="1")], []))
            return
        self.journal.trace(Trace(self.endpoint, NOW, status, "refused", "no", delivery=delivery))

    def ignored(self, delivery: str) -> None:
        """A delivery came that gave no change."""
        self.journal.trace(Trace("github", NOW, 202, "ignored", "no", delivery=delivery))
