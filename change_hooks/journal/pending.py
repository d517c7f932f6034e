"""Deliveries that were answered before their changes were known, and the storing of their changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from twisted.logger import Logger

from change_hooks.core.found import About
from change_hooks.journal.chunks import attach, attached_to, delete, discard
from change_hooks.journal.compression import Packed
from change_hooks.journal.contents import DELIVERY, Unreadable, restored
from change_hooks.journal.outbox import FREE, LONGEST_WAIT, enqueue
from change_hooks.journal.records import LEASE, Pending
from change_hooks.journal.results import decode, encode
from change_hooks.journal.schema import UNDONE
from change_hooks.journal.session import Session, among, storable

SELECT_PENDING = (
    f"SELECT seq, attempts, {DELIVERY} FROM deliveries WHERE state = 'pending' AND {UNDONE}"
    f" AND service = ? AND {FREE} AND (due <= ? OR due > ?) ORDER BY seq LIMIT ?"
)
HOLD_PENDING = "UPDATE deliveries SET owner = ?, lease = ? WHERE seq = ?"
SELECT_OWN = f"SELECT seq FROM deliveries WHERE owner = ? AND state = 'pending' AND {UNDONE}"
LET_GO = "UPDATE deliveries SET owner = '' WHERE seq = ?"
FINISH = (
    "UPDATE deliveries SET state = ?, reason = ?, sinks = ?, changes = ?, changes_size = ?, count = ?,"
    " large_changes = ?, owner = '' WHERE seq = ?"
)
SET_ABOUT = "UPDATE deliveries SET event = ?, repository = ?, branch = ?, author = ? WHERE seq = ?"
FAIL = "UPDATE deliveries SET state = 'failed', owner = '', reason = ? WHERE seq = ? AND state = 'pending'"
RETRY_LATER = (
    "UPDATE deliveries SET owner = '', due = ?, attempts = attempts + 1, reason = ? WHERE seq = ?"
    " AND state = 'pending'"
)

log = Logger()


class Finish(msgspec.Struct, frozen=True):
    """The changes of a stored delivery.

    :param states: the states in which the delivery may be.
    :param otherwise: its new state if no sink wants the changes.
    :param reason: why there are no changes.
    :param changes: in JSON; empty if they are stored in pieces.
    :param sinks: the new value of the column of this name.
    :param queues: the queues of the entries: sinks, and names of queues.
    :param about: the subject of the changes; None: unchanged.
    """

    seq: int
    count: int
    queues: list[tuple[str, str]]
    states: tuple[str, ...] = ()
    otherwise: str = ""
    reason: str = ""
    changes: Packed = Packed(b"")
    sinks: str = ""
    about: About | None = None


def finish(session: Session, new: Finish, large: str = "") -> bool:
    """Replace the changes of a delivery.

    :param large: the name of the changes, if they were stored in pieces.
    :returns: False if the delivery is in none of the states.
    """
    row = session.execute(
        f"SELECT state, sinks, large_changes FROM deliveries WHERE seq = ? AND state {among(new.states)}",
        (new.seq, *new.states),
    ).fetchone()
    if row is None:
        discard(session, [large])
        # A commit may have succeeded although its response was lost.
        return bool(large) and attached_to(session, large) == new.seq
    if row["state"] == "pending" and row["sinks"]:
        new = _for_others(new, decode(row["sinks"]))
    session.execute(
        FINISH,
        (
            "waiting" if new.queues else new.otherwise,
            storable(new.reason),
            new.sinks,
            new.changes.data,
            new.changes.size,
            new.count,
            large,
            new.seq,
        ),
    )
    if new.about is not None:
        session.execute(SET_ABOUT, (*map(storable, msgspec.structs.astuple(new.about)), new.seq))
    delete(session, row["large_changes"])
    if large:
        attach(session, new.seq, [large])
    if new.queues:
        enqueue(session, [(*queue, new.seq) for queue in new.queues])
    return True


def _for_others(new: Finish, taken: Mapping[str, int]) -> Finish:
    """The changes of a delivery that failed and arrived again, without the sinks that have accepted it."""
    queues = [queue for queue in new.queues if queue[0] not in taken]
    otherwise = "delivered" if new.count else new.otherwise
    sinks = encode({**taken, **decode(new.sinks)})
    return msgspec.structs.replace(new, queues=queues, otherwise=otherwise, sinks=sinks)


def fail(session: Session, seq: int, error: str) -> None:
    """Record that a pending delivery cannot be finished."""
    session.execute(FAIL, (storable(error), seq))


def retry_later(session: Session, seq: int, wait: float, error: str) -> None:
    """Release a pending delivery, and retry it after a number of seconds."""
    session.execute(RETRY_LATER, (session.clock() + wait, storable(error), seq))


def hold_pending(
    session: Session, owner: str, limit: int, service: str = "", held: Collection[int] | None = None
) -> list[Pending]:
    """Claim at most *limit* pending deliveries of a service that nobody holds.

    A delivery that cannot be read has failed.

    :param held: the deliveries that *owner* knows that it holds; any others of its own are released. None: it
        knows all.
    """
    if held is not None:
        _let_go_of_others(session, owner, held)
    clock = session.clock()
    found: list[Pending] = []
    for row in session.execute(
        SELECT_PENDING, (service, clock, clock, clock + LONGEST_WAIT, limit)
    ).fetchall():
        try:
            found.append(Pending(row["seq"], row["attempts"], restored(session, row)))
        except Unreadable as error:
            log.error(
                "{dialect} {delivery} failed after it was accepted: {message}",
                dialect=row["dialect"],
                delivery=row["id"],
                message=str(error),
            )
            fail(session, row["seq"], str(error))
    session.executemany(HOLD_PENDING, [(owner, clock + LEASE, each.seq) for each in found])
    return found


def _let_go_of_others(session: Session, owner: str, held: Collection[int]) -> None:
    rows = session.execute(SELECT_OWN, (owner,)).fetchall()
    session.executemany(LET_GO, [(row["seq"],) for row in rows if row["seq"] not in held])


__all__ = ["Finish", "fail", "finish", "hold_pending", "retry_later"]
