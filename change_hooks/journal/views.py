"""Queries of a journal, and their results."""

from __future__ import annotations

from collections.abc import Callable, Container
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.journal.records import Attempt, ChangeKey

#: The states of a delivery at a sink.
SINK_STATES = ("waiting", "taken", "retrying", "failed", "superseded", "unwanted")

SinkWord = Literal["waiting", "taken", "retrying", "failed", "superseded", "unwanted"]


#: The columns that patterns apply to, and those that are searched for a text.
_NAMED = ("event", "repository", "branch", "author")
_TEXTS = ("id", *_NAMED, "reason", "client")


class Wanted(msgspec.Struct, frozen=True):
    """Which deliveries to list; None: all of them.

    :param state: one of :data:`STATES`.
    :param repository: an fnmatch pattern; so are *event*, *branch* and *author*.
    :param sink: the name of a sink that the delivery was for.
    :param text: a text anywhere in the line, ignoring case.
    :param since: received at or after this time, in seconds since the epoch.
    :param until: received before this time.
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
        """Whether a delivery matches."""
        return (
            self.state in (None, line.state)
            and self.dialect in (None, line.dialect)
            and (self.since is None or line.received >= self.since)
            and (self.until is None or line.received < self.until)
            and self.names(lambda name: line.delivery if name == "id" else getattr(line, name), line.sinks)
        )

    def names(self, value_of: Callable[[str], str], sinks: Container[str]) -> bool:
        """Whether the patterns and the text match, and the sink is one of the delivery's.

        :param value_of: returns the delivery's value of a column.
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
    """One line of the ``deliveries`` command. It has only names from the payload, shortened.

    :param seq: its sequence number in the journal.
    :param dialect: the endpoint's name; empty: it was sent to none.
    :param received: seconds since the epoch.
    :param client: the address of the peer.
    :param status: the response; 0: it was not received as a request.
    :param state: ``pending``: acknowledged, and its changes are still being looked up. ``waiting``: a sink
        has not accepted it yet. ``delivered``: every sink that wanted it has accepted it. ``failed``: a dead
        letter, or the handler failed after the acknowledgement. ``stored``: no sink is configured, or none
        wanted it. ``ignored``: verified, but it gives no change. ``refused``: answered with 4xx or 5xx.
    :param reason: why it was ignored, was refused, has failed, or is still pending.
    :param duplicates: how often it was received again. For a trace: how many similar requests are only
        counted.
    :param recovered: how it was recovered; empty: it was sent.
    :param sinks: its state at each sink, one of :data:`SINK_STATES`, by the sink's name.
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
    :param before: the next page has deliveries before this ``seq``; None: there is no next page.
    :param back_to: the time of receipt up to which the search got before its time was over; None: the page is
        full, or nothing more matches.
    """

    lines: list[StoredDelivery]
    before: int | None = None
    back_to: float | None = None

    @property
    def full(self) -> bool:
        """Whether the page is full, or has everything that matches."""
        return self.back_to is None


class SinkState(msgspec.Struct, frozen=True):
    """The state of a delivery at one sink, in one queue.

    :param state: one of :data:`SINK_STATES`.
    :param repository: the queue; empty: all queues.
    :param index: the (first) change concerned, from 0.
    :param attempts: how often the first change of this queue has failed.
    :param due: when it is retried, in seconds since the epoch; 0: immediately, or never.
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
    """All that is known about a delivery.

    :param delivery: the request; None if it is not stored.
    """

    stored: StoredDelivery
    delivery: Delivery | None
    changes: list[Change]
    sinks: list[SinkState]
    attempts: list[Attempt]


class StoredChange(msgspec.Struct, frozen=True):
    """A change as the ``changes`` command prints it.

    :param seq: the delivery's sequence number in the journal.
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
    """A summary of one sink's outbox.

    :param queues: how many queues there are.
    :param waiting: how many entries: deliveries, once for each queue.
    :param retrying: how many queues have failed, and are being retried.
    :param since: when the first waiting delivery was received, in seconds since the epoch; None: there is
        none.
    :param dead_letters: how many changes were given up.
    :param error: the last error of a queue that is being retried.
    :param attempts: how often the head of any queue has failed, at most.
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
    """A summary of the journal.

    :param pending: how many acknowledged deliveries have changes that are still being looked up.
    :param sinks: one for each sink that has waiting deliveries or dead letters.
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
