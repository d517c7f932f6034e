"""Finds the deliveries that are in a forge's log but not in the journal, and accepts them.

Strategy: missing deliveries are found by comparing the forge's ids with the journal, not by the response that
the log records. The progress (:mod:`~change_hooks.recovery.progress`) is written after everything else, and
never passes an entry that could not be read: a run that is killed is repeated, and the journal recognises
what that run had stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from math import inf
from typing import Any

import msgspec

from change_hooks.core.errors import Unavailable
from change_hooks.forges.logged import Log, Logged
from change_hooks.forges.rest import RateLimited, RestError
from change_hooks.interfaces import IJournal
from change_hooks.journal.hold import Hold
from change_hooks.recovery.progress import OVERLAP, Progress, place, read_progress
from change_hooks.recovery.recovered import REDELIVERED, Acceptance, Busy, Missing

#: The response, according to the journal, to a delivery that needs no recovery.
ACCEPTED = 202
#: How far back the first run looks, in seconds.
FIRST = 86400.0
#: How long an entry is left alone because its delivery may still be in flight, in seconds.
GRACE = 120.0
#: A run ends after this many entries in a row for which the forge gave no answer.
SILENT = 3
#: An entry whose time is this far ahead, in seconds, counts as of now: a clock or the entry is wrong.
AHEAD = 86400.0
#: How long one receiver keeps the others from recovering unless it renews its lease, in seconds.
LEASE = 60.0


class CatchUp:
    """Recovers from one log to one endpoint.

    :param source: whose log it is; the progress is stored under this name.
    :param handles: whether the endpoint handles an event.
    :param redeliver: ask the forge to redeliver what is missing, and fetch it only if that does not help.
    :param grace: see :data:`GRACE`.
    """

    def __init__(
        self,
        source: str,
        log: Log,
        journal: IJournal,
        acceptance: Acceptance,
        clock: Any,
        *,
        handles: Callable[[str], bool],
        redeliver: bool = False,
        grace: float = GRACE,
    ) -> None:
        self.endpoint = acceptance.endpoint
        self.source = source
        self.due: float | None = None
        self._name = acceptance.name(source)
        self._log = log
        self._journal = journal
        self._acceptance = acceptance
        self._clock = clock
        self._handles = handles
        self._redeliver = redeliver
        self._grace = grace if log.timed else 0.0

    async def run(
        self, since: float | None = None, *, dry: bool = False, unless: float | None = None
    ) -> AsyncGenerator[Missing, None]:
        """See :meth:`~change_hooks.recovery.recovered.Runner.run`."""
        if not await self._journal.lease(self._name, LEASE):
            raise Busy
        hold = Hold(self._journal, self._name, self._clock, LEASE, "another process is recovering now")
        self._left: float | None = None
        try:
            progress = read_progress(await self._journal.recall(self._name))
            if unless is None or not unless <= progress.looked <= self._now():
                async for missing in self._run(progress, hold, since, dry):
                    yield missing
            self.due = min(filter(None, (self._left, progress.due)), default=None)
        finally:
            await hold.end()

    async def _run(
        self, progress: Progress, hold: Hold, since: float | None, dry: bool
    ) -> AsyncIterator[Missing]:
        now = self._now()
        before = now - self._grace if self._log.timed else inf
        start = self._start(progress, since, now)
        attempts = await self._attempts(progress, start, now)
        if progress.mark is None and not self._log.timed:
            start = None
        there = [entry for entry in attempts if entry.at <= before or entry.at > now + AHEAD]
        try:
            async for missing in self._missing(progress, hold, there, again=since is not None, dry=dry):
                yield missing
        except (RestError, Unavailable):
            await self._keep(progress, hold, dry)
            raise
        progress.limited, progress.asking = "", False
        # A shorter period that was asked for says nothing about what came before it.
        if start is None or progress.mark is None or start <= progress.mark:
            # By the forge's clock: ours may be wrong, and corrected later.
            known = (start or 0.0) if progress.mark is None else progress.mark
            read = [place(entry) for entry in attempts if entry.at <= before]
            progress.mark = max([*read, min(known, before)])
            progress.looked = now
        if len(there) < len(attempts):
            self._left = now + self._grace
        if not self._log.timed:
            progress.saw(attempts)
        progress.forget(timed=self._log.timed)
        await self._keep(progress, hold, dry)

    async def _attempts(self, progress: Progress, start: float | None, now: float) -> list[Logged]:
        """The log's entries since *start*, and those that are to be tried again."""
        if start is None:
            return await self._log.attempts(None)
        waiting = progress.waiting(now) if self._log.in_list else None
        if self._log.timed:
            found = await self._log.attempts(start if waiting is None else min(start, waiting))
            return [entry for entry in found if entry.at >= start or entry.delivery in progress.open]
        found = await self._log.attempts(min(start, progress.least, inf if waiting is None else waiting - 1))
        if found and max(map(place, found)) < start:
            # The forge has restarted its numbering.
            progress.mark, progress.near = None, []
            return await self._log.attempts(None)
        return [
            entry
            for entry in found
            if place(entry) > start or progress.is_late(entry) or entry.delivery in progress.open
        ]

    def _start(self, progress: Progress, since: float | None, now: float) -> float | None:
        if not self._log.timed:
            return None if since is not None else progress.mark
        if since is not None:
            return since
        newest = now - self._grace
        return newest - FIRST if progress.mark is None else min(progress.mark, newest) - OVERLAP

    async def _keep(self, progress: Progress, hold: Hold, dry: bool) -> None:
        if not dry:
            hold.check()
            await self._journal.remember(self._name, msgspec.json.encode(progress))

    async def _missing(
        self,
        progress: Progress,
        hold: Hold,
        attempts: Sequence[Logged],
        *,
        again: bool,
        dry: bool,
    ) -> AsyncIterator[Missing]:
        """Settle the first attempt of each missing delivery, oldest first. A delivery that the forge does not
        answer about does not stop the others.
        """
        statuses: dict[str, set[int]] = defaultdict(set)
        first: dict[str, Logged] = {name: known.entry for name, known in progress.open.items()}
        for entry in sorted(attempts, key=lambda entry: (place(entry), entry.number)):
            statuses[entry.delivery].add(entry.status)
            if again or entry.delivery not in progress.settled:
                first.setdefault(entry.delivery, entry)
        for known in [known for known in progress.open.values() if not self._handles(known.entry.event)]:
            await self._asked(progress, known.entry, dry)
            progress.settle(known.entry)
        wanted = sorted(
            (e for e in first.values() if self._handles(e.event)), key=lambda e: (place(e), e.number)
        )
        names = [name for entry in wanted for name in (entry.delivery, *entry.also)]
        came = await self._journal.find(self.endpoint, names)
        silent, interrupted = 0, progress.asking
        for entry in wanted:
            answered = {came[name] for name in (entry.delivery, *entry.also) if name in came}
            if ACCEPTED in answered:
                if await self._asked(progress, entry, dry, interrupted):
                    yield self._about(entry, REDELIVERED, "recovered")
                progress.open.pop(entry.delivery, None)
            elif any(is_refusal(status) for status in answered & statuses[entry.delivery]):
                # It arrived and we refused it: the forge and our own trace agree. Anybody can leave a trace,
                # and a refusal alone may come from a proxy in front of us.
                await self._asked(progress, entry, dry)
                progress.settle(entry)
            elif again or progress.is_due(entry, self._now()):
                hold.check()
                try:
                    missing = await self._settle(progress, hold, entry, dry)
                except RestError as error:
                    silent += 1
                    if self._ends(progress, entry, error):
                        raise
                    yield self._about(entry, self._log.way, "failed", str(error))
                    if silent == SILENT:
                        raise
                    continue
                silent = 0
                if missing is not None:
                    yield missing

    def _ends(self, progress: Progress, entry: Logged, error: RestError) -> bool:
        """Whether an error ends the run: an error about one entry need not concern the others."""
        if isinstance(error, RateLimited):
            if not error.sent:
                return True
            first, progress.limited = progress.limited != entry.delivery, entry.delivery
            if first:
                return True
        elif error.status == 401:
            return True
        progress.put_off(entry, self._now(), asked=self._redeliver, ever=True)
        return isinstance(error, RateLimited)

    async def _asked(self, progress: Progress, entry: Logged, dry: bool, interrupted: bool = False) -> bool:
        """Whether the forge was asked to send an entry again. The journal forgets that: it is settled.

        :param interrupted: it may also have been asked by a run that was not completed.
        """
        name = asked_name(self.endpoint, entry.delivery)
        asked = progress.was_asked(entry) or (interrupted and await self._journal.recall(name) is not None)
        if asked and not dry:
            await self._journal.forget(name)
        return asked

    async def _settle(self, progress: Progress, hold: Hold, entry: Logged, dry: bool) -> Missing | None:
        missing = self._about(entry, self._log.way, "missing")
        if dry:
            return missing
        if self._redeliver and await self._ask(progress, hold, entry):
            return self._about(entry, REDELIVERED, "asked")
        try:
            detail = await self._log.detail(entry.number)
        except RestError as error:
            if error.status not in (200, 404, 410, 422):
                raise
            settled: Missing | None = msgspec.structs.replace(missing, outcome="failed", reason=str(error))
        else:
            settled = await self._acceptance.settle(missing, detail, self._now())
        if settled is None or settled.outcome != "failed":
            progress.settle(entry)
        elif not progress.put_off(entry, self._now()):
            return msgspec.structs.replace(settled, reason=f"{settled.reason} (given up)")
        return settled

    async def _ask(self, progress: Progress, hold: Hold, entry: Logged) -> bool:
        """Ask the forge to send the delivery again. False: it must be fetched."""
        name = asked_name(self.endpoint, entry.delivery)
        known = progress.open.get(entry.delivery)
        if known is not None and known.tries >= 2:
            await self._journal.forget(name)
            return False
        if not progress.asking:
            progress.asking = True
            await self._keep(progress, hold, dry=False)
        await self._journal.remember(name, b"1")
        try:
            asked = await self._log.again(entry.number)
        except RestError as error:
            if error.transient or error.status not in (400, 403, 404, 405, 422):
                raise
            asked = False
        if not asked:
            await self._journal.forget(name)
            return False
        return progress.put_off(entry, self._now(), asked=True)

    def _about(self, entry: Logged, way: str, outcome: str, reason: str = "") -> Missing:
        return Missing(self.endpoint, entry.delivery, entry.event, entry.at, way, outcome, reason)

    def _now(self) -> float:
        now: float = self._clock.seconds()
        return now


def is_refusal(status: int) -> bool:
    """Whether the delivery arrived and was refused: a redelivery would be refused, too."""
    return 400 <= status < 500 and status not in (408, 429)


def asked_name(endpoint: str, delivery: str) -> str:
    """The key under which the journal records that the forge was asked to send a delivery again."""
    return f"asked {endpoint} {delivery}"


__all__ = ["GRACE", "LEASE", "SILENT", "CatchUp", "asked_name", "is_refusal"]
