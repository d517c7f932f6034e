"""Traces of requests that gave no change: those that were ignored, and those that were refused.

Strategy: nobody waits for a trace. Traces are collected in memory, and stored together at most once a second,
along with whatever else is written then. A flood of them costs a fixed number of rows and a count: within an
hour, only the first of similar requests get rows, and the number of rows for all of them is limited; the
others are counted on the last row of their kind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.incidents import report
from change_hooks.journal.records import Trace
from change_hooks.journal.schema import IS_TRACE
from change_hooks.journal.session import Operation, Session, storable

#: How long traces are collected, and how long to wait if they could not be stored, in seconds.
GATHER = 1.0
AGAIN = 10.0
#: The length of the window in which rows are limited, in seconds.
WINDOW = 3600.0

T = TypeVar("T")


class Limit(NamedTuple):
    """How many rows are stored in a window.

    :param alike: for similar requests.
    :param all: for all requests.
    """

    alike: int
    all: int


#: Anybody may send requests that are refused; ignored ones have been verified if there is a secret.
LIMITS = {"refused": Limit(20, 500), "ignored": Limit(1000, 5000)}

INSERT_TRACE = (
    "INSERT INTO deliveries (service, dialect, id, received, state, status, reason, event, repository,"
    " branch, author, client, verification, size)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq"
)
COUNT_ALIKE = f"UPDATE deliveries SET duplicates = duplicates + ? WHERE seq = ? AND {IS_TRACE}"

#: How many traces wait at most while the journal cannot be written.
HELD = 10_000

#: State, endpoint, status, and the reason without its numbers.
Kind = tuple[str, str, int, str]
_NUMBERS = re.compile(r"[0-9]+|\(incident [0-9a-f]+\)")


def kind_of(trace: Trace) -> Kind:
    """What similar requests have in common. All paths that do not exist are alike."""
    dialect = "" if trace.status == 404 else trace.dialect
    return trace.state, dialect, trace.status, _NUMBERS.sub("", trace.reason)


class Traces:
    """Collects traces in the reactor's thread, and has them stored.

    :param submit: runs an operation in the next transaction.
    :param later: runs a function after a number of seconds; None: traces are stored one by one.
    :param service: the name of the service that received the requests.
    """

    def __init__(
        self,
        submit: Callable[[Operation[dict[Kind, int]]], Deferred[dict[Kind, int]]],
        later: Callable[..., IDelayedCall] | None,
        service: str = "",
    ) -> None:
        self._service = service
        self._submit = submit
        self._later = later
        self._new: list[tuple[Kind, Trace]] = []
        self._more: Counter[Kind] = Counter()
        self._rows: Counter[Kind] = Counter()
        self._all: Counter[str] = Counter()
        #: The ``seq`` of the last row of each kind, and of each state.
        self._last: dict[Kind, int] = {}
        self._window = 0.0
        self._closed = False
        #: Some traces are being stored, so their ``seq`` is not known yet.
        self._storing = False
        self._alarm: IDelayedCall | None = None

    def add(self, trace: Trace) -> None:
        """Store a trace, or count it."""
        if self._closed:
            return
        if not self._window <= trace.received < self._window + WINDOW:
            self._window = trace.received
            self._rows.clear()
            self._all.clear()
        kind, limit = kind_of(trace), LIMITS[trace.state]
        room = self._all[trace.state] < limit.all and len(self._new) < HELD
        if room and self._rows[kind] < limit.alike:
            self._rows[kind] += 1
            self._all[trace.state] += 1
            self._new.append((kind, trace))
        elif self._rows[kind]:
            self._more[kind] += 1
        else:
            self._more[_any(trace.state)] += 1
        self._flush_in(GATHER)

    def _flush_in(self, seconds: float) -> None:
        if self._later is None:
            if not self._storing:
                self.flush()
        elif self._alarm is None or not self._alarm.active():
            self._alarm = self._later(seconds, self.flush)

    def open(self) -> None:
        """Collect traces, also after :meth:`close`."""
        self._closed = False

    def close(self) -> None:
        """Have the collected traces stored, and collect no more."""
        self._closed = True
        self.flush()

    def flush(self) -> None:
        """Have the collected traces stored now."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        if not self._new and not self._more:
            return
        if self._storing and not self._closed:
            return
        self._storing = True
        new, more = self._new, self._more
        self._new, self._more = [], Counter()
        store = partial(store_traces, new=new, more=more, last=dict(self._last), service=self._service)
        stored = self._submit(store)
        stored.addCallbacks(self._stored, self._not_stored, errbackArgs=(new, more))

    def _stored(self, last: dict[Kind, int]) -> None:
        self._storing = False
        self._last = {kind: seq for kind, seq in last.items() if kind in self._rows or kind == _any(kind[0])}
        if (self._new or self._more) and not self._closed:
            self._flush_in(GATHER)

    def _not_stored(self, failure: Failure, new: list[tuple[Kind, Trace]], more: Counter[Kind]) -> None:
        self._storing = False
        if not failure.check(Unavailable):
            report("traces could not be stored", failure)
            return
        # The limits of the window apply to waiting traces, too.
        self._new[:0] = new
        self._more.update(more)
        if self._later is not None and not self._closed:
            self._flush_in(AGAIN)


def _any(state: str) -> Kind:
    """All kinds of a state."""
    return state, "", 0, ""


def store_traces(
    session: Session,
    new: list[tuple[Kind, Trace]],
    more: Counter[Kind],
    last: dict[Kind, int],
    service: str = "",
) -> dict[Kind, int]:
    """Store traces, and count similar ones.

    :param last: the ``seq`` of the last row of each kind.
    :returns: *last*, updated.
    """
    last = dict(last)
    for kind, trace in new:
        row = session.execute(INSERT_TRACE, (service, *_row(trace))).fetchone()
        last[kind] = last[_any(trace.state)] = row["seq"]
    counted = [(times, last[kind]) for kind, times in more.items() if kind in last]
    session.executemany(COUNT_ALIKE, counted)
    return last


def _row(trace: Trace) -> tuple[Any, ...]:
    return (
        storable(trace.dialect),
        storable(trace.delivery),
        trace.received,
        trace.state,
        trace.status,
        storable(trace.reason),
        storable(trace.event),
        storable(trace.repository),
        storable(trace.branch),
        storable(trace.author),
        storable(trace.client),
        trace.verification,
        trace.bytes,
    )


__all__ = ["AGAIN", "GATHER", "LIMITS", "WINDOW", "Limit", "Traces", "kind_of", "store_traces"]
