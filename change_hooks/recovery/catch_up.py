"""Finds the deliveries that a forge has in its log and the journal has not, and accepts them.

Strategy: what is missing is found by joining the forge's ids with the journal. A watermark, kept in the
journal, says up to when all is settled. It is written after everything else, and never passes an entry that
could not be read or stored: a run that is killed is repeated, and the journal knows what it had stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import DeliveryError
from change_hooks.core.found import NOTHING_KNOWN, About, Found
from change_hooks.forges.github_log import Detail, Logged
from change_hooks.forges.rest import RestError

#: The property of recovered changes, and its value: fetched from the log, so without a signature.
RECOVERED, WAY = "change_hook_recovered", "api-replay"
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


class Store(Protocol):
    """What of a journal is needed; see :class:`~change_hooks.interfaces.IJournal`."""

    def append(
        self,
        delivery: Delivery,
        changes: list[Change],
        sinks: Sequence[str],
        unwanted: Sequence[str] = (),
        *,
        about: About = NOTHING_KNOWN,
    ) -> Deferred[Any]:
        """Store a delivery."""

    def remember(self, name: str, value: bytes) -> Deferred[None]:
        """Keep a value."""

    def recall(self, name: str) -> Deferred[bytes | None]:
        """The value that is kept."""

    def lease(self, name: str, seconds: float) -> Deferred[bool]:
        """Hold a name."""

    def release(self, name: str) -> Deferred[None]:
        """Let go of it."""


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
    :param known: whether the journal has a delivery of this endpoint.
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
        store: Store,
        *,
        known: Callable[[str], bool],
        handles: Callable[[str], bool],
        found: Callable[[Delivery], Awaitable[Found]],
        routes: Callable[[list[Change]], tuple[Sequence[str], Sequence[str]]],
        now: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._name = f"recovery {endpoint} {source}"
        self._log = log
        self._store = store
        self._known = known
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
        if not await self._store.lease(self._name, LEASE):
            raise RestError("another process is recovering from this log now")
        try:
            async for missing in self._run(since, dry):
                yield missing
        finally:
            await self._store.release(self._name)

    async def _run(self, since: float | None, dry: bool) -> AsyncIterator[Missing]:
        before = self._now() - GRACE
        kept = await self._store.recall(self._name)
        marked = None if kept is None else msgspec.json.decode(kept, type=float)
        start = since if since is not None else before - FIRST if marked is None else marked - OVERLAP
        attempts = await self._log.attempts(start)
        settled = before
        for entry in self._candidates(attempts, before):
            missing = await self._settle(entry, dry)
            if missing.outcome == "failed":
                settled = min(settled, entry.at)
            yield missing
        if not dry and (marked is None or start <= marked):
            await self._store.remember(self._name, msgspec.json.encode(settled))

    def _candidates(self, attempts: Sequence[Logged], before: float) -> list[Logged]:
        """The first attempt of each delivery that may be missing, oldest first."""
        refused: set[str] = set()
        first: dict[str, Logged] = {}
        for entry in sorted(attempts, key=lambda entry: (entry.at, entry.number)):
            first.setdefault(entry.delivery, entry)
            if is_refusal(entry.status):
                refused.add(entry.delivery)
        return [
            entry
            for entry in first.values()
            if entry.at <= before
            and entry.delivery not in refused
            and self._handles(entry.event)
            and not self._known(entry.delivery)
        ]

    async def _settle(self, entry: Logged, dry: bool) -> Missing:
        missing = Missing(self._endpoint, entry.delivery, entry.event, entry.at, WAY, "missing")
        if dry:
            return missing
        await self._store.lease(self._name, LEASE)
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
        await self._store.append(delivery, changes, *self._routes(changes), about=found.about)
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


__all__ = ["RECOVERED", "WAY", "CatchUp", "Missing", "is_refusal", "recovered"]
