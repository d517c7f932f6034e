"""The records of the journal: what is stored, and what is processed."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.shown import printable

#: How long a receiver holds its work without renewing the lease, in seconds.
LEASE = 30.0
#: The states of a delivery: see :attr:`StoredDelivery.state`.
STATES = ("pending", "waiting", "delivered", "failed", "stored", "ignored", "refused")
#: The states of requests without changes, which never claim a delivery's id.
TRACES = ("ignored", "refused")


class ChangeKey(NamedTuple):
    """The stable name of a change (its idempotency key); a sink that remembers it can drop repetitions.

    :param dialect: the endpoint's name.
    :param delivery: the delivery's id.
    :param index: the change's index in the delivery, from 0.
    """

    dialect: str
    delivery: str
    index: int  # type: ignore[assignment]  # tuple.index is not missed

    def __str__(self) -> str:
        """The form for messages."""
        return printable(f"{self.dialect}/{self.delivery}#{self.index}")


class Routes(NamedTuple):
    """The routes of a delivery, which are decided when it is stored.

    :param wanted: the names of the sinks that want any of its changes.
    :param unwanted: the names of the sinks that want none of them.
    """

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


NOWHERE = Routes()


class Results(NamedTuple):
    """The results of a delivery at the sinks for which it was stored.

    :param taken: the sinks that have accepted it, or something newer instead.
    :param left: the sinks that it waits for, and those that have failed.
    :param unwanted: the sinks that wanted none of its changes.
    :param waiting: those of *left* that it waits for.
    """

    taken: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


class Appended(msgspec.Struct, frozen=True):
    """The result of storing a delivery.

    :param duplicate: a delivery with this id, or this digest, was accepted before; nothing was stored.
    :param seq: its sequence number in the journal; 0 for a duplicate.
    :param id: the id under which it arrived before, if that was a different one.
    """

    duplicate: bool
    seq: int = 0
    id: str = ""


class Pending(msgspec.Struct, frozen=True):
    """A delivery that was answered before its changes were known.

    :param seq: its sequence number in the journal.
    :param attempts: how many attempts to finish it have failed.
    """

    seq: int
    attempts: int
    delivery: Delivery


class Entry(msgspec.Struct, frozen=True):
    """The part of one delivery that is in one queue.

    :param seq: the delivery's sequence number in the journal.
    :param changes: some of its changes, with keys, in order.
    :param rest: the index of the first change after these; None: there are no more.
    :param received: when the delivery was received, in seconds since the epoch.
    :param next: the units that end before the change with this index are done.
    :param per: what a unit was when that was recorded; empty: nothing is done.
    :param damage: if the next changes cannot be read: their key, and why.
    """

    seq: int
    changes: list[tuple[ChangeKey, Change]]
    rest: int | None = None
    received: float = 0.0
    next: int = 0
    per: str = ""
    damage: tuple[ChangeKey, str] | None = None


class Work(msgspec.Struct, frozen=True):
    """The head of a queue that is due.

    :param attempts: how often the unit that failed last has failed so far.
    :param entries: some entries of the queue, oldest first, each starting where it is not done.
    :param failing: the ``seq`` of the delivery that this unit belongs to.
    """

    sink: str
    repository: str
    attempts: int
    entries: list[Entry]
    failing: int = 0


class Claimed(msgspec.Struct, frozen=True):
    """Work that is due now.

    :param next_due: in how many seconds the next queue is due; None: nothing is waiting.
    """

    works: list[Work]
    next_due: float | None


class DeadLetter(NamedTuple):
    """A change that has become a dead letter.

    :param error: the last error, in our own words or as a literal.
    """

    seq: int
    index: int  # type: ignore[assignment]  # tuple.index is not missed
    error: str


class Attempt(msgspec.Struct, frozen=True):
    """One attempt to deliver a unit to a sink.

    :param repository: the queue.
    :param index: the index of the unit's (last) change.
    :param at: when the attempt began, in seconds since the epoch.
    :param seconds: how long it took.
    :param outcome: ``taken``, ``failed``, ``refused`` or ``timeout``; ``superseded``: there was no attempt,
        because a later unit replaces this one; ``unwanted``: there was no attempt, because the sink does not
        want the unit. One record represents all consecutive unwanted units, and *error* gives their number.
    :param error: the error, in a form that may be shown; empty if the unit was accepted.
    :param output: the end of the sink's output or response.
    :param seq: the delivery's sequence number in the journal.
    """

    sink: str
    repository: str
    index: int
    at: float
    seconds: float
    outcome: str
    error: str = ""
    output: str = ""
    seq: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """The outcome of work on a queue.

    :param done: for each entry that was processed, its ``seq``, and the index of the change at which its next
        unit ends; None: the entry is done.
    :param dead: the changes that became dead letters.
    :param attempts: how often the unit that failed last has failed.
    :param wait: seconds until the next attempt.
    :param error: why the last attempt failed.
    :param made: the attempts, in order.
    :param failing: the ``seq`` of the delivery whose next unit has failed that often.
    :param per: what a unit is: ``change``, ``push`` or ``delivery``.
    """

    sink: str
    repository: str
    done: list[tuple[int, int | None]]
    dead: list[DeadLetter] = []
    attempts: int = 0
    wait: float = 0.0
    error: str = ""
    made: list[Attempt] = []
    failing: int = 0
    per: str = "change"


class Trace(msgspec.Struct, frozen=True):
    """The trace of a request without changes.

    :param dialect: the endpoint's name; empty: no endpoint.
    :param received: seconds since the epoch.
    :param status: the status of the response.
    :param state: ``ignored`` or ``refused``.
    :param reason: the reason, in our own words.
    :param delivery: the delivery's id, if the endpoint read one.
    :param bytes: the size of its body, which is not stored.
    """

    dialect: str
    received: float
    status: int
    state: str
    reason: str
    event: str = ""
    repository: str = ""
    branch: str = ""
    author: str = ""
    client: str = ""
    delivery: str = ""
    bytes: int = 0
    verification: str = "none"


class Wish(msgspec.Struct, frozen=True):
    """A replay that a command requests from the program that has the sinks.

    :param seq: the delivery's sequence number in the journal.
    :param sinks: the names of the sinks to replay to; empty: all that have not accepted it.
    :param since: when it was requested, in seconds since the epoch.
    :param error: why it was not possible; empty: not attempted yet.
    """

    seq: int
    sinks: tuple[str, ...]
    since: float
    error: str = ""


__all__ = [
    "LEASE",
    "NOWHERE",
    "STATES",
    "TRACES",
    "Appended",
    "Attempt",
    "ChangeKey",
    "Claimed",
    "DeadLetter",
    "Entry",
    "Outcome",
    "Pending",
    "Routes",
    "Trace",
    "Wish",
    "Work",
]
