"""Finds branches, tags and pull requests that have moved since the last look, and accepts their new heads.

Strategy: this needs only Git, so it works with every forge. Intermediate states between two looks are not
seen: of a branch that moved twice, the last move is found, with all commits since the previous look. The
first look only records where everything is. A ref that has just moved is left alone for a while, because its
webhook may still be in flight; if a hook has reported the move meanwhile, the same change is recognised as a
duplicate when it is stored. The state is written after everything else, so a look that is killed is repeated
under the same names. If the forge does not respond for one ref, the others continue; if it does not respond
for several in a row, or limits our requests, the look ends, and the next one starts after the last ref.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from hashlib import sha256
from math import inf
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from change_hooks.core.errors import Unavailable
from change_hooks.core.events import PullRequest, RefUpdate, Repository
from change_hooks.forges.completing import completed
from change_hooks.forges.forge import Forge, OpenPulls
from change_hooks.forges.logged import Happened
from change_hooks.forges.rest import RateLimited, RestError, Unsupported
from change_hooks.interfaces import IJournal
from change_hooks.journal.hold import Hold
from change_hooks.recovery.catch_up import GRACE, LEASE, SILENT
from change_hooks.recovery.progress import PAUSES
from change_hooks.recovery.recovered import Acceptance, Busy, Missing
from change_hooks.recovery.where import Seen, Where

WAY = "heads"
#: After how many failed looks a ref is left alone, or its changes are made without the data that the forge
#: does not provide.
TRIES = len(PAUSES) + 1


class Place(Protocol):
    """A repository, and the heads of its branches and tags."""

    async def repository(self) -> Repository:
        """The repository, as payloads describe it."""

    async def refs(self) -> dict[str, str]:
        """The branches and tags, and the objects that they point to."""


class Move(msgspec.Struct, frozen=True):
    """A ref or pull request that has moved.

    :param what: a ref, or ``#7``.
    :param seen: its new head.
    """

    what: str
    seen: Seen
    event: RefUpdate | PullRequest


class Heads:
    """Recovers from one repository to one endpoint.

    :param source: the repository's name; the state is stored under it.
    :param forge: the API that knows the new commits; None: there is none.
    :param grace: how long a ref that has moved is left alone, in seconds. A run by hand does not wait.
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
    ) -> AsyncGenerator[Missing, None]:
        """See :meth:`~change_hooks.recovery.recovered.Runner.run`. *since* is ignored."""
        if not await self._journal.lease(self._name, LEASE):
            raise Busy
        hold = Hold(self._journal, self._name, self._clock, LEASE, "another process is recovering now")
        until = self._now() - self._grace if unless is not None else inf
        try:
            kept = await self._journal.recall(self._name)
            before = Where() if kept is None else msgspec.json.decode(kept, type=Where)
            self.due = before.next(self._grace, self._now())
            if unless is None or not unless <= before.looked <= self._now():
                async for missing in self._look(before, hold, until, dry):
                    yield missing
        finally:
            await hold.end()

    async def _look(self, before: Where, hold: Hold, until: float, dry: bool) -> AsyncIterator[Missing]:
        """Read all heads, and settle those that have been the same since *until*."""
        refs = await self._place.refs()
        if before.refs and not refs:
            raise RestError(
                "the repository had branches, and the forge lists none now; nothing was recovered"
            )
        repository = await self._place.repository()
        pulls, error = await self._pulls(repository)
        after = before.looked_again(refs, pulls, self._now())
        moves = [*self._moves_of_refs(after, repository, until), *self._moves_of_pulls(after, pulls, until)]
        try:
            async for missing in self._settle_all(after, moves, hold, dry=dry, heard=pulls is not None):
                yield missing
            if error is not None:
                raise error
        except (RestError, Unavailable):
            # What was settled is stored; the next look finds the rest again under the same names.
            after.looked = before.looked
            await self._keep(after, hold, dry)
            raise
        after.behind = ""
        await self._keep(after, hold, dry)
        self.due = after.next(self._grace, self._now())

    async def _pulls(self, repository: Repository) -> tuple[OpenPulls | None, RestError | None]:
        """The open pull requests; None: there is no API, or it failed with the other result, the error."""
        if self._forge is None or repository.full_name is None:
            return None, None
        try:
            return await self._forge.pull_requests(repository), None
        except Unsupported:
            return None, None
        except RestError as error:
            return None, error

    def _moves_of_refs(self, after: Where, repository: Repository, until: float) -> Iterator[Move]:
        for ref in sorted(after.moved):
            seen = None if ref.startswith("#") else self._due(after, ref, until)
            if seen is not None:
                yield Move(ref, seen, self._moved(repository, ref, after.refs.get(ref), seen.tip))

    def _moves_of_pulls(self, after: Where, pulls: OpenPulls | None, until: float) -> Iterator[Move]:
        for pull in sorted(pulls.items if pulls is not None else (), key=lambda pull: pull.number):
            what = f"#{pull.number}"
            seen = self._due(after, what, until)
            if seen is not None:
                found = replace(pull, head=replace(pull.head, revision=seen.tip))
                if str(pull.number) in (after.pulls or {}):
                    found = replace(found, action="updated", forge_action="")
                yield Move(what, seen, found)

    def _due(self, after: Where, what: str, until: float) -> Seen | None:
        """The new head of a ref or pull request that is to be settled now."""
        return None if until < inf and after.waits(what, self._now()) else after.due(what, until)

    async def _settle_all(
        self, after: Where, moves: Sequence[Move], hold: Hold, *, dry: bool, heard: bool
    ) -> AsyncIterator[Missing]:
        """Settle everything that has moved.

        :param heard: the forge has already answered in this look.
        """
        silent: dict[str, Missing] = {}
        for move in from_behind(moves, after.behind):
            hold.check()
            missing = self._about(move)
            try:
                settled = await self._settle(after, move, missing, dry)
            except RestError as error:
                limited = isinstance(error, RateLimited)
                if isinstance(error, RateLimited) and not error.sent:
                    raise
                after.behind = move.what
                silent[move.what] = replace(missing, outcome="failed", reason=f"{move.what!r}: {error}")
                if not limited and len(silent) < SILENT:
                    continue
                if limited or heard:
                    for failed in self._costs(after, silent):
                        yield failed
                raise
            heard = True
            for failed in self._costs(after, silent):
                yield failed
            if settled is not None:
                yield settled
        for failed in self._costs(after, silent):
            yield failed

    def _costs(self, after: Where, silent: dict[str, Missing]) -> Iterator[Missing]:
        """The forge itself works: count those as failures of their own."""
        while silent:
            what = next(iter(silent))
            after.fail(what, self._now())
            yield silent.pop(what)

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

    def _about(self, move: Move) -> Missing:
        told = f"{self.source}|{move.what}|{move.seen.tip}|{move.seen.look}"
        name = sha256(told.encode("utf-8", "replace")).hexdigest()[:32]
        return Missing(self.endpoint, name, move.event.name, self._now(), WAY, "missing")

    async def _settle(self, after: Where, move: Move, missing: Missing, dry: bool) -> Missing | None:
        """Settle one move.

        :raises RestError: the forge does not answer, or limits our requests.
        """
        if dry:
            return missing
        what, event = move.what, move.event
        last = after.failed.get(what, 0) + 1 >= TRIES
        try:
            if self._forge is not None:
                event = await completed(self._forge, event, anyway=last)
        except RestError as error:
            if isinstance(error, RateLimited) or not error.status:
                raise
            # An error about this one need not concern the others.
            after.fail(what, self._now())
            return replace(missing, outcome="failed", reason=f"{what!r}: {error}")
        settled = await self._acceptance.settle(missing, Happened([event]), self._now())
        if settled is not None and settled.outcome == "failed":
            if not last:
                after.fail(what, self._now())
                return settled
            settled = replace(settled, reason=f"{settled.reason} (given up)")
        after.settle(what, move.seen.tip)
        return settled

    async def _keep(self, where: Where, hold: Hold, dry: bool) -> None:
        if not dry:
            hold.check()
            await self._journal.remember(self._name, msgspec.json.encode(where))

    def _now(self) -> float:
        now: float = self._clock.seconds()
        return now


def from_behind(moves: Sequence[Move], last: str) -> list[Move]:
    """*moves*, which are sorted, rotated to start after the *last* one; empty: unrotated."""
    later = (place for place, move in enumerate(moves) if _order(move.what) > _order(last))
    start = next(later, 0) if last else 0
    return [*moves[start:], *moves[:start]]


def _order(what: str) -> tuple[int, str]:
    """Sort key: refs by name, then pull requests by number."""
    return (int(what[1:]), "") if what.startswith("#") else (-1, what)


__all__ = ["WAY", "Heads"]
