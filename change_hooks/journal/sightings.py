"""Recognises a commit that arrives in several ways: by a hook, by a poller, or fetched from the forge.

Strategy: for a change that may arrive by several ways, the journal records by which it was seen, under the
repository (whatever its address), the ref and the revision. A change by one way is the same as an earlier one
by another way if this way has not seen that one yet. A ref may be reset to an earlier revision, so the same
update may happen twice: if a sighting is much older than the last one that this way has seen on the ref, it
is an earlier event, not the present one. Two changes by the same way are never the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from change_hooks.core.address import repository_key
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.found import About
from change_hooks.journal.deliveries import Append, append
from change_hooks.journal.pending import Finish, finish
from change_hooks.journal.records import Appended, Routes
from change_hooks.journal.session import ROWS, Session, among, storable

#: The ways, and the letter for each in the database.
WAYS = {"sent": "s", "polled": "p", "fetched": "f"}
#: A sighting by another way that is at most this old, in seconds, is the same change, in whatever order they
#: arrived.
RECENT = 3600.0

SELECT = (
    "SELECT ref, revision, seq, ways, at FROM sightings"
    " WHERE service = ? AND repository = ? AND ref = ? AND revision {} ORDER BY seq"
)
LAST = (
    "SELECT max(seq) AS last FROM sightings WHERE service = ? AND repository = ? AND ref = ? AND ways LIKE ?"
)
INSERT = (
    "INSERT INTO sightings (service, repository, ref, revision, seq, ways, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
MARK = (
    "UPDATE sightings SET ways = ways || ? WHERE service = ? AND repository = ? AND ref = ? AND revision = ?"
    " AND seq = ?"
)
SET_REASON = "UPDATE deliveries SET reason = ?, sinks = '' WHERE seq = ?"
WHICH = "SELECT dialect, id FROM deliveries WHERE seq = ?"


class Key(NamedTuple):
    """What identifies a commit on a ref."""

    repository: str
    ref: str
    revision: str


def key_of(change: Change) -> Key | None:
    """The key of a change; None: no other change can be the same."""
    if not change.revision or not change.branch or not change.repository:
        return None
    ref = change.branch.removeprefix("refs/heads/").removeprefix("refs/tags/")
    repository = repository_key(change.repository, exact=change.src == "svn")
    return Key(storable(repository), storable(ref), storable(change.revision))


class Arrival(NamedTuple):
    """The arrival of a delivery.

    :param service: the name of the service that received it.
    :param way: one of :data:`WAYS`.
    :param at: the time, in seconds since the epoch.
    """

    service: str
    way: str
    at: float


class Seen(msgspec.Struct, frozen=True):
    """Which of some changes were seen by other ways.

    :param before: for each change, the ``seq`` of the delivery that had it; None: there is none.
    """

    keys: list[Key | None]
    before: list[int | None]

    @property
    def new(self) -> list[int]:
        """The indexes of the changes that are new."""
        return [index for index, place in enumerate(self.before) if place is None]

    def matched(self) -> Seen:
        """Only the changes that were seen, for when the newest one was. It is where the ref was moved to: if
        it has arrived, so has the whole update, although a hook lists fewer commits than the forge has.
        """
        pairs = [(key, place) for key, place in zip(self.keys, self.before, strict=True) if place is not None]
        return Seen([key for key, _ in pairs], [place for _, place in pairs])


def look_up(session: Session, arrival: Arrival, changes: Sequence[Change]) -> Seen:
    """Find which of these changes arrived by other ways."""
    service, letter = arrival.service, WAYS[arrival.way]
    keys = [key_of(change) for change in changes]
    places: dict[Key, list[int]] = {}
    by_ref: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        if key is not None:
            by_ref.setdefault(key[:2], []).append(key.revision)
    for (repository, ref), revisions in by_ref.items():
        last = session.execute(LAST, (service, repository, ref, f"%{letter}%")).fetchone()["last"] or 0
        for first in range(0, len(revisions), ROWS):
            some = revisions[first : first + ROWS]
            rows = session.execute(SELECT.format(among(some)), (service, repository, ref, *some)).fetchall()
            for row in rows:
                if letter not in row["ways"] and (row["seq"] >= last or row["at"] > arrival.at - RECENT):
                    places.setdefault(Key(repository, ref, row["revision"]), []).append(row["seq"])
    before: list[int | None] = []
    for key in keys:
        found = places.get(key) if key is not None else None
        before.append(found.pop(0) if found else None)
    return Seen(keys, before)


def record(session: Session, arrival: Arrival, seen: Seen, seq: int) -> None:
    """Record that these changes have arrived.

    :param seq: the delivery that has them.
    """
    service, letter = arrival.service, WAYS[arrival.way]
    for key, place in zip(seen.keys, seen.before, strict=True):
        if key is not None and place is not None:
            session.execute(MARK, (letter, service, *key, place))
        elif key is not None:
            session.execute(INSERT, (service, *key, seq, letter, arrival.at))


def named(session: Session, seq: int) -> str:
    """The name of a delivery in messages."""
    row = session.execute(WHICH, (seq,)).fetchone()
    return "another delivery" if row is None else f"{row['dialect']}/{row['id']}"


class AppendOnce(msgspec.Struct, frozen=True):
    """The operation that stores an accepted delivery without the changes that arrived by another way.

    :param way: one of :data:`WAYS`.
    """

    delivery: Delivery
    changes: list[Change]
    routes: Routes
    about: About
    way: str
    service: str = ""

    def __call__(self, session: Session) -> Appended:
        """Store the delivery; if all of its changes arrived before, only that fact."""
        arrival = Arrival(self.service, self.way, self.delivery.received)
        seen = look_up(session, arrival, self.changes)
        if self.way == "fetched" and seen.before[-1] is not None:
            seen = seen.matched()
        new = [self.changes[index] for index in seen.new]
        routes = self.routes if new else Routes()
        one = Append.of(self.delivery, new, routes, self.about, service=self.service)
        (appended,) = append(session, [one])
        if appended.duplicate:
            return appended
        record(session, arrival, seen, appended.seq)
        if new:
            return appended
        before = named(session, next(place for place in seen.before if place is not None))
        session.execute(SET_REASON, (storable(f"the same as {before}, which arrived before"), appended.seq))
        return Appended(duplicate=True, id=before)


def finish_once(
    session: Session, new: Finish, changes: list[Change], arrival: Arrival, large: str = ""
) -> bool:
    """Store the changes of a pending delivery, and record by which way they were seen. If any of them is new,
    all are kept, also those that arrived by another way; if none is new, the delivery gives no change.
    """
    seen = look_up(session, arrival, changes)
    if changes and not seen.new:
        before = named(session, next(place for place in seen.before if place is not None))
        reason = f"the same as {before}, which arrived before"
        new = msgspec.structs.replace(new, queues=[], sinks="", otherwise="stored", reason=reason)
    finished = finish(session, new, large)
    if finished:
        record(session, arrival, seen, new.seq)
    return finished


__all__ = [
    "RECENT",
    "WAYS",
    "AppendOnce",
    "Arrival",
    "Key",
    "Seen",
    "finish_once",
    "key_of",
    "look_up",
    "record",
]
