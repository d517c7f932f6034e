"""What the journals have in common: their statements, and the promises that go with them.

Strategy: every statement is written in what SQLite and PostgreSQL share, with ``?`` for a parameter. A
store says how to connect, how to run operations in one transaction, and which clock leases go by. All
writing is done one transaction at a time over all receivers, so that no statement here has to think of
another one beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from hashlib import sha256
from itertools import groupby
from secrets import token_hex
from time import time
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred, DeferredLock, inlineCallbacks
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IJournal
from change_hooks.journal import (
    LEASE,
    Appended,
    ChangeKey,
    Claimed,
    Duty,
    Outcome,
    Pending,
    SinkState,
    StoredChange,
    StoredDelivery,
    Wanted,
    Whole,
    Work,
)
from change_hooks.journal.chunks import (
    LARGE,
    Piece,
    attach,
    attached_to,
    body_in_pieces,
    changes_in_pieces,
    delete,
    discard,
    discard_of,
    document_after,
    document_with,
    read,
    store,
    sweep,
)
from change_hooks.journal.compression import Packed, packed
from change_hooks.journal.writer import Operation, Store, Writer
from change_hooks.observer import NOBODY, Observer

#: The most changes that are taken from a queue at once.
CLAIM = 100
#: How many rows are read, or deleted, at once.
PAGE = 200
CHANGES_PAGE = 20
#: How many deliveries are stored with one statement.
ROWS = 32
#: What an operation writes that does not say how much, in bytes.
SMALL = 4096
#: The longest wait that a queue can have, in seconds; one that has longer was written before the clock
#: was set back.
LONGEST_DUE = 3700.0
#: The longest name of a queue, in characters: PostgreSQL's index takes no long ones.
LONGEST_NAME = 400

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Change]).decode


#: The dialect and the id of a delivery.
Name = tuple[str, str]


class SchemaError(Exception):
    """The journal was written by another version of this package."""


def refuse_newer(version: int, known: int) -> None:
    """Leave tables alone that are of a newer version than the one that is *known*.

    :raises SchemaError: they are.
    """
    if version > known:
        raise SchemaError("the journal was written by a newer version of change-hooks; upgrade")


def refuse_other(version: int, known: int) -> None:
    """Do not read tables of another version than the one that is *known*.

    :raises SchemaError: they are.
    """
    refuse_newer(version, known)
    if version < known:
        raise SchemaError(
            "the journal was written by an older version of change-hooks;"
            " 'change-hooks serve' brings it up to date"
        )


class Session(Protocol):
    """A database, inside a transaction."""

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement.

        :returns: has ``fetchone``, ``fetchall`` and ``rowcount``.
        """

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> Any:
        """Run a statement for each of *parameters*."""

    def insert(self, statement: str, names: Sequence[Name], parameters: Sequence[Any]) -> dict[Name, int]:
        """Run a statement that stores deliveries, but for those whose names are there.

        :param names: the names of the deliveries.
        :returns: the places of those that were stored.
        """

    def clock(self) -> float:
        """Seconds on a clock that all receivers share and nobody sets back."""


@implementer(IJournal)
class SQLJournal:
    """See :class:`~change_hooks.interfaces.IJournal`.

    :param store: the database.
    :param to_reactor: runs a function in the reactor's thread.
    :param soon: runs a function at the end of the reactor's turn.
    :param observer: told of each transaction.
    """

    def __init__(
        self,
        store: Store,
        to_reactor: Callable[..., Any],
        soon: Callable[..., Any] | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self.owner = token_hex(8)
        self.writer = Writer(store, to_reactor, soon, observer)
        # One piece of what is large is in a commit, and no more.
        self._large = DeferredLock()

    def open(self) -> Deferred[None]:
        """Start the writer, and make or migrate the tables."""
        self.writer.start()
        return self.writer.submit(sweep)

    def close(self) -> Deferred[None]:
        """Give back what is held, finish what was asked for, and let go of the database."""
        self.writer.submit(lambda session: _release(session, self.owner)).addErrback(lambda _: None)
        return self.writer.stop()

    def append(self, delivery: Delivery, changes: list[Change], sinks: Sequence[str]) -> Deferred[Appended]:
        """Store an accepted delivery, its changes, and the duty to deliver them to *sinks*."""
        if len(delivery.body) <= LARGE:
            return self.writer.submit(Append.of(delivery, changes, sinks))
        return self._large.run(
            self._with_pieces,
            [body_in_pieces(delivery.body), changes_in_pieces(changes)],
            lambda session, *names: _append_large(
                session, Append.of(delivery, changes, sinks, *names), names
            ),
        )

    @inlineCallbacks
    def _with_pieces(self, contents: Iterable[Iterable[Piece]], operation: Callable[..., Any]) -> Any:
        """Bring what is large to the store, and then run an operation that is given its names."""
        names: list[str] = []
        try:
            for pieces in contents:
                names.append(token_hex(8))
                for piece in pieces:
                    yield self.writer.submit(_Bring(names[-1], piece))
            return (yield self.writer.submit(lambda session: operation(session, *names)))
        except Unavailable:
            left = self.writer.submit(lambda session: discard(session, names))
            left.addErrback(lambda _: None)  # It will be swept away.
            raise

    def postpone(self, delivery: Delivery) -> Deferred[Appended]:
        """Store a delivery whose changes are not known yet; this receiver holds it."""
        operation = partial(_postpone, delivery=delivery, owner=self.owner)
        if len(delivery.body) <= LARGE:
            return self.writer.submit(operation)
        return self._large.run(
            self._with_pieces,
            [body_in_pieces(delivery.body)],
            lambda session, body: operation(session, large_body=body),
        )

    def finish(self, seq: int, changes: list[Change], sinks: Sequence[str]) -> Deferred[bool]:
        """Store the changes of a pending delivery, and the duty to deliver them."""
        return self._finish(seq, changes, sinks, ("pending", "pending"))

    def replay(self, seq: int, changes: list[Change], sinks: Sequence[str]) -> Deferred[bool]:
        """Store the changes of a delivery that was delivered, or failed, and the duty to deliver them."""
        return self._finish(seq, changes, sinks, ("delivered", "failed"))

    def _finish(
        self, seq: int, changes: list[Change], sinks: Sequence[str], states: tuple[str, str]
    ) -> Deferred[bool]:
        encoded = _encode(changes)
        finish = _Finish(seq, states, Packed(b""), len(changes), _queues(changes, sinks))
        if len(encoded) <= LARGE:
            finish.changes = packed(encoded)
            return self.writer.submit(lambda session: _finish(session, finish))
        return self._large.run(
            self._with_pieces,
            [changes_in_pieces(changes)],
            lambda session, large: _finish(session, finish, large),
        )

    def fail(self, seq: int, error: str) -> Deferred[None]:
        """Record that a pending delivery cannot be finished."""
        return self.writer.submit(lambda session: _fail(session, seq, error))

    def put_off(self, seq: int, due: float, error: str) -> Deferred[None]:
        """Record that a pending delivery could not be finished now, and is to be tried again."""
        return self.writer.submit(lambda session: _put_off(session, seq, due, error))

    def pending(self, now: float, limit: int) -> Deferred[list[Pending]]:
        """Take hold of at most *limit* pending deliveries that nobody holds."""
        return self.writer.submit(lambda session: _pending(session, self.owner, now, limit))

    def claim(self, sinks: Sequence[str], now: float, limit: int) -> Deferred[Claimed]:
        """Take hold of at most *limit* queues that are due."""
        return self.writer.submit(lambda session: _claim(session, self.owner, sinks, now, limit))

    def settle(self, outcomes: Sequence[Outcome]) -> Deferred[None]:
        """Record what became of work, and let go of its queue."""
        return self.writer.submit(lambda session: _settle(session, self.owner, outcomes))

    def renew(self, queues: Collection[tuple[str, str]], pending: Collection[int]) -> Deferred[None]:
        """Renew the leases on what this receiver knows that it holds."""
        held, seqs = list(queues), list(pending)
        return self.writer.submit(lambda session: _renew(session, self.owner, held, seqs))

    def prune(self, before: float) -> Deferred[int]:
        """Delete some deliveries that were received before then and delivered to every sink."""
        return self.writer.submit(lambda session: prune(session, before))

    def remember(self, name: str, value: bytes) -> Deferred[None]:
        """Keep a value under a name."""
        return self.writer.submit(lambda session: _remember(session, name, value))

    def recall(self, name: str) -> Deferred[bytes | None]:
        """The value that is kept under a name."""
        return self.writer.submit(lambda session: _recall(session, name))

    def lease(self, name: str, seconds: float) -> Deferred[bool]:
        """Hold a name for so many seconds, unless another receiver does."""
        return self.writer.submit(lambda session: _lease(session, name, self.owner, seconds))

    def release(self, name: str) -> Deferred[None]:
        """Let go of a name."""
        return self.writer.submit(lambda session: _let_go_of(session, name, self.owner))

    def delivery(self, seq: int) -> Deferred[Delivery]:
        """The delivery at a place."""
        found: Deferred[Delivery | None] = self.writer.submit(lambda session: _delivery(session, seq))
        return found.addCallback(_there, seq)

    def waiting_sinks(self) -> Deferred[list[str]]:
        """The sinks for which changes wait."""
        return self.writer.submit(_waiting_sinks)


# Storing ------------------------------------------------------------------------------------------

#: What an index holds; SQLite uses it only where this is said.
_UNDONE = "state <> 'delivered'"
_PENDING = f"state = 'pending' AND {_UNDONE}"

_STORED_COLUMNS = (
    *("dialect", "id", "received", "state", "head", "body", "body_size", "changes", "changes_size", "count"),
    *("large_body", "large_changes", "owner", "lease"),
)
_INSERT = f"INSERT INTO deliveries ({', '.join(_STORED_COLUMNS)})"
_OF_ONE = f"({', '.join('?' * len(_STORED_COLUMNS))})"
_UPDATES = ", ".join(f"{column} = excluded.{column}" for column in _STORED_COLUMNS[2:])
_REVIVE = (
    f"{_INSERT} VALUES {_OF_ONE} ON CONFLICT (dialect, id) DO UPDATE SET {_UPDATES}, due = 0, attempts = 0,"
    " error = '' WHERE deliveries.state = 'failed' RETURNING seq"
)
_FORGET_FAILURE = (
    "DELETE FROM dead_letters WHERE seq IN"
    " (SELECT seq FROM deliveries WHERE dialect = ? AND id = ? AND state = 'failed')"
)


@lru_cache(maxsize=4 * ROWS)
def _of_many(statement: str, of_one: str, rows: int) -> str:
    return statement.replace("...", ", ".join([of_one] * rows))


class Append(msgspec.Struct, frozen=True):
    """The operation that stores an accepted delivery. A group of them is stored with one statement.

    :param name: its dialect and id.
    :param row: all of its columns.
    :param queues: the duties to come with it: sinks, and names of queues.
    """

    name: Name
    row: tuple[Any, ...]
    queues: list[tuple[str, str]]

    @property
    def size(self) -> int:
        """About how much it writes, in bytes."""
        _, _, _, _, head, body, _, changes, *_ = self.row
        return SMALL + len(head) + len(body) + len(changes)

    @classmethod
    def of(
        cls,
        delivery: Delivery,
        changes: list[Change],
        sinks: Sequence[str],
        large_body: str = "",
        large_changes: str = "",
    ) -> Append:
        """Made in the reactor's thread, so that the writer's has nothing to do but write.

        :param large_body: the name of the body, when it is stored in pieces.
        :param large_changes: the name of the changes.
        """
        queues = _queues(changes, sinks) if sinks else []
        state = "accepted" if sinks else "delivered"
        row = _row(
            delivery,
            state,
            packed(b"" if large_changes else _encode(changes)),
            len(changes),
            large_body=large_body,
            large_changes=large_changes,
        )
        return cls((delivery.dialect, delivery.id or ""), row, queues)


class _Bring(msgspec.Struct, frozen=True):
    """The operation that stores a piece of what is called *name*."""

    name: str
    piece: Piece

    def __call__(self, session: Session) -> None:
        store(session, self.name, self.piece)

    @property
    def size(self) -> int:
        """About how much it writes, in bytes."""
        return SMALL + len(self.piece.data)


def run_operations(session: Session, operations: Sequence[Operation]) -> list[Any]:
    """Run operations one after the other, and what stands together to be appended at once."""
    results: list[Any] = []
    for alike, group in groupby(operations, _is_append):
        if alike:
            appends: list[Any] = list(group)
            for first in range(0, len(appends), ROWS):
                results += _append(session, appends[first : first + ROWS])
        else:
            results += [operation(session) for operation in group]
    return results


def is_one_statement(operations: Sequence[Operation]) -> bool:
    """True when nothing has to be stored together, but for what one statement stores."""
    return len(operations) <= ROWS and all(
        _is_append(operation) and not operation.queues for operation in operations
    )


def size(operations: Sequence[Operation]) -> int:
    """About how much operations write, in bytes."""
    return sum(getattr(operation, "size", SMALL) for operation in operations)


def _is_append(operation: object) -> bool:
    return operation.__class__ is Append


def _append(session: Session, appends: list[Append]) -> list[Appended]:
    # Of two with one name, the first.
    first: dict[Name, Append] = {}
    for append in appends:
        first.setdefault(append.name, append)
    stored = _insert(session, first)
    results = []
    duties = []
    for append in appends:
        seq = stored.get(append.name) if first[append.name] is append else None
        results.append(_DUPLICATE if seq is None else Appended(duplicate=False, seq=seq))
        if seq is not None and append.queues:
            duties += [(*queue, seq) for queue in append.queues]
    if duties:
        _owe(session, duties)
    return results


_DUPLICATE = Appended(duplicate=True)


def _insert(session: Session, appends: Mapping[Name, Append]) -> dict[Name, int]:
    """Store deliveries, also those that came before and failed.

    :returns: the places of those that were stored.
    """
    names = list(appends)
    statement = _of_many(f"{_INSERT} VALUES ... ON CONFLICT DO NOTHING", _OF_ONE, len(names))
    stored = session.insert(statement, names, [value for append in appends.values() for value in append.row])
    if len(stored) < len(names):
        for name in names:
            if name not in stored:
                session.execute(_FORGET_FAILURE, name)
                row = session.execute(_REVIVE, appends[name].row).fetchone()
                if row is not None:
                    stored[name] = row[0]
    return stored


def _append_large(session: Session, append: Append, names: Sequence[str]) -> Appended:
    (appended,) = _append(session, [append])
    _keep(session, appended, names)
    return appended


def _keep(session: Session, appended: Appended, names: Sequence[str]) -> None:
    """Make what was brought a part of its delivery, instead of what it had when it failed."""
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
    large_body: str = "",
    large_changes: str = "",
    owner: str = "",
    lease: float = 0.0,
) -> tuple[Any, ...]:
    head, body = delivery.dump()
    about = (delivery.dialect, delivery.id, delivery.received, state)
    content = (*packed(b"" if large_body else body), *changes)
    return (*about, head, *content, count, large_body, large_changes, owner, lease)


def _queues(changes: list[Change], sinks: Sequence[str]) -> list[tuple[str, str]]:
    return [(sink, queue) for sink in sinks for queue in {queue_name(change) for change in changes}]


def _owe(session: Session, duties: list[tuple[str, str, int]]) -> None:
    """Note the duty to deliver: to a sink, in a queue, the changes of the delivery at a place."""
    # Queues are claimed in the order in which they became due.
    now = time()
    queues = sorted({(sink, queue, now) for sink, queue, _ in duties})
    _store_rows(
        session, "INSERT INTO queues (sink, repository, due) VALUES ... ON CONFLICT DO NOTHING", queues
    )
    _store_rows(
        session,
        "INSERT INTO duties (sink, repository, seq) VALUES ..."
        " ON CONFLICT (sink, repository, seq) DO UPDATE SET next = 0",
        duties,
    )


def _store_rows(session: Session, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    of_one = f"({', '.join('?' * len(rows[0]))})"
    for first in range(0, len(rows), ROWS):
        some = rows[first : first + ROWS]
        session.execute(_of_many(statement, of_one, len(some)), [value for row in some for value in row])


def queue_name(change: Change) -> str:
    """What the queue of a change's repository is called: its address, made fit to be indexed."""
    name = change.repository
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME // 2]}...{sha256(name.encode()).hexdigest()}"
    return name.replace("\0", "\ufffd")


def _postpone(session: Session, delivery: Delivery, owner: str, large_body: str = "") -> Appended:
    lease = session.clock() + LEASE
    row = _row(delivery, "pending", Packed(b"[]"), 0, large_body=large_body, owner=owner, lease=lease)
    (appended,) = _append(session, [Append((delivery.dialect, delivery.id or ""), row, [])])
    if large_body:
        _keep(session, appended, [large_body])
    return appended


class _Finish(msgspec.Struct):
    """The changes of a delivery that is stored, and the duties to come with them.

    :param states: those in which it may be.
    :param changes: in JSON; empty when they are stored in pieces.
    """

    seq: int
    states: tuple[str, str]
    changes: Packed
    count: int
    queues: list[tuple[str, str]]


def _finish(session: Session, finish: _Finish, large: str = "") -> bool:
    row = session.execute(
        "SELECT large_changes FROM deliveries WHERE seq = ? AND (state = ? OR state = ?)",
        (finish.seq, *finish.states),
    ).fetchone()
    if row is None:
        discard(session, [large])
        # A commit may have been done although its answer was lost.
        return bool(large) and attached_to(session, large) == finish.seq
    session.execute(
        "UPDATE deliveries SET state = ?, changes = ?, changes_size = ?, count = ?, large_changes = ?,"
        " owner = '', error = '' WHERE seq = ?",
        (
            "accepted" if finish.queues else "delivered",
            *finish.changes,
            finish.count,
            large,
            finish.seq,
        ),
    )
    delete(session, row[0])
    if large:
        attach(session, finish.seq, [large])
    session.execute("DELETE FROM dead_letters WHERE seq = ?", (finish.seq,))
    if finish.queues:
        _owe(session, [(*queue, finish.seq) for queue in finish.queues])
    return True


def _fail(session: Session, seq: int, error: str) -> None:
    session.execute(
        "UPDATE deliveries SET state = 'failed', owner = '', error = ? WHERE seq = ? AND state = 'pending'",
        (error, seq),
    )


def _put_off(session: Session, seq: int, due: float, error: str) -> None:
    session.execute(
        "UPDATE deliveries SET owner = '', due = ?, attempts = attempts + 1, error = ? WHERE seq = ?"
        " AND state = 'pending'",
        (due, error, seq),
    )


#: Held by nobody; or not known to be held any more, by this receiver either: a claim's answer was lost.
_FREE = "(owner = '' OR lease <= ?)"


def _pending(session: Session, owner: str, now: float, limit: int) -> list[Pending]:
    clock = session.clock()
    rows = session.execute(
        f"SELECT seq, attempts, {_STORED} FROM deliveries WHERE {_PENDING}"
        f" AND {_FREE} AND (due <= ? OR due > ?) ORDER BY seq LIMIT ?",
        (clock, now, now + LONGEST_DUE, limit),
    ).fetchall()
    session.executemany(
        "UPDATE deliveries SET owner = ?, lease = ? WHERE seq = ?",
        [(owner, clock + LEASE, row[0]) for row in rows],
    )
    return [Pending(seq, attempts, _restored(session, stored)) for seq, attempts, *stored in rows]


#: What a delivery is restored from.
_STORED = "dialect, id, received, head, body, body_size, large_body"
#: And its changes.
_CHANGES = "changes, changes_size, large_changes"


def _restored(session: Session, stored: Sequence[Any]) -> Delivery:
    dialect, name, received, head, body, body_size, large_body = stored
    body = read(session, large_body) if large_body else Packed(body, body_size).unpacked()
    return Delivery.restore(head, body, id=name, dialect=dialect, received=received)


# Delivering ---------------------------------------------------------------------------------------


def _claim(session: Session, owner: str, sinks: Sequence[str], now: float, limit: int) -> Claimed:
    works: list[Work] = []
    next_due: float | None = None
    clock = session.clock()
    for sink in sinks:
        free = f"FROM queues WHERE sink = ? AND {_FREE} AND due"
        soonest = session.execute(
            f"SELECT due {free} > ? AND due <= ? ORDER BY due LIMIT 1",
            (sink, clock, now, now + LONGEST_DUE),
        ).fetchone()
        if soonest is not None:
            next_due = soonest[0] if next_due is None else min(soonest[0], next_due)
        room = limit - len(works)
        queues = session.execute(
            f"SELECT repository, attempts {free} <= ? ORDER BY due, repository LIMIT ?",
            (sink, clock, now, room),
        ).fetchall()
        queues += session.execute(
            f"SELECT repository, attempts {free} > ? ORDER BY due, repository LIMIT ?",
            (sink, clock, now + LONGEST_DUE, room - len(queues)),
        ).fetchall()
        session.executemany(
            "UPDATE queues SET owner = ?, lease = ? WHERE sink = ? AND repository = ?",
            [(owner, clock + LEASE, sink, repository) for repository, _ in queues],
        )
        works += [
            Work(sink, repository, attempts, _duties(session, sink, repository))
            for repository, attempts in queues
        ]
    return Claimed(works, next_due)


def _duties(session: Session, sink: str, repository: str) -> list[Duty]:
    duties: list[Duty] = []
    room, last = CLAIM, 0
    while room > 0:
        row = session.execute(
            f"SELECT seq, next, dialect, id, {_CHANGES} FROM duties JOIN deliveries USING (seq)"
            " WHERE sink = ? AND repository = ? AND seq > ? ORDER BY seq LIMIT 1",
            (sink, repository, last),
        ).fetchone()
        if row is None:
            break
        last, first, dialect, name, *stored = row
        owed: list[tuple[ChangeKey, Change]] = []
        rest: int | None = first
        while rest is not None and not owed:
            start, changes, rest = _changes_from(session, rest, *stored)
            owed = [
                (ChangeKey(dialect, name, index), change)
                for index, change in enumerate(changes, start)
                if index >= first and queue_name(change) == repository
            ]
        duties.append(Duty(last, owed, rest))
        if rest is not None:
            break
        room -= max(len(owed), 1)
    return duties


def _changes_from(
    session: Session, index: int, changes: bytes, size: int | None, large: str
) -> tuple[int, list[Change], int | None]:
    """Some of the stored changes, with the one at *index*: the index of the first of them, they, and the
    index of the first behind them.
    """
    if not large:
        return 0, _decode(Packed(changes, size).unpacked()), None
    document = document_with(session, large, index)
    found = _decode(b"[%b]" % read(session, large, document))
    return document, found, document_after(session, large, document)


def _all_changes(session: Session, changes: bytes, size: int | None, large: str) -> Iterator[Change]:
    index: int | None = 0
    while index is not None:
        _, found, index = _changes_from(session, index, changes, size, large)
        yield from found


def _settle(session: Session, owner: str, outcomes: Sequence[Outcome]) -> None:
    for reported in outcomes:
        queue = (reported.sink, reported.repository)
        outcome = reported if _is_held(session, owner, queue) else _believed(reported)
        session.executemany(
            "INSERT INTO dead_letters (sink, seq, change, error) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (sink, seq, change) DO UPDATE SET error = excluded.error",
            [(outcome.sink, *letter) for letter in outcome.dead],
        )
        for seq, following in outcome.done:
            if following is not None:
                session.execute(
                    "UPDATE duties SET next = ? WHERE sink = ? AND repository = ? AND seq = ? AND next < ?",
                    (following, *queue, seq, following),
                )
                continue
            session.execute("DELETE FROM duties WHERE sink = ? AND repository = ? AND seq = ?", (*queue, seq))
            _look_done(session, seq)
        _let_go(session, owner, outcome)


def _is_held(session: Session, owner: str, queue: tuple[str, str]) -> bool:
    """Whether a queue is this receiver's, or nobody else's."""
    row = session.execute("SELECT owner FROM queues WHERE sink = ? AND repository = ?", queue).fetchone()
    return row is not None and row[0] in ("", owner)


def _believed(outcome: Outcome) -> Outcome:
    """What counts of a receiver that has lost its lease: what was taken before its first failure."""
    given_up: dict[int, int] = {}
    for letter in outcome.dead:
        given_up.setdefault(letter.seq, letter.index)
    done = [(seq, given_up.get(seq, following)) for seq, following in outcome.done]
    return msgspec.structs.replace(outcome, done=done, dead=[])


def _look_done(session: Session, seq: int) -> None:
    session.execute(
        "UPDATE deliveries SET state = CASE WHEN EXISTS"
        " (SELECT 1 FROM dead_letters WHERE dead_letters.seq = deliveries.seq)"
        " THEN 'failed' ELSE 'delivered' END WHERE seq = ?"
        " AND NOT EXISTS (SELECT 1 FROM duties WHERE duties.seq = deliveries.seq)",
        (seq,),
    )


def _let_go(session: Session, owner: str, outcome: Outcome) -> None:
    queue = (outcome.sink, outcome.repository)
    emptied = session.execute(
        "DELETE FROM queues WHERE sink = ? AND repository = ? AND NOT EXISTS (SELECT 1 FROM duties"
        " WHERE duties.sink = queues.sink AND duties.repository = queues.repository)",
        queue,
    ).rowcount
    if not emptied:
        session.execute(
            "UPDATE queues SET owner = '', due = ?, attempts = ?, error = ?"
            " WHERE sink = ? AND repository = ? AND (owner = '' OR owner = ?)",
            (outcome.due or time(), outcome.attempts, outcome.error, *queue, owner),
        )


def _renew(session: Session, owner: str, queues: Sequence[tuple[str, str]], pending: Sequence[int]) -> None:
    until = session.clock() + LEASE
    session.executemany(
        "UPDATE queues SET lease = ? WHERE owner = ? AND sink = ? AND repository = ?",
        [(until, owner, *queue) for queue in queues],
    )
    session.executemany(
        f"UPDATE deliveries SET lease = ? WHERE owner = ? AND seq = ? AND {_PENDING}",
        [(until, owner, seq) for seq in pending],
    )


def _release(session: Session, owner: str) -> None:
    session.execute("UPDATE queues SET owner = '' WHERE owner = ?", (owner,))
    session.execute(f"UPDATE deliveries SET owner = '' WHERE owner = ? AND {_PENDING}", (owner,))


def release_all(session: Session) -> None:
    """Give back what all receivers hold, and sweep away what they left lying. For when there is none."""
    session.execute("UPDATE queues SET owner = '' WHERE owner <> ''")
    session.execute("DELETE FROM memory WHERE name LIKE ?", (f"{_LEASE_NAME}%",))
    sweep(session, everything=True)
    session.execute(f"UPDATE deliveries SET owner = '' WHERE owner <> '' AND {_PENDING}")


def _delivery(session: Session, seq: int) -> Delivery | None:
    row = session.execute(f"SELECT {_STORED} FROM deliveries WHERE seq = ?", (seq,)).fetchone()
    return None if row is None else _restored(session, row)


def _there(delivery: Delivery | None, seq: int) -> Delivery:
    if delivery is None:
        raise LookupError(f"no delivery is at place {seq}")
    return delivery


def _waiting_sinks(session: Session) -> list[str]:
    return [sink for (sink,) in session.execute("SELECT DISTINCT sink FROM queues ORDER BY sink").fetchall()]


def _remember(session: Session, name: str, value: bytes) -> None:
    session.execute(
        "INSERT INTO memory (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def _recall(session: Session, name: str) -> bytes | None:
    row = session.execute("SELECT value FROM memory WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


class _Lease(msgspec.Struct, frozen=True):
    """Who holds a name, and until when by the clock of the leases."""

    owner: str
    until: float
    seconds: float


_LEASE_NAME = "lease "


def _held(session: Session, name: str) -> _Lease | None:
    """The lease on a name; None for one that has run out, or that a clock before this one gave."""
    stored = _recall(session, _LEASE_NAME + name)
    if stored is None:
        return None
    lease = msgspec.json.decode(stored, type=_Lease)
    return lease if 0 < lease.until - session.clock() <= lease.seconds else None


def _lease(session: Session, name: str, owner: str, seconds: float) -> bool:
    held = _held(session, name)
    if held is not None and held.owner != owner:
        return False
    lease = _Lease(owner, session.clock() + seconds, seconds)
    _remember(session, _LEASE_NAME + name, msgspec.json.encode(lease))
    return True


def _let_go_of(session: Session, name: str, owner: str) -> None:
    held = _held(session, name)
    if held is not None and held.owner == owner:
        session.execute("DELETE FROM memory WHERE name = ?", (_LEASE_NAME + name,))


def prune(session: Session, before: float, *, failed: bool = False) -> int:
    """Delete some deliveries that are delivered to every sink: :data:`PAGE` of them, or a large one.

    :param before: those that were received before then, in seconds since the epoch.
    :param failed: those that failed, instead.
    :returns: how many; 0: there are no more.
    """
    state = f"state = 'failed' AND {_UNDONE}" if failed else "state = 'delivered'"
    found = session.execute(
        f"SELECT seq, large_body <> '' FROM deliveries WHERE {state} AND received < ?"
        " ORDER BY received LIMIT ?",
        (before, PAGE),
    ).fetchall()
    until_large = next((index for index, (_, large) in enumerate(found) if large), len(found))
    rows = [(seq,) for seq, _ in found[: until_large or 1]]
    session.executemany("DELETE FROM dead_letters WHERE seq = ?", rows)
    discard_of(session, [seq for (seq,) in rows])
    session.executemany("DELETE FROM deliveries WHERE seq = ?", rows)
    return len(rows)


# Reading ------------------------------------------------------------------------------------------


class Reader:
    """Reads a journal, beside whoever writes it, a page at a time.

    :param session: a connection of its own.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def changes(self, after: int = 0) -> Iterator[StoredChange]:
        """The changes of the deliveries behind place *after*, oldest first."""
        statement = (
            f"SELECT seq, dialect, id, {_CHANGES} FROM deliveries WHERE seq > ? AND count > 0"
            " ORDER BY seq LIMIT ?"
        )
        for seq, dialect, name, *stored in self._pages(statement, after, (), CHANGES_PAGE):
            for index, change in enumerate(_all_changes(self._session, *stored)):
                yield StoredChange(seq, ChangeKey(dialect, name, index), change)

    def deliveries(self, wanted: Wanted | None = None) -> Iterator[StoredDelivery]:
        """Deliveries, oldest first."""
        wanted = wanted or Wanted()
        conditions = {
            "state = ?": wanted.state,
            "dialect = ?": wanted.dialect,
            "received >= ?": wanted.since,
            "received < ?": wanted.until,
        }
        asked = {condition: value for condition, value in conditions.items() if value is not None}
        undone = [_UNDONE] if wanted.state not in (None, "delivered") else []
        where = " AND ".join(["seq > ?", *asked, *undone])
        content = "'', NULL, ''" if wanted.repository is None else _CHANGES
        statement = f"SELECT {_COLUMNS}, {content} FROM deliveries WHERE {where} ORDER BY seq LIMIT ?"
        for *row, changes, size, large in self._pages(statement, 0, asked.values(), PAGE):
            if wanted.repository is None or any(
                fnmatchcase(change.repository, wanted.repository)
                for change in _all_changes(self._session, changes, size, large)
            ):
                yield StoredDelivery(*row)

    def _pages(self, statement: str, after: int, parameters: Iterable[Any], page: int) -> Iterator[Any]:
        while True:
            rows = self._session.execute(statement, (after, *parameters, page)).fetchall()
            yield from rows
            if len(rows) < page:
                return
            after = rows[-1][0]

    def find(self, name: str) -> list[int]:
        """The places of the deliveries called *name*: an id, or a dialect and an id, with a slash between."""
        dialect, _, rest = name.partition("/")
        rows = self._session.execute(
            "SELECT seq FROM deliveries WHERE id = ? UNION"
            " SELECT seq FROM deliveries WHERE dialect = ? AND id = ? ORDER BY seq",
            (name, dialect, rest),
        ).fetchall()
        return [seq for (seq,) in rows]

    def whole(self, seq: int) -> Whole:
        """All that is known of the delivery at place *seq*.

        :raises LookupError: there is none.
        """
        row = self._session.execute(
            f"SELECT {_STORED}, {_CHANGES}, {_COLUMNS} FROM deliveries WHERE seq = ?",
            (seq,),
        ).fetchone()
        if row is None:
            raise LookupError(seq)
        delivery = _restored(self._session, row[:7])
        changes = list(_all_changes(self._session, *row[7:10]))
        stored = StoredDelivery(*row[10:])
        waiting = self._session.execute(
            "SELECT sink, 'waiting', next, attempts, due, error"
            " FROM duties JOIN queues USING (sink, repository) WHERE seq = ? ORDER BY sink, next",
            (seq,),
        ).fetchall()
        dead = self._session.execute(
            "SELECT sink, 'failed', change, 0, 0, error FROM dead_letters"
            " WHERE seq = ? ORDER BY sink, change",
            (seq,),
        ).fetchall()
        return Whole(stored, delivery, changes, [SinkState(*row) for row in [*waiting, *dead]])


_SIZE = (
    "CASE WHEN large_body = '' THEN coalesce(body_size, length(body))"
    " ELSE (SELECT sum(coalesce(size, length(data))) FROM pieces WHERE name = large_body) END"
)
_COLUMNS = f"seq, dialect, id, received, state, count, {_SIZE}, error"

__all__ = [
    "CLAIM",
    "LONGEST_DUE",
    "PAGE",
    "Name",
    "Reader",
    "SQLJournal",
    "SchemaError",
    "Session",
    "is_one_statement",
    "prune",
    "queue_name",
    "refuse_newer",
    "refuse_other",
    "release_all",
    "run_operations",
    "size",
]
