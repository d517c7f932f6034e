"""The thread that reads."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.journal import reading
from change_hooks.journal.patience import LOOK, PATIENCE
from change_hooks.journal.reader import Reader
from change_hooks.journal.reading import READ_WITHIN, ReadingThread
from change_hooks.journal.sqlite import SQLiteStore, connect, sqlite_journal

from ..conftest import has_fired, result_of


class Reactor:
    """Runs what threads ask for in the test's thread."""

    def __init__(self) -> None:
        self.calls: Queue[Any] = Queue()

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        self.calls.put((function, arguments))

    def wait_for(self, deferred: Deferred[Any]) -> Any:
        results: list[Any] = []
        deferred.addBoth(results.append)
        while not results:
            function, arguments = self.calls.get(timeout=60)
            function(*arguments)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    connect(path).close()
    return path


def thread_of(store: Any, reactor: Reactor) -> ReadingThread:
    return ReadingThread(store, reactor.callFromThread)


def test_what_is_looked_up_runs_in_a_thread_of_its_own(path: Path, reactor: Reactor) -> None:
    thread = thread_of(SQLiteStore(path), reactor)
    ran_in = reactor.wait_for(thread.submit(lambda reader: (threading.current_thread(), reader.newest())))
    assert ran_in[0] is not threading.current_thread()
    assert ran_in[1] == 0
    reactor.wait_for(thread.stop())
    assert isinstance(result_of_error(thread.submit(Reader.newest)), Unavailable)


def result_of_error(deferred: Deferred[Any]) -> BaseException:
    failures: list[Failure] = []
    deferred.addErrback(failures.append)
    error: BaseException = failures[0].value
    return error


def test_it_can_be_started_again(path: Path, reactor: Reactor) -> None:
    thread = thread_of(SQLiteStore(path), reactor)
    reactor.wait_for(thread.submit(Reader.newest))
    reactor.wait_for(thread.stop())
    thread.start()
    assert reactor.wait_for(thread.submit(Reader.newest)) == 0
    reactor.wait_for(thread.stop())


def test_one_that_was_never_used_has_nothing_to_end(path: Path, reactor: Reactor) -> None:
    assert thread_of(SQLiteStore(path), reactor).stop().called


def test_a_look_up_that_is_wrong_harms_no_other(path: Path, reactor: Reactor) -> None:
    thread = thread_of(SQLiteStore(path), reactor)
    wrong = thread.submit(lambda reader: reader.whole(7))
    right = thread.submit(Reader.newest)
    with pytest.raises(LookupError):
        reactor.wait_for(wrong)
    assert reactor.wait_for(right) == 0
    reactor.wait_for(thread.stop())


def test_a_journal_that_cannot_be_read_is_read_when_it_can(tmp_path: Path, reactor: Reactor) -> None:
    path = tmp_path / "journal.sqlite"
    thread = thread_of(SQLiteStore(path), reactor)
    with pytest.raises(Unavailable):
        reactor.wait_for(thread.submit(Reader.newest))
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(Unavailable):
        reactor.wait_for(thread.submit(Reader.newest))
    path.unlink()
    connect(path).close()
    assert reactor.wait_for(thread.submit(Reader.newest)) == 0
    reactor.wait_for(thread.stop())


def test_another_file_in_its_place_is_found(
    path: Path, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = thread_of(SQLiteStore(path), reactor)
    reactor.wait_for(thread.submit(Reader.newest))
    for file in path.parent.glob("journal.sqlite*"):
        file.rename(f"{file}.old")
    other = connect(path)
    other.execute("INSERT INTO deliveries (dialect, id, received, state) VALUES ('a', '1', 1, 'stored')")
    monkeypatch.setattr(reading, "REOPEN", -1.0)
    assert reactor.wait_for(thread.submit(Reader.newest)) == 1
    other.close()
    reactor.wait_for(thread.stop())


def test_a_journal_ends_its_thread(path: Path, reactor: Reactor) -> None:
    journal = sqlite_journal(path, reactor.callFromThread)
    reactor.wait_for(journal.open())
    assert reactor.wait_for(journal.read(Reader.newest)) == 0
    before = threading.active_count()
    reactor.wait_for(journal.close())
    assert threading.active_count() <= before
    with pytest.raises(Unavailable):
        reactor.wait_for(journal.read(Reader.newest))


def test_nobody_waits_longer_for_a_journal_that_says_nothing(path: Path, reactor: Reactor) -> None:
    clock = Clock()
    thread = ReadingThread(SQLiteStore(path), reactor.callFromThread, clock.callLater)
    goes_on, hangs = threading.Event(), Queue[Any]()

    def look_up(reader: Reader) -> None:
        hangs.put(reader)
        goes_on.wait()

    slow = thread.submit(look_up)
    hangs.get(timeout=60)
    waits = thread.submit(lambda reader: 1)
    clock.pump([LOOK] * int(READ_WITHIN / LOOK))
    for late in (slow, waits, thread.submit(lambda reader: 2)):
        with pytest.raises(Unavailable, match="read now"):
            result_of(late)
    stopped = thread.stop()
    clock.advance(PATIENCE - 0.1)
    assert not has_fired(stopped)
    clock.advance(0.1)
    assert has_fired(stopped)
    goes_on.set()
    for _ in range(3):
        function, arguments = reactor.calls.get(timeout=60)
        function(*arguments)
    assert clock.getDelayedCalls() == []


def test_a_look_up_that_does_not_end_is_broken_off(path: Path, reactor: Reactor) -> None:
    clock = Clock()
    thread = ReadingThread(SQLiteStore(path), reactor.callFromThread, clock.callLater)
    begins = Queue[Any]()

    def endless(reader: Reader) -> None:
        begins.put(None)
        session = reader.session
        session.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        )

    slow = thread.submit(endless)
    begins.get(timeout=60)
    while reactor.calls.empty():
        clock.advance(LOOK)
    with pytest.raises(Unavailable):
        result_of(slow)
    function, arguments = reactor.calls.get(timeout=60)
    function(*arguments)
    assert reactor.wait_for(thread.submit(lambda reader: reader.newest())) == 0
    assert reactor.wait_for(thread.stop()) is None
