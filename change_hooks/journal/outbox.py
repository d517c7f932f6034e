"""The outbox: what the journal still has to deliver to sinks.

Strategy: the part of a delivery that a sink wants is an *entry*, which is in the *queue* of that sink for
that repository. A queue is worked through in order, and records the attempts and the time of the next one.
The receiver that works on it holds it by a lease.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import sha256

import msgspec

from change_hooks.core.change import Change
from change_hooks.journal.attempts import store_attempts
from change_hooks.journal.contents import CHANGES, Unreadable, changes_from
from change_hooks.journal.records import LEASE, ChangeKey, Claimed, Entry, Outcome, Work
from change_hooks.journal.schema import UNDONE
from change_hooks.journal.session import Row, Session, storable, store_rows

#: How many changes are read from a queue at once.
CLAIM = 100
#: The longest time that a queue can have to wait, in seconds; a longer wait was written by an earlier clock.
LONGEST_WAIT = 3700.0
#: The longest name of a queue, in characters: PostgreSQL's index does not allow longer ones.
LONGEST_NAME = 400

#: Held by nobody, or the lease has expired (it may be our own, if the response to a claim was lost).
FREE = "(owner = '' OR lease <= ?)"
_QUEUE = "repository, attempts, failing"
_OF_QUEUE = "sink = ? AND repository = ?"
_DUE_OF_SINK = f"FROM queues WHERE sink = ? AND {FREE} AND due"
INSERT_QUEUES = "INSERT INTO queues (sink, repository, due) VALUES ... ON CONFLICT DO NOTHING"
INSERT_ENTRIES = (
    "INSERT INTO entries (sink, repository, seq) VALUES ..."
    " ON CONFLICT (sink, repository, seq) DO UPDATE SET next = 0, per = ''"
)
SELECT_SOONEST = f"SELECT due {_DUE_OF_SINK} > ? AND due <= ? ORDER BY due LIMIT 1"
SELECT_DUE = f"SELECT {_QUEUE} {_DUE_OF_SINK} <= ? ORDER BY due, repository LIMIT ?"
SELECT_OF_EARLIER_CLOCK = f"SELECT {_QUEUE} {_DUE_OF_SINK} > ? ORDER BY due, repository LIMIT ?"
HOLD = f"UPDATE queues SET owner = ?, lease = ? WHERE {_OF_QUEUE}"
SELECT_ENTRY = (
    f"SELECT seq, next, per, dialect, id, received, {CHANGES} FROM entries JOIN deliveries USING (seq)"
    " WHERE sink = ? AND entries.repository = ? AND seq > ? ORDER BY seq LIMIT 1"
)
SELECT_OWNER = f"SELECT owner FROM queues WHERE {_OF_QUEUE}"
INSERT_DEAD_LETTER = (
    "INSERT INTO dead_letters (sink, repository, seq, change, error) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (sink, seq, change) DO UPDATE SET error = excluded.error"
)
ADVANCE = f"UPDATE entries SET next = ?, per = ? WHERE {_OF_QUEUE} AND seq = ? AND (next < ? OR per <> ?)"
DELETE_ENTRY = f"DELETE FROM entries WHERE {_OF_QUEUE} AND seq = ?"
LOOK_DONE = (
    "UPDATE deliveries SET state = CASE WHEN EXISTS"
    " (SELECT 1 FROM dead_letters WHERE dead_letters.seq = deliveries.seq)"
    " THEN 'failed' ELSE 'delivered' END,"
    " reason = coalesce((SELECT max(error) FROM dead_letters WHERE dead_letters.seq = deliveries.seq), '')"
    " WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.seq = deliveries.seq)"
)
DELETE_EMPTY_QUEUE = (
    f"DELETE FROM queues WHERE {_OF_QUEUE} AND NOT EXISTS (SELECT 1 FROM entries"
    " WHERE entries.sink = queues.sink AND entries.repository = queues.repository)"
)
LET_GO = (
    f"UPDATE queues SET owner = '', due = ?, attempts = ?, failing = ?, error = ? WHERE {_OF_QUEUE}"
    " AND (owner = '' OR owner = ?)"
)
SELECT_WAITING = (
    "SELECT DISTINCT sink FROM queues WHERE EXISTS (SELECT 1 FROM entries JOIN deliveries USING (seq)"
    " WHERE entries.sink = queues.sink AND entries.repository = queues.repository AND service = ?)"
    " ORDER BY sink"
)
RENEW = f"UPDATE queues SET lease = ? WHERE owner = ? AND {_OF_QUEUE}"


def queue_name(change: Change) -> str:
    """The name of the queue of a change's repository: its address, shortened so that it can be indexed."""
    name = change.repository
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME // 2]}...{sha256(name.encode()).hexdigest()}"
    return name.replace("\0", "\ufffd")


def enqueue(session: Session, entries: Sequence[tuple[str, str, int]]) -> None:
    """Store entries: the sink, the name of the queue, and the delivery's ``seq``."""
    # Queues are claimed in the order in which they became due.
    now = session.clock()
    store_rows(session, INSERT_QUEUES, sorted({(sink, queue, now) for sink, queue, _ in entries}))
    store_rows(session, INSERT_ENTRIES, entries)


def claim(
    session: Session,
    owner: str,
    sinks: Sequence[str],
    limit: int,
    held: Collection[tuple[str, str]] | None = None,
) -> Claimed:
    """Claim at most *limit* queues that are due and that nobody holds.

    :param held: the queues that *owner* knows that it holds; any others of its own are released. None: it
        knows all.
    """
    if held is not None:
        _let_go_of_others(session, owner, held)
    works: list[Work] = []
    waits: list[float] = []
    clock = session.clock()
    latest = clock + LONGEST_WAIT
    for sink in sinks:
        soonest = session.execute(SELECT_SOONEST, (sink, clock, clock, latest)).fetchone()
        if soonest is not None:
            waits.append(soonest["due"] - clock)
        room = limit - len(works)
        queues = session.execute(SELECT_DUE, (sink, clock, clock, room)).fetchall()
        queues += session.execute(
            SELECT_OF_EARLIER_CLOCK, (sink, clock, latest, room - len(queues))
        ).fetchall()
        session.executemany(HOLD, [(owner, clock + LEASE, sink, queue["repository"]) for queue in queues])
        for queue in queues:
            repository = queue["repository"]
            entries = more(session, sink, repository, 0, 0)
            if entries:
                works.append(Work(sink, repository, queue["attempts"], entries, queue["failing"]))
            else:
                session.execute(DELETE_EMPTY_QUEUE, (sink, repository))
    return Claimed(works, min(waits, default=None))


def _let_go_of_others(session: Session, owner: str, held: Collection[tuple[str, str]]) -> None:
    found = session.execute("SELECT sink, repository FROM queues WHERE owner = ?", (owner,)).fetchall()
    queues = {(row["sink"], row["repository"]) for row in found}
    session.executemany(f"UPDATE queues SET owner = '' WHERE {_OF_QUEUE}", sorted(queues - set(held)))


def more(session: Session, sink: str, repository: str, seq: int, index: int) -> list[Entry]:
    """Some entries of a queue, oldest first, starting at a change of the delivery *seq*; the entries after it
    start where they are not done.
    """
    entries: list[Entry] = []
    room, last = CLAIM, seq - 1
    while room > 0:
        row = session.execute(SELECT_ENTRY, (sink, repository, last)).fetchone()
        if row is None:
            break
        last = row["seq"]
        first = index if last == seq else row["next"]
        try:
            found, rest = changes_of_queue(session, row, repository, first)
        except Unreadable as error:
            damage = ChangeKey(row["dialect"], row["id"], first), str(error)
            entries.append(Entry(last, [], None, row["received"], row["next"], row["per"], damage))
            room -= 1
            continue
        changes = [(ChangeKey(row["dialect"], row["id"], place), change) for place, change in found]
        entries.append(Entry(last, changes, rest, row["received"], row["next"], row["per"]))
        if rest is not None:
            break
        room -= max(len(changes), 1)
    return entries


def changes_of_queue(
    session: Session, row: Row, repository: str, first: int
) -> tuple[list[tuple[int, Change]], int | None]:
    """The next changes of a queue among those in a row with the columns
    :data:`~change_hooks.journal.contents.CHANGES`, each with its index.

    :param first: the index to begin at.
    :returns: some, unless there are no more, and the index of the document to go on with, or None.
    :raises Unreadable: the data is damaged.
    """
    changes: list[tuple[int, Change]] = []
    rest: int | None = first
    while rest is not None and not changes:
        start, found, rest = changes_from(session, rest, row)
        changes = [
            (index, change)
            for index, change in enumerate(found, start)
            if index >= first and queue_name(change) == repository
        ]
    return changes, rest


def record(session: Session, owner: str, outcomes: Sequence[Outcome]) -> None:
    """Record the outcomes of work, and release its queues."""
    for reported in outcomes:
        queue = (reported.sink, reported.repository)
        outcome = reported if _is_held(session, owner, queue) else _believed(reported)
        store_attempts(session, reported.sink, reported.made)
        session.executemany(
            INSERT_DEAD_LETTER,
            [(*queue, letter.seq, letter.index, storable(letter.error)) for letter in outcome.dead],
        )
        for seq, following in outcome.done:
            if following is not None:
                session.execute(ADVANCE, (following, outcome.per, *queue, seq, following, outcome.per))
                continue
            session.execute(DELETE_ENTRY, (*queue, seq))
            session.execute(LOOK_DONE, (seq,))
        _let_go(session, owner, outcome)


def _is_held(session: Session, owner: str, queue: tuple[str, str]) -> bool:
    """Whether a queue is held by this receiver or by nobody."""
    row = session.execute(SELECT_OWNER, queue).fetchone()
    return row is not None and row["owner"] in ("", owner)


def _believed(outcome: Outcome) -> Outcome:
    """The part of an outcome that counts after a lost lease: the successes before the first failure."""
    given_up: dict[int, int] = {}
    for letter in outcome.dead:
        given_up.setdefault(letter.seq, letter.index)
    done = [(seq, given_up.get(seq, following)) for seq, following in outcome.done]
    return msgspec.structs.replace(outcome, done=done, dead=[])


def _let_go(session: Session, owner: str, outcome: Outcome) -> None:
    queue = (outcome.sink, outcome.repository)
    if not session.execute(DELETE_EMPTY_QUEUE, queue).rowcount:
        due = session.clock() + outcome.wait
        error = storable(outcome.error)
        session.execute(LET_GO, (due, outcome.attempts, outcome.failing, error, *queue, owner))


def renew(
    session: Session, owner: str, queues: Collection[tuple[str, str]], pending: Collection[int]
) -> None:
    """Renew the leases that *owner* knows that it holds."""
    until = session.clock() + LEASE
    session.executemany(RENEW, [(until, owner, *queue) for queue in queues])
    session.executemany(
        "UPDATE deliveries SET lease = ? WHERE owner = ? AND seq = ? AND state = 'pending'",
        [(until, owner, seq) for seq in pending],
    )


def release(session: Session, owner: str) -> None:
    """Release everything that *owner* holds."""
    session.execute("UPDATE queues SET owner = '' WHERE owner = ?", (owner,))
    session.execute(
        f"UPDATE deliveries SET owner = '' WHERE owner = ? AND state = 'pending' AND {UNDONE}", (owner,)
    )


def release_all(session: Session) -> None:
    """Release everything, whoever holds it. For when there is no receiver."""
    session.execute("UPDATE queues SET owner = '' WHERE owner <> ''")
    session.execute(f"UPDATE deliveries SET owner = '' WHERE owner <> '' AND state = 'pending' AND {UNDONE}")


def let_all_be_due(session: Session) -> None:
    """Make everything due now. For when the waits were set by another clock."""
    session.execute("UPDATE queues SET due = 0 WHERE due > ?", (session.clock(),))
    session.execute(f"UPDATE deliveries SET due = 0 WHERE state = 'pending' AND {UNDONE}")


def waiting_sinks(session: Session, service: str = "") -> list[str]:
    """The sinks for which deliveries of a service are waiting."""
    rows = session.execute(SELECT_WAITING, (service,)).fetchall()
    return [row["sink"] for row in rows]


__all__ = [
    "CLAIM",
    "FREE",
    "LONGEST_WAIT",
    "changes_of_queue",
    "claim",
    "enqueue",
    "let_all_be_due",
    "more",
    "queue_name",
    "record",
    "release",
    "release_all",
    "renew",
    "waiting_sinks",
]
