from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from change_hooks.change import Change
from change_hooks.delivery import Delivery
from change_hooks.errors import Unavailable
from change_hooks.interfaces import IJournal
from change_hooks.journal import Appended, ChangeKey, Claimed, DeadLetter, Outcome
from change_hooks.journal.sqlite import (
    CLAIM,
    SchemaError,
    SQLiteJournal,
    SQLiteStore,
    connect,
    connect_to_read,
    read_changes,
    read_deliveries,
)

from ..conftest import delivery, result_of


class Journal:
    """A journal whose writer runs in the test's thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = SQLiteJournal(path, lambda function, *arguments: function(*arguments))

    def run(self, deferred: Any) -> Any:
        self.journal.writer.run_group()
        return result_of(deferred)

    def append(
        self, name: str, *changes: Change, sinks: tuple[str, ...] = ("sink",), **more: Any
    ) -> Appended:
        received = delivery(b'{"a": 1}', id=name, dialect="base", received=5.0, **more)
        appended: Appended = self.run(self.journal.append(received, list(changes), sinks))
        return appended

    def claim(self, now: float = 0.0, limit: int = 10, exclude: Any = (), sinks: Any = ("sink",)) -> Claimed:
        claimed: Claimed = self.run(self.journal.claim(sinks, now, limit, exclude))
        return claimed

    def settle(self, *outcomes: Outcome) -> None:
        self.run(self.journal.settle(outcomes))

    def states(self) -> list[str]:
        return [stored.state for stored in read_deliveries(connect_to_read(self.path))]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


API = Change(repository="api", revision="1", comments="\u00e4")
WEB = Change(repository="web", revision="2")


def test_it_is_a_journal(journal: Journal) -> None:
    assert IJournal.providedBy(journal.journal)


def test_what_is_appended_can_be_read(journal: Journal) -> None:
    assert journal.append("1", API, WEB) == Appended(duplicate=False)
    connection = connect_to_read(journal.path)
    assert [(stored.key, stored.change) for stored in read_changes(connection)] == [
        (ChangeKey("base", "1", 0), API),
        (ChangeKey("base", "1", 1), WEB),
    ]
    (stored,) = read_deliveries(connection)
    assert (stored.dialect, stored.delivery, stored.received, stored.state) == ("base", "1", 5.0, "accepted")
    assert (stored.changes, stored.bytes) == (2, 8)
    assert next(read_changes(connection)).as_json()["delivery"] == "1"
    assert list(read_changes(connection, after=1)) == []


def test_the_delivery_is_stored_byte_for_byte(journal: Journal) -> None:
    journal.append("1", API, headers={"X-A": "b"})
    head, body = connect(journal.path).execute("SELECT head, body FROM deliveries").fetchone()
    restored = Delivery.restore(head, body, id="1", dialect="base", received=5.0)
    assert restored == delivery(b'{"a": 1}', id="1", dialect="base", received=5.0, headers={"X-A": "b"})
    assert restored.verified


def test_a_delivery_of_the_same_id_is_a_duplicate(journal: Journal) -> None:
    journal.append("1", API)
    assert journal.append("1", WEB) == Appended(duplicate=True)
    assert len(list(read_changes(connect_to_read(journal.path)))) == 1


def test_a_delivery_that_failed_may_come_again(journal: Journal) -> None:
    journal.append("1", API)
    journal.settle(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 0, "no")]))
    assert journal.states() == ["failed"]
    assert journal.append("1", WEB) == Appended(duplicate=False)
    assert journal.states() == ["accepted"]
    (work,) = journal.claim().works
    assert [change for _, change in work.duties[0].changes] == [WEB]
    journal.settle(Outcome("sink", "web", [(1, None)]))
    assert journal.states() == ["delivered"]


def test_without_sinks_a_delivery_is_delivered(journal: Journal) -> None:
    journal.append("1", API, sinks=())
    assert journal.states() == ["delivered"]
    assert journal.claim() == Claimed([], None)


def test_each_queue_is_worked_on_by_itself_and_in_order(journal: Journal) -> None:
    journal.append("1", API, WEB, API)
    journal.append("2", API)
    claimed = journal.claim()
    assert [(work.repository, work.attempts) for work in claimed.works] == [("api", 0), ("web", 0)]
    api, web = claimed.works
    assert [[key for key, _ in duty.changes] for duty in api.duties] == [
        [ChangeKey("base", "1", 0), ChangeKey("base", "1", 2)],
        [ChangeKey("base", "2", 0)],
    ]
    assert [key.index for key, _ in web.duties[0].changes] == [1]
    assert [work.repository for work in journal.claim(exclude={("sink", "api")}).works] == ["web"]
    assert [work.repository for work in journal.claim(limit=1).works] == ["api"]


def test_a_delivery_is_delivered_when_all_its_duties_are_done(journal: Journal) -> None:
    journal.append("1", API, WEB, sinks=("sink", "other"))
    for sink in ("sink", "other"):
        for repository in ("api", "web"):
            assert journal.states() == ["accepted"]
            journal.settle(Outcome(sink, repository, [(1, None)]))
    assert journal.states() == ["delivered"]
    assert journal.claim(sinks=("sink", "other")) == Claimed([], None)


def test_a_failure_puts_off_its_queue_alone(journal: Journal) -> None:
    journal.append("1", API, API)
    journal.append("2", WEB)
    journal.settle(Outcome("sink", "api", [(1, 1)], [], attempts=3, due=10.0, error="refused"))
    claimed = journal.claim(now=9.0)
    assert [work.repository for work in claimed.works] == ["web"]
    assert claimed.next_due == 10.0
    api = next(work for work in journal.claim(now=10.0).works if work.repository == "api")
    assert api.attempts == 3
    assert [key.index for key, _ in api.duties[0].changes] == [1]


def test_the_earliest_queue_of_all_sinks_is_the_next(journal: Journal) -> None:
    journal.append("1", API, sinks=("a", "b"))
    journal.settle(
        Outcome("a", "api", [(1, 0)], [], 1, 10.0, "x"), Outcome("b", "api", [(1, 0)], [], 1, 7.0, "x")
    )
    assert journal.claim(sinks=("a", "b")).next_due == 7.0
    assert journal.claim(sinks=("b", "a")).next_due == 7.0


def test_a_queue_is_taken_in_parts(journal: Journal) -> None:
    for number in range(3):
        journal.append(str(number), *[API] * (CLAIM // 2))
    (work,) = journal.claim().works
    assert [duty.seq for duty in work.duties] == [1, 2]
    journal.settle(Outcome("sink", "api", [(1, None), (2, None)]))
    (work,) = journal.claim().works
    assert [duty.seq for duty in work.duties] == [3]


def test_the_file_is_for_its_owner_only(journal: Journal) -> None:
    journal.append("1", API)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_every_commit_is_synced(journal: Journal) -> None:
    connection = connect(journal.path)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_of_a_newer_version_is_left_alone(journal: Journal) -> None:
    connection = connect(journal.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaError, match="upgrade"):
        connect(journal.path)
    with pytest.raises(Unavailable):
        journal.append("1", API)


def test_a_file_that_cannot_be_written_is_503_until_it_can(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "missing" / "journal.sqlite")
    with pytest.raises(Unavailable):
        journal.append("1", API)
    (tmp_path / "missing").mkdir()
    assert journal.append("1", API) == Appended(duplicate=False)


def test_a_full_disk_is_503_until_there_is_room(journal: Journal) -> None:
    journal.append("1", API)
    store = journal.journal.writer._store
    assert isinstance(store, SQLiteStore)
    connection = store._opened()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable):
        journal.append("2", Change(comments="x" * 100_000))
    assert journal.append("2", Change(comments="x" * 100_000)) == Appended(duplicate=False)
    assert len(journal.states()) == 2


def test_nothing_of_a_failed_transaction_is_stored(journal: Journal) -> None:
    journal.append("1", API)

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM deliveries")
        raise RuntimeError

    with pytest.raises(Unavailable):
        journal.run(journal.journal.writer.submit(fails))
    assert journal.states() == ["accepted"]


def test_there_is_nothing_to_read_before_there_is_a_journal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="change-hooks serve"):
        connect_to_read(tmp_path / "none.sqlite")


def test_it_is_opened_and_closed_in_its_thread(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "x.sqlite", lambda function, *arguments: function(*arguments))
    opened = journal.open()
    closed = journal.close()
    thread = journal.writer._thread
    assert thread is not None
    thread.join(10)
    result_of(opened)
    result_of(closed)
    assert (tmp_path / "x.sqlite").exists()
