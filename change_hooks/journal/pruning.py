"""Deleting what is old."""

from __future__ import annotations

from change_hooks.journal.chunks import discard_of
from change_hooks.journal.records import TRACES
from change_hooks.journal.schema import IS_TRACE, UNDONE
from change_hooks.journal.session import Session, among

#: How many deliveries are deleted at once.
PAGE = 200
#: What has nothing left to do.
DONE = ("delivered", "stored")
#: Dead letters, and what could not be finished.
FAILED = ("failed",)

#: Places are never used again: the newest row stays, and with it the number to go on from.
_NOT_THE_NEWEST = "seq < (SELECT max(seq) FROM deliveries)"
#: What indexes hold; SQLite uses them only where this is said.
_INDEXED = {
    DONE: "",
    FAILED: f" AND {UNDONE}",
    TRACES: f" AND {IS_TRACE}",
}


def prune(session: Session, before: float, states: tuple[str, ...] = DONE) -> int:
    """Delete some deliveries: :data:`PAGE` of them, or a large one.

    :param before: those that were received before then, in seconds since the epoch.
    :param states: :data:`DONE`, :data:`FAILED` or :data:`~change_hooks.journal.records.TRACES`.
    :returns: how many; 0: there are no more.
    """
    found = session.execute(
        f"SELECT seq, large_body FROM deliveries WHERE state {among(states)}{_INDEXED[states]}"
        f" AND received < ? AND {_NOT_THE_NEWEST} ORDER BY received LIMIT ?",
        (*states, before, PAGE),
    ).fetchall()
    until_large = next((index for index, row in enumerate(found) if row["large_body"]), len(found))
    seqs = [row["seq"] for row in found[: until_large or 1]]
    rows = [(seq,) for seq in seqs]
    for table in ("dead_letters", "attempts", "wishes", "sightings"):
        session.executemany(f"DELETE FROM {table} WHERE seq = ?", rows)
    discard_of(session, seqs)
    session.executemany("DELETE FROM deliveries WHERE seq = ?", rows)
    return len(rows)


__all__ = ["DONE", "FAILED", "PAGE", "prune"]
