"""Reads a journal while others write to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from time import monotonic, time
from typing import Any

from change_hooks.journal.contents import CHANGES, all_changes, restored
from change_hooks.journal.outbox import changes_of_queue
from change_hooks.journal.records import Attempt, ChangeKey, Wish
from change_hooks.journal.replays import wish_at
from change_hooks.journal.schema import IS_ACCEPTED, IS_TRACE, UNDONE
from change_hooks.journal.searching import COLUMNS, PAGE, routes_in, search
from change_hooks.journal.session import Row, Session, among
from change_hooks.journal.views import (
    Listed,
    SinkState,
    SinkSummary,
    SinkWord,
    StoredChange,
    StoredDelivery,
    Summary,
    Wanted,
    Whole,
)

#: How many rows with changes are read at once.
CHANGES_PAGE = 20
#: How many deliveries are found whose ids have a common beginning.
FOUND = 20

#: Greater than any ``seq``.
_FAR = 2**62
_LAST_CHARACTER = "\U0010ffff"

SELECT_WITH_CHANGES = (
    f"SELECT seq, dialect, id, {CHANGES} FROM deliveries WHERE seq > ? AND count > 0 ORDER BY seq LIMIT ?"
)
SELECT_CHANGES = f"SELECT seq, dialect, id, {CHANGES} FROM deliveries WHERE seq = ?"
_BEGINS = "id >= ? AND id < ? AND (? = '' OR dialect = ?)"
FIND = (
    f"SELECT seq, id FROM deliveries WHERE {_BEGINS} AND {IS_ACCEPTED} UNION ALL"
    f" SELECT seq, id FROM deliveries WHERE {_BEGINS} AND {IS_TRACE} ORDER BY id LIMIT ?"
)
SELECT_WHOLE = f"SELECT {COLUMNS}, head, body, body_size, large_body, {CHANGES} FROM deliveries WHERE seq = ?"
SELECT_WAITING = (
    "SELECT sink, entries.repository, next, attempts, due, error"
    " FROM entries JOIN queues USING (sink, repository) WHERE seq = ? ORDER BY sink, next"
)
#: A sink that cannot accept anything now has not failed, but there is an error.
#: The best outcome of attempts: taken, superseded, or unwanted.
MOST = "max(CASE outcome WHEN 'taken' THEN 3 WHEN 'superseded' THEN 2 WHEN 'unwanted' THEN 1 ELSE 0 END)"
FAILING = "CASE WHEN attempts > 0 OR error <> '' THEN 1 ELSE 0 END"
ATTEMPTS_OF_WAITING = (
    f"SELECT seq, sink, {FAILING} AS attempts FROM entries JOIN queues USING (sink, repository)"
)
SELECT_DEAD = "SELECT sink, repository, change, error FROM dead_letters WHERE seq = ? ORDER BY sink, change"
SELECT_ATTEMPTS = (
    "SELECT seq, sink, repository, change, at, seconds, outcome, error, output FROM attempts WHERE seq = ?"
    " ORDER BY at, sink, number"
)
SELECT_QUEUES = (
    f"SELECT sink, count(*) AS queues, sum({FAILING}) AS retrying,"
    " max(attempts) AS attempts, max(error) AS error FROM queues GROUP BY sink"
)
# The oldest is the first that was stored; reading only the queues' index is fast even if many entries wait.
SELECT_WAITING_SINCE = (
    "SELECT sink, waiting, received AS since FROM deliveries JOIN"
    " (SELECT sink, count(*) AS waiting, min(seq) AS seq FROM entries GROUP BY sink) AS oldest USING (seq)"
)
SELECT_LAST_RECEIVED = (
    "SELECT dialect, max(received) AS received, max(seq) AS newest FROM deliveries"
    " WHERE seq > ? AND state <> 'refused' GROUP BY dialect"
)
#: The row of this ``seq`` may have been deleted, and soon also those after it.
SELECT_RECEIVED = (
    "SELECT coalesce(max(received), 0) AS received FROM"
    " (SELECT received FROM deliveries WHERE seq >= ? ORDER BY seq LIMIT 1) AS first"
)
COUNT_DEAD = "SELECT sink, count(*) AS dead FROM dead_letters GROUP BY sink"
COUNT_PENDING = f"SELECT count(*) AS pending FROM deliveries WHERE state = 'pending' AND {UNDONE}"


class Reader:
    """Reads a journal. Everything is read a page at a time, so nothing stays in memory or locked for long.

    :param session: a separate connection.
    """

    def __init__(self, session: Session) -> None:
        #: The connection.
        self.session = session

    # Lists of deliveries.

    def deliveries(
        self, wanted: Wanted | None = None, *, before: int | None = None, limit: int | None = None
    ) -> Iterator[StoredDelivery]:
        """Deliveries, newest first.

        :param before: only those before this ``seq``.
        :param limit: at most this many; None: all.
        """
        left = _FAR if limit is None else limit
        for _, rows in search(self.session, wanted or Wanted(), before):
            yield from self._lines(rows[:left])
            left -= len(rows)
            if left <= 0:
                return

    def page(self, wanted: Wanted, *, before: int | None = None, limit: int, within: float) -> Listed:
        """Some deliveries, newest first, for a page that must not take long.

        :param before: only those before this ``seq``.
        :param within: how long to search, in seconds; at least some rows are searched.
        """
        ends = monotonic() + within
        found: list[Row] = []
        for last, rows in search(self.session, wanted, before):
            found += rows
            if len(found) > limit:
                return Listed(self._lines(found[:limit]), found[limit - 1]["seq"])
            if last and monotonic() > ends:
                return Listed(self._lines(found), last, self._received(last))
        return Listed(self._lines(found))

    def _received(self, place: int) -> float:
        received: float = self.session.execute(SELECT_RECEIVED, (place,)).fetchone()["received"]
        return received

    def after(self, seq: int, limit: int = PAGE) -> list[StoredDelivery]:
        """The deliveries after a ``seq``, oldest first, for following the journal."""
        rows = self.session.execute(
            f"SELECT {COLUMNS} FROM deliveries WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
        ).fetchall()
        return self._lines(rows)

    def lines(self, seqs: Sequence[int]) -> list[StoredDelivery]:
        """The current state of some deliveries, for following the journal."""
        if not seqs:
            return []
        rows = self.session.execute(
            f"SELECT {COLUMNS} FROM deliveries WHERE seq {among(seqs)} ORDER BY seq", seqs
        ).fetchall()
        return self._lines(rows)

    def newest(self) -> int:
        """The ``seq`` of the newest delivery; 0: there is none."""
        row = self.session.execute("SELECT max(seq) AS newest FROM deliveries").fetchone()
        return row["newest"] or 0

    def _lines(self, rows: Sequence[Row]) -> list[StoredDelivery]:
        asked = [row["seq"] for row in rows if row["sinks"]]
        waiting = self._marked(ATTEMPTS_OF_WAITING, asked)
        dead = self._marked("SELECT seq, sink, 1 AS attempts FROM dead_letters", asked)
        skipped = self._skipped(asked)
        return [_line(row, _sinks(row, waiting, dead, skipped)) for row in rows]

    def _marked(self, select: str, seqs: Sequence[int]) -> dict[tuple[int, str], int]:
        found: dict[tuple[int, str], int] = {}
        if seqs:
            for row in self.session.execute(f"{select} WHERE seq {among(seqs)}", seqs).fetchall():
                key = (row["seq"], row["sink"])
                found[key] = max(found.get(key, 0), row["attempts"])
        return found

    def _skipped(self, seqs: Sequence[int]) -> dict[tuple[int, str], SinkWord]:
        """The deliveries and sinks without anything to deliver, because a newer change superseded it, or
        because nothing was wanted any longer.
        """
        if not seqs:
            return {}
        rows = self.session.execute(
            f"SELECT seq, sink, {MOST} AS most FROM attempts WHERE seq {among(seqs)} GROUP BY seq, sink"
            f" HAVING {MOST} IN (1, 2)",
            seqs,
        ).fetchall()
        words: tuple[SinkWord, SinkWord] = ("unwanted", "superseded")
        return {(row["seq"], row["sink"]): words[row["most"] - 1] for row in rows}

    # Single deliveries.

    def find(self, name: str) -> list[int]:
        """The ``seq`` of the deliveries whose id is *name*, or else of those whose id begins with it, at most
        :data:`FOUND`. *name* may also be a dialect and an id, separated by a slash.
        """
        dialect, _, rest = name.partition("/")
        found = self._begin_with("", name) + (self._begin_with(dialect, rest) if rest else [])
        exact = [seq for seq, found_id in found if found_id in (name, rest)]
        return sorted(set(exact or [seq for seq, _ in found]))

    def _begin_with(self, dialect: str, beginning: str) -> list[tuple[int, str]]:
        asked = (beginning, beginning + _LAST_CHARACTER, dialect, dialect)
        rows = self.session.execute(FIND, (*asked, *asked, FOUND)).fetchall()
        return [(row["seq"], row["id"]) for row in rows]

    def whole(self, seq: int, changes: int | None = None) -> Whole:
        """All that is known about the delivery *seq*.

        :param changes: at most this many changes; None: all.
        :raises LookupError: there is no such delivery.
        :raises Unreadable: the data is damaged.
        """
        row = self.session.execute(SELECT_WHOLE, (seq,)).fetchone()
        if row is None:
            raise LookupError(seq)
        (stored,) = self._lines([row])
        return Whole(
            stored,
            restored(self.session, row) if row["head"] else None,
            list(islice(all_changes(self.session, row), changes)),
            self._states(stored, row),
            self.attempts(seq),
        )

    def _states(self, stored: StoredDelivery, row: Row) -> list[SinkState]:
        now, clock = time(), self.session.clock()
        states = [
            SinkState(
                waiting["sink"],
                "retrying" if waiting["error"] else "waiting",
                waiting["repository"],
                self._first_waiting(row, waiting),
                waiting["attempts"],
                now + waiting["due"] - clock if waiting["error"] else 0.0,
                waiting["error"],
            )
            for waiting in self.session.execute(SELECT_WAITING, (stored.seq,)).fetchall()
        ]
        states += [
            SinkState(dead["sink"], "failed", dead["repository"], dead["change"], error=dead["error"])
            for dead in self.session.execute(SELECT_DEAD, (stored.seq,)).fetchall()
        ]
        open_ones = {state.sink for state in states}
        states += [SinkState(name, word) for name, word in stored.sinks.items() if name not in open_ones]
        return states

    def _first_waiting(self, row: Row, entry: Row) -> int:
        """The index of the first change of an entry's queue that is not done."""
        changes, _ = changes_of_queue(self.session, row, entry["repository"], entry["next"])
        return next((index for index, _ in changes), entry["next"])

    def attempts(self, seq: int) -> list[Attempt]:
        """The attempts to deliver *seq*, oldest first: for each sink, the first and the last five."""
        return [
            Attempt(
                sink=row["sink"],
                repository=row["repository"],
                index=row["change"],
                at=row["at"],
                seconds=row["seconds"],
                outcome=row["outcome"],
                error=row["error"],
                output=row["output"],
                seq=seq,
            )
            for row in self.session.execute(SELECT_ATTEMPTS, (seq,)).fetchall()
        ]

    def wish(self, seq: int) -> Wish | None:
        """The replay that was asked for; None: there is none, or it has been done."""
        return wish_at(self.session, seq)

    # The whole journal.

    def changes(self, after: int = 0) -> Iterator[StoredChange]:
        """The changes of the deliveries after a ``seq``, oldest first."""
        while True:
            rows = self.session.execute(SELECT_WITH_CHANGES, (after, CHANGES_PAGE)).fetchall()
            for row in rows:
                yield from self._changes(row)
            if len(rows) < CHANGES_PAGE:
                return
            after = rows[-1]["seq"]

    def changes_of(self, seq: int) -> Iterator[StoredChange]:
        """The changes of the delivery *seq*."""
        row = self.session.execute(SELECT_CHANGES, (seq,)).fetchone()
        if row is not None:
            yield from self._changes(row)

    def _changes(self, row: Row) -> Iterator[StoredChange]:
        for index, change in enumerate(all_changes(self.session, row)):
            yield StoredChange(row["seq"], ChangeKey(row["dialect"], row["id"], index), change)

    def last_received(self, after: int = 0) -> tuple[int, dict[str, float]]:
        """The newest ``seq``, and when each endpoint last received a delivery that was not refused.

        :param after: ignore deliveries up to this ``seq``.
        """
        rows = self.session.execute(SELECT_LAST_RECEIVED, (after,)).fetchall()
        newest = max((row["newest"] for row in rows), default=after)
        return newest, {row["dialect"]: row["received"] for row in rows}

    def summary(self) -> Summary:
        """What waits for each sink, since when, the dead letters, and the journal's size."""
        queues = {row["sink"]: row for row in self.session.execute(SELECT_QUEUES).fetchall()}
        waiting = {row["sink"]: row for row in self.session.execute(SELECT_WAITING_SINCE).fetchall()}
        dead = {row["sink"]: row["dead"] for row in self.session.execute(COUNT_DEAD).fetchall()}
        sinks = [
            SinkSummary(
                sink=name,
                queues=queues[name]["queues"] if name in queues else 0,
                waiting=waiting[name]["waiting"] if name in waiting else 0,
                retrying=queues[name]["retrying"] if name in queues else 0,
                since=waiting[name]["since"] if name in waiting else None,
                dead_letters=dead.get(name, 0),
                error=queues[name]["error"] if name in queues else "",
                attempts=queues[name]["attempts"] if name in queues else 0,
            )
            for name in sorted({*queues, *waiting, *dead})
        ]
        pending = self.session.execute(COUNT_PENDING).fetchone()["pending"]
        return Summary(pending, sinks, self.session.bytes())


def _sinks(
    row: Row,
    waiting: dict[tuple[int, str], int],
    dead: dict[tuple[int, str], int],
    skipped: dict[Any, SinkWord],
) -> dict[str, SinkWord]:
    words: dict[str, SinkWord] = {}
    for name, wanted in routes_in(row).items():
        key = (row["seq"], name)
        if key in dead:
            words[name] = "failed"
        elif key in waiting:
            words[name] = "retrying" if waiting[key] else "waiting"
        elif not wanted:
            words[name] = "unwanted"
        else:
            words[name] = skipped.get(key, "taken")
    return words


def _line(row: Row, sinks: dict[str, SinkWord]) -> StoredDelivery:
    return StoredDelivery(
        seq=row["seq"],
        dialect=row["dialect"],
        delivery=row["id"],
        event=row["event"],
        repository=row["repository"],
        branch=row["branch"],
        author=row["author"],
        received=row["received"],
        client=row["client"],
        status=row["status"],
        state=row["state"],
        reason=row["reason"],
        verification=row["verification"],
        changes=row["count"],
        bytes=row["size"],
        duplicates=row["duplicates"],
        recovered=row["recovered"],
        sinks=sinks,
    )


__all__ = ["FOUND", "PAGE", "Reader"]
