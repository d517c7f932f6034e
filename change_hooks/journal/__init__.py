"""The durable store of deliveries and changes: what is stored, and who says what to whom.

Strategy: an accepted delivery is stored in one transaction with its changes and with the *duty* to hand
them to each sink. Duties stand in *queues*, one for each pair of sink and repository; a queue is worked
through in order, and its head carries the attempts and the time of the next one. So a failing
repository or sink holds up nobody else, and whoever works on a queue needs to know only that queue.

Several receivers may share a journal. Who works on a queue, or finishes a pending delivery, holds it on
a *lease*, and renews that; what a receiver that died held falls to the others when its lease runs out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery

#: How long a receiver that says nothing keeps what it works on, in seconds.
LEASE = 30.0
#: The states of a delivery, in the order in which it goes through them.
STATES = ("pending", "accepted", "delivered", "failed")


class ChangeKey(NamedTuple):
    """The stable name of a change; a sink that remembers it can drop repetitions.

    :param dialect: the endpoint's name.
    :param delivery: the delivery's id.
    :param index: the change's place in the delivery, from 0.
    """

    dialect: str
    delivery: str
    index: int  # type: ignore[assignment]  # tuple.index is not missed


class Appended(msgspec.Struct, frozen=True):
    """What became of a delivery that was to be stored.

    :param duplicate: a delivery of this id was accepted before, and nothing was stored.
    :param seq: its place in the journal; 0 for a duplicate.
    """

    duplicate: bool
    seq: int = 0


class Pending(msgspec.Struct, frozen=True):
    """A delivery that was answered before its changes were known.

    :param seq: its place in the journal.
    :param attempts: how often it could not be finished so far.
    """

    seq: int
    attempts: int
    delivery: Delivery


class Duty(msgspec.Struct, frozen=True):
    """The part of one delivery that is owed to one queue.

    :param seq: the delivery's place in the journal.
    :param changes: what is still to be handed over, with keys, in order.
    :param rest: these are not all: the index from which the others are owed.
    """

    seq: int
    changes: list[tuple[ChangeKey, Change]]
    rest: int | None = None


class Work(msgspec.Struct, frozen=True):
    """The head of a queue that is due.

    :param attempts: how often its first change has failed so far.
    :param duties: some of what stands in the queue, oldest first.
    """

    sink: str
    repository: str
    attempts: int
    duties: list[Duty]


class DeadLetter(NamedTuple):
    """A change that is given up.

    :param error: the last one, in our words or as a literal.
    """

    seq: int
    index: int  # type: ignore[assignment]  # tuple.index is not missed
    error: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of work on a queue.

    :param done: for each duty touched, its seq and the index of the next change owed; None when the
        duty is done.
    :param dead: the changes given up on the way.
    :param attempts: how often the change that is now first has failed.
    :param due: when to try again, in seconds since the epoch.
    :param error: why the last attempt failed.
    """

    sink: str
    repository: str
    done: list[tuple[int, int | None]]
    dead: list[DeadLetter] = []
    attempts: int = 0
    due: float = 0.0
    error: str = ""


class Claimed(msgspec.Struct, frozen=True):
    """Work that is due now.

    :param next_due: when the next queue is due, in seconds since the epoch; None: nothing waits.
    """

    works: list[Work]
    next_due: float | None


class Wanted(msgspec.Struct, frozen=True):
    """Which deliveries to list; None: all of them.

    :param repository: an fnmatch pattern, matched against the repositories of the changes.
    :param since: received then or later, in seconds since the epoch.
    :param until: received before.
    """

    state: str | None = None
    dialect: str | None = None
    repository: str | None = None
    since: float | None = None
    until: float | None = None


class StoredDelivery(msgspec.Struct, frozen=True):
    """One line of the ``deliveries`` command.

    :param received: seconds since the epoch.
    :param state: one of :data:`STATES`.
    :param error: why it could not be finished, when it was answered before its changes were known.
    """

    seq: int
    dialect: str
    delivery: str
    received: float
    state: str
    changes: int
    bytes: int
    error: str


class SinkState(msgspec.Struct, frozen=True):
    """What a sink still has to take of a delivery, or did not take.

    :param state: ``waiting``; or ``failed``: given up.
    :param index: the (first) change meant, from 0.
    :param attempts: how often the first change of this repository's queue has failed.
    :param due: when it is tried again, in seconds since the epoch; 0: at once, or never.
    :param error: why the last attempt failed.
    """

    sink: str
    state: str
    index: int
    attempts: int
    due: float
    error: str


class Whole(msgspec.Struct, frozen=True):
    """All that is known of a delivery."""

    stored: StoredDelivery
    delivery: Delivery
    changes: list[Change]
    sinks: list[SinkState]


class StoredChange(msgspec.Struct, frozen=True):
    """A change as the ``changes`` command prints it.

    :param seq: the delivery's place in the journal.
    """

    seq: int
    key: ChangeKey
    change: Change

    def as_json(self) -> dict[str, Any]:
        """The change's fields, and ``delivery`` and ``dialect``."""
        fields = self.change.as_dict()
        fields["delivery"] = self.key.delivery
        fields["dialect"] = self.key.dialect
        return fields


__all__ = [
    "LEASE",
    "STATES",
    "Appended",
    "ChangeKey",
    "Claimed",
    "DeadLetter",
    "Duty",
    "Outcome",
    "Pending",
    "SinkState",
    "StoredChange",
    "StoredDelivery",
    "Wanted",
    "Whole",
    "Work",
]
