"""Finds branches, tags and pull requests that have moved since the last look, and accepts where they are now.

Strategy: this needs nothing of a forge but Git, so it works for all of them. What happened between two looks
is not seen: of a branch that moved twice, the last move is found, with all that is new since the look before.
The first look only sees where everything is. What a hook has brought meanwhile is the same, and is left out
when it is stored. Where everything was is written after everything else, so a look that is killed is repeated
under the same names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from change_hooks.core.errors import Unavailable
from change_hooks.core.events import PullRequest, RefUpdate, Repository
from change_hooks.forges.completing import completed
from change_hooks.forges.forge import Forge, Unsupported
from change_hooks.forges.logged import Happened
from change_hooks.forges.rest import RestError
from change_hooks.interfaces import IJournal
from change_hooks.journal.hold import Hold
from change_hooks.recovery.catch_up import LEASE
from change_hooks.recovery.recovered import Acceptance, Busy, Missing

WAY = "heads"
#: After how many looks in which a ref's changes could not be made it is left alone.
TRIES = 5


class Place(Protocol):
    """A repository, and where its branches and tags are."""

    async def repository(self) -> Repository:
        """As it stands in payloads."""

    async def refs(self) -> dict[str, str]:
        """Its branches and tags, and the objects they point to."""


class Where(msgspec.Struct, omit_defaults=True):
    """Where everything was.

    :param looks: how many there have been.
    :param looked: when the last one was, in seconds since the epoch.
    :param refs: the objects they point to.
    :param pulls: the heads of the open pull requests, by their numbers; None: never looked at.
    :param failed: in how many looks the changes of these could not be made.
    """

    looks: int = 0
    looked: float = 0.0
    refs: dict[str, str] = {}
    pulls: dict[str, str] | None = None
    failed: dict[str, int] = {}


class Heads:
    """Recovers from one repository to one endpoint.

    :param source: what it is called; where everything was is kept under it.
    :param forge: what is asked what was new; None: nothing can be.
    """

    def __init__(
        self,
        source: str,
        place: Place,
        journal: IJournal,
        acceptance: Acceptance,
        clock: Any,
        *,
        forge: Forge | None,
    ) -> None:
        self.endpoint = acceptance.endpoint
        self.source = source
        self.due: float | None = None
        self._name = f"{acceptance.name(source)} heads"
        self._place = place
        self._forge = forge
        self._journal = journal
        self._acceptance = acceptance
        self._clock = clock

    async def run(
        self, since: float | None = None, *, dry: bool = False, unless: float | None = None
    ) -> AsyncIterator[Missing]:
        """See :meth:`~change_hooks.recovery.recovered.Runner.run`. *since* says nothing here."""
        if not await self._journal.lease(self._name, LEASE):
            raise Busy
        hold = Hold(self._journal, self._name, self._clock, LEASE, "another process recovers now")
        try:
            kept = await self._journal.recall(self._name)
            before = Where() if kept is None else msgspec.json.decode(kept, type=Where)
            if unless is None or not unless <= before.looked <= self._now():
                async for missing in self._look(before, hold, dry):
                    yield missing
        finally:
            await hold.end()

    async def _look(self, before: Where, hold: Hold, dry: bool) -> AsyncIterator[Missing]:
        first = before.looks == 0
        refs = await self._place.refs()
        repository = await self._place.repository()
        pulls = await self._pulls(repository)
        after = Where(before.looks + 1, self._now(), dict(before.refs), before.pulls, dict(before.failed))
        after.refs = {ref: tip for ref, tip in before.refs.items() if ref in refs}
        try:
            for ref in sorted(refs):
                tip = refs[ref]
                if not first and before.refs.get(ref) != tip:
                    hold.check()
                    update = self._moved(repository, ref, before.refs.get(ref), tip)
                    missing = await self._settle(after, ref, f"{before.refs.get(ref)}|{tip}", update, dry)
                    if missing is not None:
                        yield missing
                    if ref in after.failed:
                        continue
                after.refs[ref] = tip
            async for missing in self._look_at_pulls(before, after, pulls, hold, dry):
                yield missing
        except (RestError, Unavailable):
            # What was settled is kept; what was not, the next look finds again under the same name.
            after.looks, after.looked = before.looks, before.looked
            await self._keep(after, dry)
            raise
        await self._keep(after, dry)

    async def _look_at_pulls(
        self, before: Where, after: Where, pulls: list[PullRequest] | None, hold: Hold, dry: bool
    ) -> AsyncIterator[Missing]:
        if pulls is None:
            return
        known = before.pulls
        now = dict(known or {})
        for pull in sorted(pulls, key=lambda pull: pull.number):
            number, head = str(pull.number), pull.head.revision or ""
            if known is not None and known.get(number) != head:
                hold.check()
                found = pull
                if number in known:
                    found = msgspec.structs.replace(pull, action="updated", forge_action="")
                missing = await self._settle(after, f"#{number}", f"{known.get(number)}|{head}", found, dry)
                if missing is not None:
                    yield missing
                if f"#{number}" in after.failed:
                    continue
            now[number] = head
            if known is not None:
                after.pulls = dict(now)
        there = {str(pull.number) for pull in pulls}
        after.pulls = {number: head for number, head in now.items() if number in there}

    async def _pulls(self, repository: Repository) -> list[PullRequest] | None:
        if self._forge is None or repository.full_name is None:
            return None
        try:
            return await self._forge.pull_requests(repository)
        except Unsupported:
            return None

    def _moved(self, repository: Repository, ref: str, before: str | None, after: str) -> RefUpdate:
        forge = self._forge
        event = "push"
        if forge is not None:
            event = forge.tag_event if ref.startswith("refs/tags/") else forge.push_event
        return RefUpdate(
            repository=repository,
            ref=ref,
            before=before,
            after=after,
            created=before is None,
            name=event,
        )

    async def _settle(
        self, after: Where, what: str, moved: str, event: RefUpdate | PullRequest, dry: bool
    ) -> Missing | None:
        told = f"{self.source}|{what}|{moved}|{after.looks}"
        name = sha256(told.encode("utf-8", "replace")).hexdigest()[:32]
        missing = Missing(self.endpoint, name, event.name, self._now(), WAY, "missing")
        if dry:
            return missing
        if self._forge is not None:
            event = await completed(self._forge, event)
        settled = await self._acceptance.settle(missing, Happened([event]), self._now())
        if settled is None or settled.outcome != "failed":
            after.failed.pop(what, None)
            return settled
        tries = after.failed.get(what, 0) + 1
        if tries >= TRIES:
            after.failed.pop(what, None)
            return msgspec.structs.replace(settled, reason=f"{settled.reason} (given up)")
        after.failed[what] = tries
        return settled

    async def _keep(self, where: Where, dry: bool) -> None:
        if not dry:
            await self._journal.remember(self._name, msgspec.json.encode(where))

    def _now(self) -> float:
        now: float = self._clock.seconds()
        return now


__all__ = ["WAY", "Heads", "Where"]
