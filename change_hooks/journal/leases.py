"""Names that one receiver at a time holds, and values that are stored under names."""

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
    """Store a value under a name."""
    session.execute(REMEMBER, (name, value))


def recall(session: Session, name: str) -> bytes | None:
    """The value that is stored under a name."""
    row = session.execute(RECALL, (name,)).fetchone()
    return None if row is None else bytes(row["value"])


def forget(session: Session, name: str) -> None:
    """Delete the value that is stored under a name."""
    session.execute(FORGET, (name,))


class _Lease(msgspec.Struct, frozen=True):
    """Who holds a name, and until when by the clock of the leases."""

    owner: str
    until: float
    seconds: float


def _held(session: Session, name: str) -> _Lease | None:
    """The lease on a name; None if it has expired, or if it was granted by an earlier clock."""
    stored = recall(session, _LEASE_NAME + name)
    if stored is None:
        return None
    lease = msgspec.json.decode(stored, type=_Lease)
    return lease if 0 < lease.until - session.clock() <= lease.seconds else None


def lease(session: Session, name: str, owner: str, seconds: float) -> bool:
    """Hold a name for a number of seconds, unless another receiver holds it."""
    held = _held(session, name)
    if held is not None and held.owner != owner:
        return False
    new = _Lease(owner, session.clock() + seconds, seconds)
    remember(session, _LEASE_NAME + name, msgspec.json.encode(new))
    return True


def let_go(session: Session, name: str, owner: str) -> None:
    """Release a name."""
    held = _held(session, name)
    if held is not None and held.owner == owner:
        session.execute(FORGET, (_LEASE_NAME + name,))


def let_all_go(session: Session) -> None:
    """Release all names, whoever holds them. For when there is no receiver."""
    session.execute(FORGET_ALIKE, (f"{_LEASE_NAME}%",))


__all__ = ["forget", "lease", "let_all_go", "let_go", "recall", "remember"]
