"""Searches a journal backwards for matching deliveries.

Strategy: each statement searches only a range of rows, so that it ends soon even if nothing matches, and a
caller with little time can stop between two statements. If an index is effective, the ranges soon become
long.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

import msgspec

from change_hooks.journal.records import TRACES
from change_hooks.journal.schema import IS_TRACE, UNDONE
from change_hooks.journal.session import Row, Session
from change_hooks.journal.views import Wanted

#: How many rows are read at once.
PAGE = 200
#: How many rows the first statement searches; and if a statement takes less than this time, in seconds, the
#: next one searches more.
STRETCH = 500
QUICK = 0.01

#: The columns of a line; large columns are not read.
COLUMNS = (
    "seq, dialect, id, event, repository, branch, author, received, client, status, state, reason,"
    " verification, count, size, duplicates, recovered, sinks"
)
SELECT_NEWEST = "SELECT max(seq) AS seq FROM deliveries"
SELECT_OLDEST = "SELECT min(seq) AS seq FROM deliveries"
_WILD = frozenset("*?[")


def search(session: Session, wanted: Wanted, before: int | None = None) -> Iterator[tuple[int, list[Row]]]:
    """Search backwards, at most a page at a time. Yields the last ``seq`` that was searched (0: there is none
    before it), and the matching rows.

    :param before: only those before this ``seq``.
    """
    newest = session.execute(SELECT_NEWEST).fetchone()["seq"] or 0
    oldest = _oldest(session, wanted)
    conditions, parameters = _conditions(wanted)
    where = " AND ".join(["seq < ? AND seq >= ?", *conditions])
    statement = f"SELECT {COLUMNS} FROM deliveries WHERE {where} ORDER BY seq DESC LIMIT ?"
    place, stretch = newest + 1 if before is None else min(before, newest + 1), STRETCH
    while oldest is not None and place > oldest:
        first, began = max(place - stretch, oldest), monotonic()
        rows = session.execute(statement, (place, first, *parameters, PAGE)).fetchall()
        place = first if len(rows) < PAGE else rows[-1]["seq"]
        stretch = stretch * 2 if monotonic() - began < QUICK else max(stretch // 2, STRETCH)
        yield (
            (place if place > oldest else 0),
            [row for row in rows if wanted.names(row.__getitem__, routes_in(row))],
        )


def _oldest(session: Session, wanted: Wanted) -> int | None:
    """The first ``seq`` that can match; None: there is none."""
    if wanted.since is None:
        found = session.execute(SELECT_OLDEST)
    else:
        found = session.execute(f"{SELECT_OLDEST} WHERE received >= ?", (wanted.since,))
    oldest: int | None = found.fetchone()["seq"]
    return oldest


def _conditions(wanted: Wanted) -> tuple[list[str], list[Any]]:
    asked: list[tuple[str, Any]] = [
        ("state = ?", wanted.state),
        ("dialect = ?", wanted.dialect),
        ("received >= ?", wanted.since),
        ("received < ?", wanted.until),
    ]
    for name in ("event", "repository", "branch", "author"):
        pattern = getattr(wanted, name)
        if pattern is not None and not _WILD.intersection(pattern):
            asked.append((f"{name} = ?", pattern))
    conditions = [condition for condition, value in asked if value is not None]
    parameters = [value for _, value in asked if value is not None]
    if wanted.state in ("pending", "waiting", "failed"):
        conditions.append(UNDONE)
    if wanted.state in TRACES:
        conditions.append(IS_TRACE)
    return conditions, parameters


def routes_in(row: Row) -> dict[str, int]:
    """The sinks of a delivery, by name; 0: the sink did not want it."""
    routes: dict[str, int] = msgspec.json.decode(row["sinks"]) if row["sinks"] else {}
    return routes


__all__ = ["COLUMNS", "PAGE", "routes_in", "search"]
