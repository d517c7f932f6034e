"""Events that were found at the forge rather than sent, stored and replayed as a delivery.

Strategy: the events are the body, so that a replay gives the handler the same events again, whatever the
forge would report by then. No request has the method :data:`FETCH`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from twisted.web.http_headers import Headers

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Commit, Event, Person, PullRequest, RefUpdate, Repository

#: The method of such a delivery, and of one from a poller.
FETCH = b"FETCH"
POLL = b"POLL"


class Update(msgspec.Struct, frozen=True, omit_defaults=True):
    """A branch or tag that moved.

    :param name: the forge's name of the event that would have reported it.

    For the other fields see :class:`~change_hooks.core.events.RefUpdate`.
    """

    repository: Repository
    ref: str
    before: str | None = None
    after: str | None = None
    commits: list[Commit] = []
    head: Commit | None = None
    total: int | bool | None = None
    created: bool | None = None
    sender: Person = Person()
    when: int | None = None
    url: str = ""
    name: str = "push"

    def event(self) -> RefUpdate:
        """Convert to an event."""
        return RefUpdate(
            repository=self.repository,
            ref=self.ref,
            before=self.before,
            after=self.after,
            commits=self.commits,
            head=self.head,
            total=self.total,
            created=self.created,
            sender=self.sender,
            when=self.when,
            url=self.url,
            name=self.name,
        )

    @classmethod
    def of(cls, event: RefUpdate) -> Update:
        """The stored form of an event."""
        return cls(
            repository=event.repository,
            ref=event.ref,
            before=event.before,
            after=event.after,
            commits=list(event.commits),
            head=event.head,
            total=event.total,
            created=event.created,
            sender=event.sender,
            when=event.when,
            url=event.url,
            name=event.name,
        )


class Fetched(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of such a delivery."""

    updates: list[Update] = []
    pulls: list[PullRequest] = []


_decode = msgspec.json.Decoder(Fetched).decode


def fetched(
    events: Sequence[RefUpdate | PullRequest], *, endpoint: str, id: str, received: float
) -> Delivery:
    """Make a delivery from events.

    :param id: the delivery's id.
    :param received: seconds since the epoch.
    """
    body = Fetched(
        [Update.of(event) for event in events if isinstance(event, RefUpdate)],
        [event for event in events if isinstance(event, PullRequest)],
    )
    return Delivery(
        FETCH,
        f"/change_hook/{endpoint}".encode(),
        Headers({b"content-type": [b"application/json"]}),
        msgspec.json.encode(body),
        id=id,
        dialect=endpoint,
        received=received,
        # The configured API returned it for our token.
        verification="token",
    )


def events_in(delivery: Delivery) -> list[Event]:
    """The events of such a delivery.

    :raises BadPayload: the delivery contains no events.
    """
    try:
        body = _decode(delivery.body)
    except msgspec.ValidationError as error:
        raise BadPayload("is not a stored event", "$") from error
    return [*(update.event() for update in body.updates), *body.pulls]


def is_fetched(delivery: Delivery) -> bool:
    """Whether the delivery was fetched as events rather than sent."""
    return delivery.method == FETCH


def is_sent(delivery: Delivery) -> bool:
    """Whether the delivery arrived in a request, which can be forwarded."""
    return delivery.method not in (FETCH, POLL)


__all__ = ["FETCH", "POLL", "Fetched", "Update", "events_in", "fetched", "is_fetched", "is_sent"]
