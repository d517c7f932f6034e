"""The results of a delivery at its sinks."""

from __future__ import annotations

import msgspec

from change_hooks.journal.records import Results
from change_hooks.journal.session import Session

SELECT_ROUTES = "SELECT sinks FROM deliveries WHERE seq = ?"
SELECT_WAITING = "SELECT DISTINCT sink FROM entries WHERE seq = ?"
SELECT_FAILED = "SELECT DISTINCT sink FROM dead_letters WHERE seq = ?"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, int]).decode


def routes_of(session: Session, seq: int) -> dict[str, int]:
    """For each sink, whether it wanted part of a delivery: 1 or 0."""
    row = session.execute(SELECT_ROUTES, (seq,)).fetchone()
    return decode(row["sinks"]) if row is not None else {}


def decode(sinks: str) -> dict[str, int]:
    """Decode the column ``sinks``."""
    return _decode(sinks) if sinks else {}


def encode(routes: dict[str, int]) -> str:
    """Encode the column ``sinks``."""
    return _encode(routes).decode() if routes else ""


def results(session: Session, seq: int) -> Results:
    """The results of a delivery at its sinks."""
    waiting = {found["sink"] for found in session.execute(SELECT_WAITING, (seq,)).fetchall()}
    left = waiting | {found["sink"] for found in session.execute(SELECT_FAILED, (seq,)).fetchall()}
    routes = routes_of(session, seq)
    wanted = [name for name, wants in routes.items() if wants]
    return Results(
        tuple(name for name in wanted if name not in left),
        tuple(name for name in wanted if name in left),
        tuple(name for name, wants in routes.items() if not wants),
        tuple(name for name in wanted if name in waiting),
    )


__all__ = ["decode", "encode", "results", "routes_of"]
