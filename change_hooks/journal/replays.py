"""Replays: the wishes that the program with the sinks fulfils, and their results."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import time

import msgspec

from change_hooks.journal.outbox import LOOK_DONE
from change_hooks.journal.pending import Finish, finish
from change_hooks.journal.records import Routes, Wish
from change_hooks.journal.results import encode, routes_of
from change_hooks.journal.session import Row, Session, storable

#: How many wishes are read at once.
WISHES = 20

#: The states of deliveries with nothing left to do.
REPLAYED = ("delivered", "failed", "stored")

FORGET_FAILURE = "DELETE FROM dead_letters WHERE seq = ? AND sink = ?"
INSERT_WISH = (
    "INSERT INTO wishes (seq, sinks, since, error) SELECT seq, ?, ?, '' FROM deliveries WHERE seq = ?"
    " ON CONFLICT (seq) DO UPDATE SET sinks = excluded.sinks, since = excluded.since, error = ''"
)
SELECT_WISHES = (
    "SELECT wishes.seq, wishes.sinks, since, error FROM wishes JOIN deliveries ON deliveries.seq = wishes.seq"
    " WHERE error = '' AND service = ? AND wishes.seq > ? ORDER BY wishes.seq LIMIT ?"
)
SELECT_WISH = "SELECT seq, sinks, since, error FROM wishes WHERE seq = ?"
REFUSE_WISH = "UPDATE wishes SET error = ? WHERE seq = ?"
LESSEN_WISH = "UPDATE wishes SET sinks = ? WHERE seq = ?"
DELETE_WISH = "DELETE FROM wishes WHERE seq = ?"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[str, ...]).decode


def replay(
    session: Session, new: Finish, routes: Routes, large: str = "", rest: Collection[str] = ()
) -> bool:
    """Replace the changes of a delivery, with entries for the sinks that are to get it again.

    :param routes: those sinks, and those that want none of it now. The results of other sinks are kept.
    :param large: the name of the changes, if they were stored in pieces.
    :param rest: the sinks of other programs for which the replay is still to be done.
    :returns: False if the delivery is still in progress.
    """
    before = routes_of(session, new.seq)
    after = {**dict.fromkeys(routes.unwanted, 0), **before, **dict.fromkeys(routes.wanted, 1)}
    otherwise = "delivered" if any(after.values()) else "stored"
    new = msgspec.structs.replace(new, states=REPLAYED, otherwise=otherwise, sinks=encode(after))
    if not finish(session, new, large):
        return False
    # A delivery that now gives no change has nothing left that could fail.
    again = routes.wanted if new.count else tuple(after)
    session.executemany(FORGET_FAILURE, [(new.seq, sink) for sink in again])
    if otherwise == "delivered":
        session.execute(LOOK_DONE, (new.seq,))
    if rest:
        session.execute(LESSEN_WISH, (_names(rest), new.seq))
    else:
        session.execute(DELETE_WISH, (new.seq,))
    return True


def wish(session: Session, seq: int, sinks: Sequence[str]) -> None:
    """Ask the program that has the sinks for a replay."""
    session.execute(INSERT_WISH, (_names(sinks), time(), seq))


def wishes(session: Session, service: str = "", after: int = 0) -> list[Wish]:
    """The open wishes for deliveries of a service, ordered by ``seq``."""
    return [_wish(row) for row in session.execute(SELECT_WISHES, (service, after, WISHES)).fetchall()]


def wish_at(session: Session, seq: int) -> Wish | None:
    """The wish for the delivery *seq*; None: there is none, or it has been done."""
    row = session.execute(SELECT_WISH, (seq,)).fetchone()
    return None if row is None else _wish(row)


def refuse_wish(session: Session, seq: int, error: str) -> None:
    """Record why a replay cannot be done."""
    session.execute(REFUSE_WISH, (storable(error), seq))


def _names(sinks: Collection[str]) -> str:
    return _encode(tuple(sinks)).decode()


def _wish(row: Row) -> Wish:
    return Wish(row["seq"], _decode(row["sinks"]), row["since"], row["error"])


__all__ = ["WISHES", "refuse_wish", "replay", "wish", "wish_at", "wishes"]
