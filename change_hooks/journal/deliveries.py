"""Stores deliveries, with their changes or, for the time being, without them (see ``pending``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from change_hooks.core.change import RECOVERED, Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.found import NOTHING_KNOWN, About
from change_hooks.journal.chunks import attach, discard, discard_of
from change_hooks.journal.compression import Packed, packed
from change_hooks.journal.contents import DELIVERY, restored
from change_hooks.journal.outbox import enqueue, queue_name
from change_hooks.journal.records import LEASE, NOWHERE, Appended, Routes
from change_hooks.journal.results import decode, encode, results
from change_hooks.journal.schema import IS_ACCEPTED, IS_TRACE
from change_hooks.journal.session import Name, Session, among, of_many, storable

#: What storing a delivery writes in addition to its content, in bytes.
SMALL = 4096
#: How many ids are searched for with one statement.
IDS = 200
#: The status of the response to an accepted delivery.
ACCEPTED = 202

_encode = msgspec.json.Encoder().encode


class Stored(NamedTuple):
    """The columns of a delivery that are written when it is stored. Those after the name are written again
    if the delivery failed and arrives again.
    """

    service: str
    dialect: str
    id: str
    received: float
    state: str
    status: int
    event: str
    repository: str
    branch: str
    author: str
    client: str
    verification: str
    digest: str
    recovered: str
    sinks: str
    size: int
    count: int  # type: ignore[assignment]  # tuple.count is not missed
    owner: str
    lease: float
    large_body: str
    large_changes: str
    body_size: int | None
    changes_size: int | None
    head: bytes
    body: bytes
    changes: bytes


_ONE = f"({', '.join('?' * len(Stored._fields))})"
INSERT = f"INSERT INTO deliveries ({', '.join(Stored._fields)}) VALUES ... ON CONFLICT DO NOTHING"
#: The index of the first column that is written again.
REVIVED = 3
REVIVE = (
    f"UPDATE deliveries SET {', '.join(f'{column} = ?' for column in Stored._fields[REVIVED:])},"
    " due = 0, attempts = 0, reason = '' WHERE seq = ?"
)
FIND_FAILED = (
    "SELECT seq FROM deliveries WHERE id = ? AND dialect = ? AND service = ?"
    f" AND state = 'failed' AND {IS_ACCEPTED}"
)
FORGET_FAILURE = "DELETE FROM dead_letters WHERE seq = ?"
FIND_DIGEST = (
    "SELECT id FROM deliveries WHERE digest = ? AND dialect = ? AND service = ?"
    f" AND digest <> '' AND {IS_ACCEPTED}"
)
COUNT_DUPLICATE = (
    "UPDATE deliveries SET duplicates = duplicates + ?"
    f" WHERE id = ? AND dialect = ? AND service = ? AND {IS_ACCEPTED}"
)


@lru_cache(maxsize=256)
def encode_routes(wanted: tuple[str, ...], unwanted: tuple[str, ...]) -> str:
    """The value of the column ``sinks``: for each sink, whether it wanted any of the changes."""
    if not wanted and not unwanted:
        return ""
    return _encode({**dict.fromkeys(unwanted, 0), **dict.fromkeys(wanted, 1)}).decode()


class Append(msgspec.Struct, frozen=True):
    """The operation that stores an accepted delivery. A group of them is stored with one statement.

    :param name: the delivery's service, dialect and id.
    :param row: the delivery's columns.
    :param queues: the queues of its entries: sinks, and names of queues.
    """

    name: Name
    row: Stored
    queues: list[tuple[str, str]]

    @property
    def size(self) -> int:
        """The approximate number of bytes that are written."""
        row = self.row
        return SMALL + len(row.head) + len(row.body) + len(row.changes)

    def __call__(self, session: Session) -> Appended:
        """Store the delivery on its own."""
        return append(session, [self])[0]

    @classmethod
    def of(
        cls,
        delivery: Delivery,
        changes: list[Change],
        routes: Routes,
        about: About,
        *,
        service: str = "",
        large_body: str = "",
        large_changes: str = "",
    ) -> Append:
        """Make the operation, in the reactor's thread, so that the writer's thread only has to write.

        :param service: the name of the service that received the delivery.
        :param large_body: the name of the body, if it is stored in pieces.
        :param large_changes: the name of the changes, if they are stored in pieces.
        """
        row = _row(
            delivery,
            "waiting" if routes.wanted else "stored",
            packed(b"" if large_changes else _encode(changes)),
            len(changes),
            service=service,
            about=about,
            routes=routes,
            recovered=changes[0].properties.get(RECOVERED, "") if changes else "",
            large_body=large_body,
            large_changes=large_changes,
        )
        return cls(row[:3], row, queues_of(changes, routes.wanted))


def append(session: Session, appends: list[Append]) -> list[Appended]:
    """Store deliveries with their entries, unless they were accepted before."""
    # If two have the same name, the first one counts.
    first: dict[Name, Append] = {}
    for each in appends:
        first.setdefault(each.name, each)
    stored, before, taken = _insert(session, first)
    again: dict[Name, int] = {}
    results = []
    entries = []
    for each in appends:
        seq = stored.get(each.name) if first[each.name] is each else None
        name = before.get(each.name, each.name)
        other_id = "" if name is each.name else name[-1]
        if seq is None:
            again[name] = again.get(name, 0) + 1
            results.append(Appended(duplicate=True, id=other_id) if other_id else _DUPLICATE)
            continue
        results.append(Appended(duplicate=False, seq=seq, id=other_id))
        entries += [(sink, queue, seq) for sink, queue in each.queues if sink not in taken.get(each.name, ())]
    if again:
        session.executemany(COUNT_DUPLICATE, [(times, *name[::-1]) for name, times in again.items()])
    if entries:
        enqueue(session, entries)
    return results


_DUPLICATE = Appended(duplicate=True)


def _insert(
    session: Session, appends: Mapping[Name, Append]
) -> tuple[dict[Name, int], dict[Name, Name], dict[Name, Collection[str]]]:
    """Store deliveries, including those that arrived before and failed.

    :returns: the ``seq`` of those that were stored; the ids under which some arrived before; and the sinks
        that had accepted some of them.
    """
    names = list(appends)
    statement = of_many(INSERT, _ONE, len(names))
    stored = session.insert(statement, names, [value for each in appends.values() for value in each.row])
    before: dict[Name, Name] = {}
    taken: dict[Name, Collection[str]] = {}
    for name in names if len(stored) < len(names) else ():
        if name not in stored:
            with session.together():
                row = appends[name].row
                first_id = _id_before(session, row)
                if first_id != row.id:
                    before[name] = (*name[:-1], first_id)
                failed = session.execute(FIND_FAILED, (first_id, row.dialect, row.service)).fetchone()
                if failed is not None:
                    stored[name] = seq = failed["seq"]
                    taken[name] = results(session, seq).taken
                    session.execute(FORGET_FAILURE, (seq,))
                    session.execute(REVIVE, (*_revived(row, taken[name]), seq))
    return stored, before, taken


def _revived(row: Stored, taken: Collection[str]) -> Sequence[object]:
    """The columns of a delivery that arrives again after it failed.

    :param taken: the sinks that have accepted it, and do not need it again.
    """
    now = decode(row.sinks)
    routes = {
        **{sink: 0 for sink, wants in now.items() if not wants},
        **dict.fromkeys(taken, 1),
        **{sink: 1 for sink, wants in now.items() if wants},
    }
    state = row.state
    if taken and state != "pending" and not any(now[sink] for sink in now if sink not in taken):
        state = "delivered"
    return row._replace(sinks=encode(routes), state=state)[REVIVED:]


def _id_before(session: Session, row: Stored) -> str:
    """The id under which a delivery arrived before; by default its own."""
    if not row.digest:
        return row.id
    found = session.execute(FIND_DIGEST, (row.digest, row.dialect, row.service)).fetchone()
    return row.id if found is None else str(found["id"])


def append_large(session: Session, large: Append, names: Sequence[str]) -> Appended:
    """Store a delivery whose large data *names* has already been stored."""
    appended = large(session)
    _keep(session, appended, names)
    return appended


def _keep(session: Session, appended: Appended, names: Sequence[str]) -> None:
    """Make the stored large data part of its delivery, instead of what the delivery had when it failed."""
    if appended.duplicate:
        discard(session, names)
    else:
        discard_of(session, [appended.seq])
        attach(session, appended.seq, names)


def _row(
    delivery: Delivery,
    state: str,
    changes: Packed,
    count: int,
    *,
    service: str,
    about: About,
    routes: Routes,
    recovered: str = "",
    large_body: str = "",
    large_changes: str = "",
    owner: str = "",
    lease: float = 0.0,
) -> Stored:
    head, body = delivery.dump()
    stored = packed(b"" if large_body else body)
    return Stored(
        service=service,
        dialect=delivery.dialect,
        id=delivery.id or "",
        received=delivery.received,
        state=state,
        status=ACCEPTED,
        event=storable(about.event),
        repository=storable(about.repository),
        branch=storable(about.branch),
        author=storable(about.author),
        client=storable(delivery.client.host),
        verification=delivery.verification or "none",
        digest=delivery.digest,
        recovered=recovered,
        sinks=encode_routes(*routes),
        size=len(body),
        count=count,
        owner=owner,
        lease=lease,
        large_body=large_body,
        large_changes=large_changes,
        body_size=stored.size,
        changes_size=changes.size,
        head=head,
        body=stored.data,
        changes=changes.data,
    )


def queues_of(changes: list[Change], sinks: Sequence[str]) -> list[tuple[str, str]]:
    """The queues of changes: sinks, and names of queues."""
    return [(sink, queue) for sink in sinks for queue in {queue_name(change) for change in changes}]


def postpone(
    session: Session, delivery: Delivery, owner: str, large_body: str = "", *, service: str = ""
) -> Appended:
    """Store a delivery whose changes are not known yet, held by *owner*."""
    lease = session.clock() + LEASE
    row = _row(
        delivery,
        "pending",
        Packed(b"[]"),
        0,
        service=service,
        about=NOTHING_KNOWN,
        routes=NOWHERE,
        large_body=large_body,
        owner=owner,
        lease=lease,
    )
    appended = Append(row[:3], row, [])(session)
    if large_body:
        _keep(session, appended, [large_body])
    return appended


def find(session: Session, service: str, dialect: str, ids: Sequence[str]) -> dict[str, int]:
    """See :meth:`change_hooks.interfaces.IJournal.find`."""
    found: dict[str, int] = {}
    # If a delivery was refused and later accepted, the latter counts.
    for kind in (IS_TRACE, IS_ACCEPTED):
        for first in range(0, len(ids), IDS):
            some = ids[first : first + IDS]
            statement = f"SELECT id, status FROM deliveries WHERE id {among(some)} AND dialect = ?"
            wanted = f"{statement} AND service = ? AND {kind} ORDER BY seq"
            rows = session.execute(wanted, (*some, dialect, service)).fetchall()
            found.update((row["id"], row["status"]) for row in rows)
    return found


def delivery_at(session: Session, seq: int) -> Delivery:
    """The delivery *seq*.

    :raises LookupError: there is no such delivery, or it was not stored.
    :raises Unreadable: the data is damaged.
    """
    row = session.execute(f"SELECT {DELIVERY} FROM deliveries WHERE seq = ?", (seq,)).fetchone()
    if row is None or not row["head"]:
        raise LookupError(f"there is no delivery with the number {seq}")
    return restored(session, row)


__all__ = [
    "Append",
    "append",
    "append_large",
    "delivery_at",
    "encode_routes",
    "find",
    "postpone",
    "queues_of",
]
