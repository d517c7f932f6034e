"""What is stored, and what is worked on."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.shown import printable

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

    def __str__(self) -> str:
        """As it is shown to people."""
        return printable(f"{self.dialect}/{self.delivery}#{self.index}")


class Routes(NamedTuple):
    """Where a delivery goes. It is decided when the delivery is stored.

    :param wanted: the names of the sinks that want something of it.
    :param unwanted: the names of those that want nothing.
    """

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


NOWHERE = Routes()


class Results(NamedTuple):
    """What became of a delivery at the sinks that it was for when it was stored.

    :param taken: nothing is left to do for these: they have taken it, or something newer instead.
    :param left: it waits for these, or they have failed.
    :param unwanted: these wanted nothing of it.
    :param waiting: those of *left* that it waits for.
    """

    taken: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


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
    :param changes: some of its changes, with keys, in order.
    :param rest: more come after them: the index of the first of those.
    :param received: when the delivery was received, in seconds since the epoch.
    :param next: what ends before the change of this index is done.
    :param per: what was handed over at once when that was recorded; empty: nothing is done.
    :param damage: what is to come next cannot be read: its key, and why.
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

    :param attempts: how often what failed last has failed so far.
    :param entries: some of what stands in the queue, oldest first, each from where it is not done.
    :param failing: the place of the delivery of which that is the next part.
    """

    sink: str
    repository: str
    attempts: int
    entries: list[Entry]
    failing: int = 0


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
        because something newer waits behind it; ``unwanted``: because the sink does not want it; one
        stands for all that lie side by side, and *error* says how many those are.
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

    :param done: for each entry touched, its seq, and the index of the change at which the next part of it
        ends; None when it is done.
    :param dead: the changes given up on the way.
    :param attempts: how often what failed last has failed.
    :param wait: when to try again: in so many seconds.
    :param error: why the last attempt failed.
    :param made: the attempts, in order.
    :param failing: the place of the delivery of which the next part has failed that often.
    :param per: what is handed over at once: ``change``, ``push`` or ``delivery``.
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
