"""What who looks into a journal asks for, and what he gets."""

from __future__ import annotations

from collections.abc import Callable, Container
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.journal.records import Attempt, ChangeKey

#: What became of a delivery at a sink.
SINK_STATES = ("waiting", "taken", "retrying", "failed", "superseded", "unwanted")

SinkWord = Literal["waiting", "taken", "retrying", "failed", "superseded", "unwanted"]


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
    :param back_to: up to which time of receipt it was searched, when the time was over before the page was
        full; None: it is full, or nothing more matches.
    """

    lines: list[StoredDelivery]
    before: int | None = None
    back_to: float | None = None

    @property
    def full(self) -> bool:
        """Whether all was found that the page has room for."""
        return self.back_to is None


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
    "SINK_STATES",
    "Listed",
    "SinkState",
    "SinkSummary",
    "SinkWord",
    "StoredChange",
    "StoredDelivery",
    "Summary",
    "Wanted",
    "Whole",
]
