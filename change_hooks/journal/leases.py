"""Names that one receiver at a time holds, and values that are kept under names."""

from __future__ import annotations

import msgspec

from change_hooks.journal.session import Session

REMEMBER = (
    "INSERT INTO memory (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
RECALL = "SELECT value FROM memory WHERE name = ?"
FORGET = "DELETE FROM memory WHERE name = ?"
FORGET_ALIKE = "DELETE FROM memory WHERE name LIKE ?"

_LEASE_NAME = "lease "


def remember(session: Session, name: str, value: bytes) -> None:
    """Keep a value under a name."""
    session.execute(REMEMBER, (name, value))


def recall(session: Session, name: str) -> bytes | None:
    """The value that is kept under a name."""
    row = session.execute(RECALL, (name,)).fetchone()
    return None if row is None else bytes(row["value"])


def forget(session: Session, name: str) -> None:
    """Forget the value that is kept under a name."""
    session.execute(FORGET, (name,))


class _Lease(msgspec.Struct, frozen=True):
    """Who holds a name, and until when by the clock of the leases."""

    owner: str
    until: float
    seconds: float


def _held(session: Session, name: str) -> _Lease | None:
    """The lease on a name; None for one that has run out, or that a clock before this one gave."""
    stored = recall(session, _LEASE_NAME + name)
    if stored is None:
        return None
    lease = msgspec.json.decode(stored, type=_Lease)
    return lease if 0 < lease.until - session.clock() <= lease.seconds else None


def lease(session: Session, name: str, owner: str, seconds: float) -> bool:
    """Hold a name for so many seconds, unless another receiver does."""
    held = _held(session, name)
    if held is not None and held.owner != owner:
        return False
    new = _Lease(owner, session.clock() + seconds, seconds)
    remember(session, _LEASE_NAME + name, msgspec.json.encode(new))
    return True


def let_go(session: Session, name: str, owner: str) -> None:
    """Let go of a name."""
    held = _held(session, name)
    if held is not None and held.owner == owner:
        session.execute(FORGET, (_LEASE_NAME + name,))


def let_all_go(session: Session) -> None:
    """Let go of all names, whoever holds them. For when there is nobody."""
    session.execute(FORGET_ALIKE, (f"{_LEASE_NAME}%",))


__all__ = ["forget", "lease", "let_all_go", "let_go", "recall", "remember"]
