"""The attempts to deliver to a sink: for each delivery and sink, the first and the last five."""

from __future__ import annotations

from collections.abc import Sequence

from change_hooks.core.sink_answers import OUTPUT_KEPT
from change_hooks.journal.records import Attempt
from change_hooks.journal.session import Session, among, storable, store_rows

#: How many of the first, and of the last, are kept.
KEPT = 5

SELECT_MADE = (
    "SELECT seq, (SELECT max(number) FROM attempts WHERE attempts.seq = deliveries.seq AND sink = ?) AS made"
    " FROM deliveries WHERE seq"
)
INSERT_ATTEMPTS = (
    "INSERT INTO attempts (seq, sink, number, repository, change, at, seconds, outcome, error, output)"
    " VALUES ..."
)
FORGET = "DELETE FROM attempts WHERE seq = ? AND sink = ? AND number > ? AND number <= ?"


def store_attempts(session: Session, sink: str, attempts: Sequence[Attempt]) -> None:
    """Store attempts of one sink, in the order in which they were made, and forget those in the middle."""
    if not attempts:
        return
    of_delivery: dict[int, list[Attempt]] = {}
    for attempt in attempts:
        of_delivery.setdefault(attempt.seq, []).append(attempt)
    seqs = list(of_delivery)
    rows = []
    forgotten = []
    # A delivery may have been deleted meanwhile, if another receiver was faster.
    for made in session.execute(f"{SELECT_MADE} {among(seqs)}", (sink, *seqs)).fetchall():
        before, new = made["made"] or 0, of_delivery[made["seq"]]
        last = before + len(new)
        rows += [
            _row(attempt, number)
            for number, attempt in enumerate(new, before + 1)
            if number <= KEPT or number > last - KEPT
        ]
        if before > KEPT:
            forgotten.append((made["seq"], sink, KEPT, last - KEPT))
    session.executemany(FORGET, forgotten)
    store_rows(session, INSERT_ATTEMPTS, rows)


def _row(attempt: Attempt, number: int) -> tuple[object, ...]:
    return (
        attempt.seq,
        attempt.sink,
        number,
        attempt.repository,
        attempt.index,
        attempt.at,
        attempt.seconds,
        attempt.outcome,
        storable(attempt.error),
        storable(attempt.output[-OUTPUT_KEPT:], OUTPUT_KEPT),
    )


__all__ = ["KEPT", "store_attempts"]
