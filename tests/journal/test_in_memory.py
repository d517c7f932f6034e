from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from twisted.internet.task import Clock

from change_hooks.journal import LEASE, Appended, Trace
from change_hooks.journal.chunks import LARGE
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.in_memory import MemoryJournal, MemoryStore, WriterAtOnce
from change_hooks.journal.reader import Reader
from change_hooks.journal.session import Session
from change_hooks.journal.writer import Writer
from tests.conftest import delivery, result_of

from .sightings import *  # noqa: F403
from .suite import *  # noqa: F403
from .suite import API, Journal


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@pytest.fixture
def journal() -> Journal:
    # Run by the suite, a group at a time.
    journal = MemoryJournal(writer=Writer)
    return Journal(
        journal, journal.reader, lambda name: MemoryJournal(journal.store, writer=Writer, service=name)
    )


def test_everything_is_done_when_its_deferred_is_there() -> None:
    journal = MemoryJournal()
    result_of(journal.open())
    received = delivery(b"x" * (LARGE + 1), id="1", dialect="base")
    assert result_of(journal.append(received, [API], ["sink"])) == Appended(duplicate=False, seq=1)
    assert [stored.state for stored in journal.reader().deliveries()] == ["waiting"]


def test_it_is_of_use_in_every_thread() -> None:
    with ThreadPoolExecutor() as threads:
        journal = threads.submit(MemoryJournal).result()
    received = delivery(b"x", id="1", dialect="base")
    assert result_of(journal.append(received, [API], ["sink"])) == Appended(duplicate=False, seq=1)


def test_what_was_gathered_is_stored_when_the_journal_is_closed() -> None:
    store = MemoryStore()
    journal = SQLJournal(store, call, Clock().callLater, writer=WriterAtOnce)
    journal.trace(Trace("base", 7.0, 403, "refused", "the signature is wrong"))
    reader = Reader(store.connection)
    assert list(reader.deliveries()) == []
    journal.close()
    assert [stored.state for stored in reader.deliveries()] == ["refused"]


def test_what_cannot_be_stored_leaves_nothing() -> None:
    journal = MemoryJournal()

    def fails(session: Session) -> None:
        session.execute("INSERT INTO memory (name, value) VALUES (?, ?)", ("a", b"b"))
        raise ValueError

    with pytest.raises(ValueError):
        result_of(journal.writer.submit(fails))
    assert result_of(journal.recall("a")) is None


def test_leases_go_by_the_clock_that_is_given() -> None:
    clock = Clock()
    one = MemoryJournal(clock=clock.seconds)
    other = MemoryJournal(one.store)
    assert result_of(one.lease("x", LEASE)) is True
    assert result_of(other.lease("x", LEASE)) is False
    clock.advance(LEASE + 1)
    assert result_of(other.lease("x", LEASE)) is True


def test_it_outlives_its_closing() -> None:
    journal = MemoryJournal()
    result_of(journal.open())
    result_of(journal.remember("a", b"b"))
    result_of(journal.close())
    assert result_of(MemoryJournal(journal.store).recall("a")) == b"b"


def test_it_says_how_large_it_is() -> None:
    journal = MemoryJournal()
    before = journal.reader().summary().bytes
    result_of(journal.append(delivery(b"x" * LARGE, id="1", dialect="base"), [API], []))
    assert journal.reader().summary().bytes > before > 0
