"""Finds branches, tags and pull requests that have moved since the last look, and accepts where they are now.

Strategy: this needs nothing of a forge but Git, so it works for all of them. What happened between two looks
is not seen: of a branch that moved twice, the last move is found, with all that is new since the look before.
The first look only sees where everything is. What has just been seen to have moved is left alone for a while,
for its webhook may be on its way; and what a hook has brought meanwhile is the same, and is left out when it
is stored. Where everything was is written after everything else, so a look that is killed is repeated under
the same names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from math import inf
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from change_hooks.core.errors import Unavailable
from change_hooks.core.events import PullRequest, RefUpdate, Repository
from change_hooks.forges.completing import completed
from change_hooks.forges.forge import Forge
from change_hooks.forges.logged import Happened
from change_hooks.forges.rest import RateLimited, RestError, Unsupported
from change_hooks.interfaces import IJournal
from change_hooks.journal.hold import Hold
from change_hooks.recovery.catch_up import GRACE, LEASE
from change_hooks.recovery.progress import PAUSES
from change_hooks.recovery.recovered import Acceptance, Busy, Missing

WAY = "heads"
#: After how many looks in which a ref's changes could not be made it is left alone; or they are made without
#: what the forge does not give.
TRIES = len(PAUSES) + 1


class Place(Protocol):
    """A repository, and where its branches and tags are."""

    async def repository(self) -> Repository:
        """As it stands in payloads."""

    async def refs(self) -> dict[str, str]:
        """Its branches and tags, and the objects they point to."""


class Seen(msgspec.Struct, frozen=True):
    """Where something was seen to have moved to, and since when, in seconds since the epoch."""

    tip: str
    at: float


class Where(msgspec.Struct, omit_defaults=True):
    """Where everything was.

    :param looks: how many there have been.
    :param looked: when the last one was, in seconds since the epoch.
    :param refs: the objects they point to.
    :param pulls: the heads of the open pull requests, by their numbers; None: never looked at.
    :param failed: in how many looks the changes of these could not be made.
    :param moved: where these have moved since, oldest first, and are not settled yet: refs, and ``#7``.
    """

    looks: int = 0
    looked: float = 0.0
    refs: dict[str, str] = {}
    pulls: dict[str, str] | None = None
    failed: dict[str, int] = {}
    moved: dict[str, list[Seen]] = {}

    def see(self, what: str, settled: str | None, tip: str, now: float) -> None:
        """Something is at *tip* now, and was settled at *settled*."""
        seen = self.moved.get(what, [])
        if tip == settled:
            seen = []
        elif not seen or seen[-1].tip != tip:
            seen = [*seen, Seen(tip, now)]
        self._put(what, seen)

    def settle(self, what: str, tip: str) -> None:
        """Up to there, nothing more is to be done."""
        seen = self.moved.get(what, [])
        places = [place for place, each in enumerate(seen) if each.tip == tip]
        self._put(what, seen[places[-1] + 1 :])

    def due(self, what: str, before: float) -> str | None:
        """The last place where something was then or earlier; None: it was settled there."""
        return next((each.tip for each in reversed(self.moved.get(what, [])) if each.at <= before), None)

    def _put(self, what: str, seen: list[Seen]) -> None:
        self.moved.pop(what, None)
        if seen:
            self.moved[what] = seen


class Heads:
    """Recovers from one repository to one endpoint.

    :param source: what it is called; where everything was is kept under it.
    :param forge: what is asked what was new; None: nothing can be.
    :param grace: how long what has moved is left alone, in seconds. Nobody waits for it who asks by hand.
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
        grace: float = GRACE,
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
        self._grace = grace

    async def run(
        self, since: float | None = None, *, dry: bool = False, unless: float | None = None
    ) -> AsyncIterator[Missing]:
        """See :meth:`~change_hooks.recovery.recovered.Runner.run`. *since* says nothing here."""
        if not await self._journal.lease(self._name, LEASE):
            raise Busy
        hold = Hold(self._journal, self._name, self._clock, LEASE, "another process recovers now")
        until = self._now() - self._grace if unless is not None else inf
        try:
            kept = await self._journal.recall(self._name)
            before = Where() if kept is None else msgspec.json.decode(kept, type=Where)
            self._waits_from(before)
            if unless is None or not unless <= before.looked <= self._now():
                async for missing in self._look(before, hold, until, dry):
                    yield missing
        finally:
            await hold.end()

    def _waits_from(self, where: Where) -> None:
        due = [seen[0].at + self._grace for what, seen in where.moved.items() if what not in where.failed]
        if where.failed:
            due.append(self._now() + PAUSES[max(where.failed.values()) - 1])
        self.due = min(due, default=None)

    async def _look(self, before: Where, hold: Hold, until: float, dry: bool) -> AsyncIterator[Missing]:
        """Look where everything is, and settle what was there *until* then."""
        refs = await self._place.refs()
        repository = await self._place.repository()
        pulls = await self._pulls(repository)
        after = self._seen(before, refs, _heads_of(pulls or []))
        try:
            for ref in sorted(refs):
                tip = after.due(ref, until)
                if tip is None:
                    continue
                hold.check()
                update = self._moved(repository, ref, before.refs.get(ref), tip)
                missing = await self._settle(after, ref, f"{before.refs.get(ref)}|{tip}", update, dry)
                if missing is not None:
                    yield missing
                if ref not in after.failed:
                    after.refs[ref] = tip
                    after.settle(ref, tip)
            async for missing in self._look_at_pulls(before, after, pulls, hold, until=until, dry=dry):
                yield missing
        except (RestError, Unavailable):
            # What was settled is kept; what was not, the next look finds again under the same name.
            after.looks, after.looked = before.looks, before.looked
            await self._keep(after, dry)
            raise
        await self._keep(after, dry)
        self._waits_from(after)

    def _seen(self, before: Where, refs: dict[str, str], heads: dict[str, str]) -> Where:
        """What is known now; nothing of it is settled that was not settled before, but at the first look."""
        now = self._now()
        after = Where(before.looks + 1, now, dict(before.refs), before.pulls, dict(before.failed))
        after.refs = {ref: tip for ref, tip in before.refs.items() if ref in refs} if before.looks else refs
        # A clock that was ahead when something was seen keeps nothing waiting.
        after.moved = {
            what: [Seen(each.tip, min(each.at, now)) for each in seen]
            for what, seen in before.moved.items()
            if what in refs or what in heads
        }
        for ref, tip in refs.items():
            after.see(ref, after.refs.get(ref), tip, now)
        if before.pulls is not None:
            for what, head in heads.items():
                after.see(what, before.pulls.get(what.removeprefix("#")), head, now)
        return after

    async def _look_at_pulls(
        self,
        before: Where,
        after: Where,
        pulls: list[PullRequest] | None,
        hold: Hold,
        *,
        until: float,
        dry: bool,
    ) -> AsyncIterator[Missing]:
        if pulls is None:
            return
        heads, known = _heads_of(pulls), before.pulls
        if known is None:
            after.pulls = {what.removeprefix("#"): head for what, head in heads.items()}
            return
        after.pulls = settled = {number: head for number, head in known.items() if f"#{number}" in heads}
        for pull in sorted(pulls, key=lambda pull: pull.number):
            number, what = str(pull.number), f"#{pull.number}"
            head = after.due(what, until)
            if head is None:
                continue
            hold.check()
            found = replace(pull, head=replace(pull.head, revision=head))
            if number in known:
                found = replace(found, action="updated", forge_action="")
            missing = await self._settle(after, what, f"{known.get(number)}|{head}", found, dry)
            if missing is not None:
                yield missing
            if what not in after.failed:
                settled[number] = head
                after.settle(what, head)

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
        tries = after.failed.get(what, 0) + 1
        try:
            if self._forge is not None:
                event = await completed(self._forge, event, anyway=tries >= TRIES)
        except RestError as error:
            if isinstance(error, RateLimited) or not error.status:
                raise
            # What the forge says of this one need not hold for the others.
            after.failed[what] = tries
            return replace(missing, outcome="failed", reason=str(error))
        settled = await self._acceptance.settle(missing, Happened([event]), self._now())
        if settled is None or settled.outcome != "failed":
            after.failed.pop(what, None)
            return settled
        if tries >= TRIES:
            after.failed.pop(what, None)
            return replace(settled, reason=f"{settled.reason} (given up)")
        after.failed[what] = tries
        return settled

    async def _keep(self, where: Where, dry: bool) -> None:
        if not dry:
            await self._journal.remember(self._name, msgspec.json.encode(where))

    def _now(self) -> float:
        now: float = self._clock.seconds()
        return now


def _heads_of(pulls: list[PullRequest]) -> dict[str, str]:
    """The commits that pull requests are on, by ``#7``."""
    return {f"#{pull.number}": pull.head.revision or "" for pull in pulls}


__all__ = ["WAY", "Heads", "Where"]
