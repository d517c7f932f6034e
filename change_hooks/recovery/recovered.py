"""Missing deliveries that a recovery found, and how they are accepted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

import msgspec
from twisted.internet.defer import CancelledError
from twisted.web.http_headers import Headers

from change_hooks.core.change import RECOVERED, Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import DeliveryError, Unavailable
from change_hooks.core.fetched import fetched
from change_hooks.core.found import Found
from change_hooks.core.stored import ALL, Stored
from change_hooks.forges.logged import Happened, Sent
from change_hooks.forges.rest import RestError

#: The ``way`` of a delivery that the forge sent again because we asked it to: it is signed like any other.
REDELIVERED = "redelivered"
#: Headers about the bytes that were sent, which are no longer available.
_OF_THE_BYTES = ("x-hub-signature", "x-gitea-signature", "content-", "webhook-signature", "x-gitlab-token")


class Busy(RestError):
    """Another receiver is recovering from the same source now."""

    def __init__(self) -> None:
        super().__init__("another process is recovering from this log now")


class Missing(msgspec.Struct, frozen=True):
    """A delivery that the forge has and the journal does not.

    :param received: when the forge sent it, in seconds since the epoch; 0: not known.
    :param way: how it was, or would be, recovered.
    :param outcome: ``missing`` (nothing was done), ``asked`` (the forge was asked to send it again),
        ``recovered``, ``ignored`` (it gives no change) or ``failed``.
    :param reason: why it failed, or gives no change.
    """

    endpoint: str
    delivery: str
    event: str
    received: float
    way: str
    outcome: str
    reason: str = ""


class Runner(Protocol):
    """Recovers from one source to one endpoint."""

    #: The names of the endpoint and of the source.
    endpoint: str
    source: str

    def run(
        self, since: float | None = None, *, dry: bool = False, unless: float | None = None
    ) -> AsyncGenerator[Missing, None]:
        """Recover what is missing, oldest first.

        :param since: seconds since the epoch; None: since the last run.
        :param dry: only report what is missing.
        :param unless: do nothing if any receiver has looked at or after this time; None: a run by hand.
        :raises Busy: another receiver is recovering now.
        :raises RestError: the forge's log cannot be read.
        :raises Unavailable: the journal cannot be used.
        """

    @property
    def due(self) -> float | None:
        """When the next run has something to do, in seconds since the epoch; None: not known."""


class Acceptance(msgspec.Struct, frozen=True):
    """How recovered deliveries are accepted at an endpoint.

    :param endpoint: the endpoint's name.
    :param found: finds the changes of a delivery.
    :param accept: stores them, and returns False if they were stored before.
    :param stored: which parts of the endpoint's deliveries are stored.
    :param service: the name of the service, if several share the journal.
    """

    endpoint: str
    found: Callable[[Delivery], Awaitable[Found]]
    accept: Callable[[Delivery, Found], Awaitable[bool]]
    stored: Stored = ALL
    service: str = ""

    def name(self, source: str) -> str:
        """The key under which the journal stores the progress of a source."""
        service = f"{self.service}/" if self.service else ""
        return f"recovery {service}{self.endpoint} {source}"

    async def settle(self, missing: Missing, detail: Sent | Happened, now: float) -> Missing | None:
        """Accept a missing delivery.

        :param now: seconds since the epoch.
        :returns: its outcome; None: it had arrived before.
        :raises Unavailable: the journal cannot be used.
        """
        try:
            delivery = self._delivery(missing, detail, now)
            found = await self.found(delivery)
        except (CancelledError, Unavailable):
            raise
        except DeliveryError as error:
            return msgspec.structs.replace(missing, outcome="failed", reason=error.message)
        except Exception as error:
            return msgspec.structs.replace(missing, outcome="failed", reason=type(error).__name__)
        if not found:
            return msgspec.structs.replace(missing, outcome="ignored", reason=found.reason)
        changes = [recovered(change, missing.way) for change in found]
        try:
            accepted = await self.accept(delivery, Found(changes, about=found.about))
        except (CancelledError, Unavailable):
            raise
        except Exception as error:
            return msgspec.structs.replace(missing, outcome="failed", reason=type(error).__name__)
        if not accepted:
            return None
        return msgspec.structs.replace(missing, outcome="recovered")

    def _delivery(self, missing: Missing, detail: Sent | Happened, now: float) -> Delivery:
        if isinstance(detail, Happened):
            return fetched(detail.events, endpoint=self.endpoint, id=missing.delivery, received=now)
        headers = Headers()
        for name, value in detail.headers.items():
            if not name.lower().startswith(_OF_THE_BYTES):
                headers.addRawHeader(name, value)
        headers.setRawHeaders("content-type", ["application/json"])
        return Delivery(
            b"POST",
            f"/change_hook/{self.endpoint}".encode(),
            headers,
            msgspec.json.encode(detail.payload),
            id=missing.delivery,
            dialect=self.endpoint,
            received=now,
            stored=self.stored,
            # The configured API returned it for our token.
            verification="token",
        )


def recovered(change: Change, way: str) -> Change:
    """*change*, marked with how it was recovered."""
    return msgspec.structs.replace(change, properties={**change.properties, RECOVERED: way})


__all__ = ["REDELIVERED", "Acceptance", "Busy", "Missing", "Runner", "recovered"]
