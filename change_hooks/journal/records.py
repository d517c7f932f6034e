"""What is stored, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Container
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery

#: How long a receiver that says nothing keeps what it works on, in seconds.
LEASE = 30.0
#: The states of a delivery: see :attr:`StoredDelivery.state`.
STATES = ("pending", "waiting", "delivered", "failed", "stored", "ignored", "refused")
#: Those of requests that gave nothing. They never claim a delivery's id.
TRACES = ("ignored", "refused")
#: What became of a delivery at a sink.
SINK_STATES = ("waiting", "taken", "retrying", "failed", "superseded", "unwanted")

SinkWord = Literal["waiting", "taken", "retrying", "failed", "superseded", "unwanted"]


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


#: The columns that patterns are for, and those that a text is looked for in.
_NAMED = ("event", "repository", "branch", "author")
_TEXTS = ("id", *_NAMED, "reason", "client")


class Wanted(msgspec.Struct, frozen=True):
    """Which deliveries to list; None: all of them.

    :param state: one of :data:`STATES`.
    :param repository: an fnmatch pattern; so are *event*, *branch* and *author*.
    :param sink: the name of a sink that the delivery was for.
    :param text: stands somewhere in the line, in small or capital letters.
    :param since: received then or later, in seconds since the epoch.
    :param until: received before.
    """

    state: str | None = None
    dialect: str | None = None
    event: str | None = None
    repository: str | None = None
    branch: str | None = None
    author: str | None = None
    sink: str | None = None
    text: str | None = None
    since: float | None = None
    until: float | None = None

    def matches(self, line: StoredDelivery) -> bool:
        """Whether a delivery is one of them."""
        return (
            self.state in (None, line.state)
            and self.dialect in (None, line.dialect)
            and (self.since is None or line.received >= self.since)
            and (self.until is None or line.received < self.until)
            and self.names(lambda name: line.delivery if name == "id" else getattr(line, name), line.sinks)
        )

    def names(self, value_of: Callable[[str], str], sinks: Container[str]) -> bool:
        """Whether the patterns and the text match, and the sink is one of those that it was for.

        :param value_of: gives what a delivery has in a column.
        """
        for name in _NAMED:
            pattern = getattr(self, name)
            if pattern is not None and not fnmatchcase(value_of(name), pattern):
                return False
        if self.text is not None:
            text = self.text.casefold()
            if not any(text in value_of(name).casefold() for name in _TEXTS):
                return False
        return self.sink is None or self.sink in sinks


class StoredDelivery(msgspec.Struct, frozen=True):
    """One line of the ``deliveries`` command. Of what was sent, only names stand here, shortened.

    :param seq: its place in the journal.
    :param dialect: the endpoint's name; empty: it came to none.
    :param received: seconds since the epoch.
    :param client: the address of the peer.
    :param status: how it was answered; 0: it did not come with a request.
    :param state: ``pending``: acknowledged, and its changes are still being looked up. ``waiting``: a sink
        has not taken it yet. ``delivered``: every sink that wanted it has taken it. ``failed``: a dead
        letter, or the handler failed after the acknowledgement. ``stored``: no sink is configured, or none
        wanted it. ``ignored``: verified, but it gives no change. ``refused``: answered with 4xx or 5xx.
    :param reason: why it is ignored, refused, failed, or pending for so long.
    :param duplicates: how often the same came again. Of a trace: how many alike are only counted.
    :param recovered: the way it came when it was fetched; empty: it was sent.
    :param sinks: what became of it at each sink, one of :data:`SINK_STATES`, by the sink's name.
    """

    seq: int
    dialect: str
    delivery: str
    event: str
    repository: str
    branch: str
    author: str
    received: float
    client: str
    status: int
    state: str
    reason: str
    verification: str
    changes: int
    bytes: int
    duplicates: int
    recovered: str
    sinks: dict[str, SinkWord]


class Listed(msgspec.Struct, frozen=True):
    """A page of deliveries.

    :param lines: newest first.
    :param before: where the next page begins; None: there is none.
    :param full: False: the time was over before the page was full.
    """

    lines: list[StoredDelivery]
    before: int | None
    full: bool


class SinkState(msgspec.Struct, frozen=True):
    """What became of a delivery at one sink, in one queue.

    :param state: one of :data:`SINK_STATES`.
    :param repository: the queue; empty: of all of them.
    :param index: the (first) change meant, from 0.
    :param attempts: how often the first change of this queue has failed.
    :param due: when it is tried again, in seconds since the epoch; 0: at once, or never.
    :param error: why the last attempt failed.
    """

    sink: str
    state: SinkWord
    repository: str = ""
    index: int = 0
    attempts: int = 0
    due: float = 0.0
    error: str = ""


class Whole(msgspec.Struct, frozen=True):
    """All that is known of a delivery.

    :param delivery: what came; None of a request that is not kept.
    """

    stored: StoredDelivery
    delivery: Delivery | None
    changes: list[Change]
    sinks: list[SinkState]
    attempts: list[Attempt]


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


class SinkSummary(msgspec.Struct, frozen=True):
    """What stands in the outbox of one sink.

    :param queues: how many queues.
    :param waiting: how many entries: deliveries, once for each queue.
    :param retrying: how many queues have failed, and are tried again.
    :param since: when the first of them in the journal was received, in seconds since the epoch; None: there
        is none.
    :param dead_letters: how many changes were given up.
    :param error: the last error of a queue that is tried again.
    :param attempts: how often what stands first in one of them has failed, at most.
    """

    sink: str
    queues: int
    waiting: int
    retrying: int
    since: float | None
    dead_letters: int
    error: str = ""
    attempts: int = 0


class Summary(msgspec.Struct, frozen=True):
    """How the journal is.

    :param pending: how many deliveries were acknowledged, and their changes are still being looked up.
    :param sinks: for each that something waits for, or that has dead letters.
    :param bytes: the journal's size.
    """

    pending: int
    sinks: list[SinkSummary]
    bytes: int


__all__ = [
    "LEASE",
    "NOWHERE",
    "SINK_STATES",
    "STATES",
    "TRACES",
    "Appended",
    "Attempt",
    "ChangeKey",
    "Claimed",
    "DeadLetter",
    "Entry",
    "Listed",
    "Outcome",
    "Pending",
    "Routes",
    "SinkState",
    "SinkSummary",
    "SinkWord",
    "StoredChange",
    "StoredDelivery",
    "Summary",
    "Trace",
    "Wanted",
    "Whole",
    "Wish",
    "Work",
]
