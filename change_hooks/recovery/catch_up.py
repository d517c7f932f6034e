"""Finds the deliveries that a forge has in its log and the journal has not, and accepts them.

Strategy: what is missing is found by joining the forge's ids with the journal. A watermark, kept in the
journal, says up to when all is settled. It is written after everything else, and never passes an entry that
could not be read or stored: a run that is killed is repeated, and the journal knows what it had stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from twisted.web.http_headers import Headers

from change_hooks.core.change import RECOVERED, Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import DeliveryError
from change_hooks.core.found import Found
from change_hooks.forges.github_log import Detail, Logged
from change_hooks.forges.rest import RestError
from change_hooks.interfaces import IJournal

#: The way of what is recovered: fetched from the log, so without a signature.
WAY = "api-replay"
#: How the journal says that a delivery was answered of which nothing is missing.
ACCEPTED = 202
#: How far a run looks back without a watermark, in seconds.
FIRST = 86400.0
#: How long an entry is left alone, and how far before the watermark a run begins, in seconds: entries
#: appear in the log while they are delivered, and not quite in order.
GRACE, OVERLAP = 120.0, 900.0
#: For how long one receiver keeps the others from recovering, in seconds; renewed with each entry.
LEASE = 120.0


class Log(Protocol):
    """A forge's log of deliveries."""

    async def attempts(self, since: float) -> list[Logged]:
        """All attempts since then; a :class:`RestError` when not all could be read."""

    async def detail(self, number: str) -> Detail:
        """What was sent in an attempt."""


class Missing(msgspec.Struct, frozen=True):
    """A delivery that the forge has and the journal has not.

    :param outcome: ``missing`` (nothing was done), ``recovered``, ``ignored`` (it gives no change) or
        ``failed``.
    :param reason: why it failed, or gives no change.
    """

    endpoint: str
    delivery: str
    event: str
    received: float
    way: str
    outcome: str
    reason: str = ""


class CatchUp:
    """Recovers from one log to one endpoint.

    :param endpoint: its name, which is the ``dialect`` of its deliveries.
    :param source: what the log is of; the watermark is kept under it.
    :param handles: whether the endpoint does anything about an event.
    :param found: the changes of a delivery.
    :param routes: the names of the sinks that want something of these changes, and of those that do not.
    :param now: seconds since the epoch.
    """

    def __init__(
        self,
        endpoint: str,
        source: str,
        log: Log,
        journal: IJournal,
        *,
        handles: Callable[[str], bool],
        found: Callable[[Delivery], Awaitable[Found]],
        routes: Callable[[list[Change]], tuple[Sequence[str], Sequence[str]]],
        now: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._name = f"recovery {endpoint} {source}"
        self._log = log
        self._journal = journal
        self._handles = handles
        self._found = found
        self._routes = routes
        self._now = now

    async def run(self, since: float | None = None, *, dry: bool = False) -> AsyncIterator[Missing]:
        """Recover what is missing, oldest first.

        :param since: seconds since the epoch; None: since the watermark.
        :param dry: only say what is missing.
        :raises RestError: the log cannot be read, or another receiver is recovering from it.
        :raises Unavailable: the journal cannot be used.
        """
        if not await self._journal.lease(self._name, LEASE):
            raise RestError("another process is recovering from this log now")
        try:
            async for missing in self._run(since, dry):
                yield missing
        finally:
            await self._journal.release(self._name)

    async def _run(self, since: float | None, dry: bool) -> AsyncIterator[Missing]:
        before = self._now() - GRACE
        kept = await self._journal.recall(self._name)
        marked = None if kept is None else msgspec.json.decode(kept, type=float)
        start = since if since is not None else before - FIRST if marked is None else marked - OVERLAP
        attempts = await self._log.attempts(start)
        settled = before
        for entry in await self._missing(attempts, before):
            missing = await self._settle(entry, dry)
            if missing.outcome == "failed":
                settled = min(settled, entry.at)
            yield missing
        if not dry and (marked is None or start <= marked):
            await self._journal.remember(self._name, msgspec.json.encode(settled))

    async def _missing(self, attempts: Sequence[Logged], before: float) -> list[Logged]:
        """The first attempt of each delivery that is missing, oldest first. That a request was refused, or
        could not be stored, leaves a trace of its id, which anybody can claim: it says nothing here.
        """
        refused: set[str] = set()
        first: dict[str, Logged] = {}
        for entry in sorted(attempts, key=lambda entry: (entry.at, entry.number)):
            first.setdefault(entry.delivery, entry)
            if is_refusal(entry.status):
                refused.add(entry.delivery)
        wanted = [
            entry
            for entry in first.values()
            if entry.at <= before and entry.delivery not in refused and self._handles(entry.event)
        ]
        statuses = await self._journal.find(self._endpoint, [entry.delivery for entry in wanted])
        return [entry for entry in wanted if statuses.get(entry.delivery) != ACCEPTED]

    async def _settle(self, entry: Logged, dry: bool) -> Missing:
        missing = Missing(self._endpoint, entry.delivery, entry.event, entry.at, WAY, "missing")
        if dry:
            return missing
        await self._journal.lease(self._name, LEASE)
        delivery = self._delivery(entry, await self._log.detail(entry.number))
        try:
            found = await self._found(delivery)
        except DeliveryError as error:
            return msgspec.structs.replace(missing, outcome="failed", reason=error.message)
        except Exception as error:
            return msgspec.structs.replace(missing, outcome="failed", reason=type(error).__name__)
        if not found:
            return msgspec.structs.replace(missing, outcome="ignored", reason=found.reason)
        changes = [recovered(change) for change in found]
        await self._journal.append(delivery, changes, *self._routes(changes), about=found.about)
        return msgspec.structs.replace(missing, outcome="recovered")

    def _delivery(self, entry: Logged, detail: Detail) -> Delivery:
        headers = Headers()
        for name, value in detail.headers.items():
            if not name.lower().startswith(("x-hub-signature", "content-")):
                headers.addRawHeader(name, value)
        headers.setRawHeaders("content-type", ["application/json"])
        return Delivery(
            b"POST",
            f"/change_hook/{self._endpoint}".encode(),
            headers,
            msgspec.json.encode(detail.payload),
            id=entry.delivery,
            dialect=self._endpoint,
            received=self._now(),
            # The configured API gave it to our token.
            verification="token",
        )


def is_refusal(status: int) -> bool:
    """The delivery came, and was refused: asking for it again gives the same."""
    return 400 <= status < 500 and status not in (408, 429)


def recovered(change: Change) -> Change:
    """*change*, with the way it came."""
    return msgspec.structs.replace(change, properties={**change.properties, RECOVERED: WAY})


__all__ = ["WAY", "CatchUp", "Missing", "is_refusal", "recovered"]
