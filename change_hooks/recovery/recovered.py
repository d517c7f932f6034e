"""What a recovery finds missing, and how it is accepted."""

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

#: The way of a delivery that the forge sent again because it was asked to: it is signed like any other.
REDELIVERED = "redelivered"
#: Headers that say something about the bytes that were sent, which nobody has any more.
_OF_THE_BYTES = ("x-hub-signature", "x-gitea-signature", "content-", "webhook-signature", "x-gitlab-token")


class Busy(RestError):
    """Another receiver recovers from the same source now."""

    def __init__(self) -> None:
        super().__init__("another process is recovering from this log now")


class Missing(msgspec.Struct, frozen=True):
    """A delivery that the forge has and the journal has not.

    :param received: when the forge sent it, in seconds since the epoch; 0: not known.
    :param way: how it came, or would come.
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

    #: The endpoint's name, and the source's.
    endpoint: str
    source: str

    def run(
        self, since: float | None = None, *, dry: bool = False, unless: float | None = None
    ) -> AsyncGenerator[Missing, None]:
        """Recover what is missing, oldest first.

        :param since: seconds since the epoch; None: since the last time.
        :param dry: only say what is missing.
        :param unless: do nothing when any receiver has looked then or later; None: somebody asks by hand.
        :raises Busy: another receiver does it now.
        :raises RestError: the forge does not say what there is.
        :raises Unavailable: the journal cannot be used.
        """

    @property
    def due(self) -> float | None:
        """When there is something to do again, after a run, in seconds since the epoch; None: not known."""


class Acceptance(msgspec.Struct, frozen=True):
    """How what was found is accepted at an endpoint.

    :param endpoint: its name.
    :param found: the changes of a delivery.
    :param accept: stores them; False: they came before.
    :param stored: what of its deliveries is stored.
    :param service: the name of the service, when there are several on the journal.
    """

    endpoint: str
    found: Callable[[Delivery], Awaitable[Found]]
    accept: Callable[[Delivery, Found], Awaitable[bool]]
    stored: Stored = ALL
    service: str = ""

    def name(self, source: str) -> str:
        """Under what the journal keeps how far a source was read."""
        service = f"{self.service}/" if self.service else ""
        return f"recovery {service}{self.endpoint} {source}"

    async def settle(self, missing: Missing, detail: Sent | Happened, now: float) -> Missing | None:
        """Accept what was missing.

        :param now: seconds since the epoch.
        :returns: what became of it; None: it had come before.
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
            # The configured API gave it to our token.
            verification="token",
        )


def recovered(change: Change, way: str) -> Change:
    """*change*, with the way it came."""
    return msgspec.structs.replace(change, properties={**change.properties, RECOVERED: way})


__all__ = ["REDELIVERED", "Acceptance", "Busy", "Missing", "Runner", "recovered"]
