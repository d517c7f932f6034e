"""Deletes old deliveries."""

from __future__ import annotations

from collections.abc import Sequence

from change_hooks.journal.chunks import discard_of
from change_hooks.journal.records import TRACES
from change_hooks.journal.schema import IS_TRACE, UNDONE
from change_hooks.journal.session import Row, Session, among

#: How many deliveries are deleted at once, and about how many bytes.
PAGE = 200
PAGE_BYTES = 16 * 1024 * 1024
#: The states of deliveries with nothing left to do.
DONE = ("delivered", "stored")
#: The state of deliveries with dead letters, and of those that could not be finished.
FAILED = ("failed",)

#: Sequence numbers are never reused: the newest row is kept, so that the numbering continues after it.
_NOT_THE_NEWEST = "seq < (SELECT max(seq) FROM deliveries)"
#: The conditions of partial indexes; SQLite uses an index only if a statement repeats its condition.
_INDEXED = {
    DONE: "",
    FAILED: f" AND {UNDONE}",
    TRACES: f" AND {IS_TRACE}",
}


def prune(session: Session, before: float, states: tuple[str, ...] = DONE) -> int:
    """Delete some deliveries: at most :data:`PAGE` of them and :data:`PAGE_BYTES`, or a single large one.

    :param before: delete those received before then, in seconds since the epoch.
    :param states: :data:`DONE`, :data:`FAILED` or :data:`~change_hooks.journal.records.TRACES`.
    :returns: how many were deleted; 0: there are no more.
    """
    found = session.execute(
        "SELECT seq, large_body, length(body) + length(changes) AS bytes"
        f" FROM deliveries WHERE state {among(states)}{_INDEXED[states]}"
        f" AND received < ? AND {_NOT_THE_NEWEST} ORDER BY received LIMIT ?",
        (*states, before, PAGE),
    ).fetchall()
    seqs = _page(found)
    rows = [(seq,) for seq in seqs]
    for table in ("dead_letters", "attempts", "wishes", "sightings"):
        session.executemany(f"DELETE FROM {table} WHERE seq = ?", rows)
    discard_of(session, seqs)
    session.executemany("DELETE FROM deliveries WHERE seq = ?", rows)
    return len(rows)


def _page(found: Sequence[Row]) -> list[int]:
    """The ``seq`` of the first rows that can be deleted together; at least one, if there is any."""
    room = PAGE_BYTES
    seqs: list[int] = []
    for row in found:
        room -= row["bytes"]
        if seqs and (row["large_body"] or room < 0):
            break
        seqs.append(row["seq"])
        if row["large_body"]:
            break
    return seqs


__all__ = ["DONE", "FAILED", "PAGE", "PAGE_BYTES", "prune"]
