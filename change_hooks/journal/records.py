"""What is stored, and what is worked on."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery

#: How long a receiver that says nothing keeps what it works on, in seconds.
LEASE = 30.0
#: The states of a delivery: see :attr:`StoredDelivery.state`.
STATES = ("pending", "waiting", "delivered", "failed", "stored", "ignored", "refused")
#: Those of requests that gave nothing. They never claim a delivery's id.
TRACES = ("ignored", "refused")


class ChangeKey(NamedTuple):
    """The stable name of a change (its idempotency key); a sink that remembers it can drop repetitions.

    :param dialect: the endpoint's name.
    :param delivery: the delivery's id.
    :param index: the change's place in the delivery, from 0.
    """

    dialect: str
    delivery: str
    index: int  # type: ignore[assignment]  # tuple.index is not missed


class Routes(NamedTuple):
    """Where a delivery goes. It is decided when the delivery is stored.

    :param wanted: the names of the sinks that want something of it.
    :param unwanted: the names of those that want nothing.
    """

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


NOWHERE = Routes()


class Appended(msgspec.Struct, frozen=True):
    """What became of a delivery that was to be stored.

    :param duplicate: a delivery of this id, or with this digest, was accepted before; nothing was stored.
    :param seq: its place in the journal; 0 for a duplicate.
    :param id: the id under which it came before, when that was another one.
    """

    duplicate: bool
    seq: int = 0
    id: str = ""


class Pending(msgspec.Struct, frozen=True):
    """A delivery that was answered before its changes were known.

    :param seq: its place in the journal.
    :param attempts: how often it could not be finished so far.
    """

    seq: int
    attempts: int
    delivery: Delivery


class Entry(msgspec.Struct, frozen=True):
    """The part of one delivery that stands in one queue.

    :param seq: the delivery's place in the journal.
    :param changes: what is still to be handed over, with keys, in order.
    :param rest: these are not all: the index of the first of the others.
    :param received: when the delivery was received, in seconds since the epoch.
    """

    seq: int
    changes: list[tuple[ChangeKey, Change]]
    rest: int | None = None
    received: float = 0.0


class Work(msgspec.Struct, frozen=True):
    """The head of a queue that is due.

    :param attempts: how often its first change has failed so far.
    :param entries: some of what stands in the queue, oldest first.
    """

    sink: str
    repository: str
    attempts: int
    entries: list[Entry]


class Claimed(msgspec.Struct, frozen=True):
    """Work that is due now.

    :param next_due: in how many seconds the next queue is due; None: nothing waits.
    """

    works: list[Work]
    next_due: float | None


class DeadLetter(NamedTuple):
    """A change that is given up.

    :param error: the last one, in our words or as a literal.
    """

    seq: int
    index: int  # type: ignore[assignment]  # tuple.index is not missed
    error: str


class Attempt(msgspec.Struct, frozen=True):
    """One attempt to hand something to a sink.

    :param repository: the queue.
    :param index: the (last) change that was handed over, from 0.
    :param at: when it began, in seconds since the epoch.
    :param seconds: how long it took.
    :param outcome: ``taken``, ``failed``, ``refused`` or ``timeout``; ``superseded``: it was not made,
        because something newer waits behind it.
    :param error: fit to be shown; empty when it was taken.
    :param output: the end of what the sink wrote or answered.
    :param seq: the delivery's place in the journal.
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
    """What became of work on a queue.

    :param done: for each entry touched, its seq and the index of the next change; None when it is done.
    :param dead: the changes given up on the way.
    :param attempts: how often the change that is now first has failed.
    :param wait: when to try again: in so many seconds.
    :param error: why the last attempt failed.
    :param made: the attempts, in order.
    """

    sink: str
    repository: str
    done: list[tuple[int, int | None]]
    dead: list[DeadLetter] = []
    attempts: int = 0
    wait: float = 0.0
    error: str = ""
    made: list[Attempt] = []


class Trace(msgspec.Struct, frozen=True):
    """What is kept of a request that gave nothing.

    :param dialect: the endpoint's name; empty: of none.
    :param received: seconds since the epoch.
    :param status: how it was answered.
    :param state: ``ignored`` or ``refused``.
    :param reason: in our words.
    :param delivery: the id that it had, when the endpoint read one.
    :param bytes: the size of its body, which is not kept.
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
    """A replay that a command asks of the program that has the sinks.

    :param seq: the delivery's place in the journal.
    :param sinks: the names of those it is for; empty: all that have not taken it.
    :param since: when it was asked for, in seconds since the epoch.
    :param error: why it could not be done; empty: nobody has tried yet.
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
