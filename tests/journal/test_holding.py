from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.journal import LEASE, Outcome
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.in_memory import MemoryStore
from tests.conftest import delivery, result_of
from tests.support.lossy import LossyStore


class Rig:
    """Two receivers on one store, the answers of one of which may be lost."""

    def __init__(self) -> None:
        self.clock = Clock()
        memory = MemoryStore(self.clock.seconds)
        self.store = LossyStore(memory)
        self.journal = SQLJournal(self.store, lambda function, *arguments: function(*arguments))
        self.other = SQLJournal(LossyStore(memory), lambda function, *arguments: function(*arguments))
        for name in ("api", "web"):
            received = delivery(id=name, dialect="base")
            self.run(self.journal, self.journal.append(received, [Change(repository=name)], ["s"]))

    def run(self, journal: SQLJournal, deferred: object) -> object:
        journal.writer.run_submitted()
        return result_of(deferred)  # type: ignore[arg-type]

    def claimed(self, journal: SQLJournal, limit: int = 10) -> list[str]:
        claimed = self.run(journal, journal.claim(("s",), limit))
        return [work.repository for work in claimed.works]  # type: ignore[attr-defined]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_what_was_claimed_unheard_is_claimed_again_at_once(rig: Rig) -> None:
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        rig.claimed(rig.journal)
    assert rig.claimed(rig.other) == []
    assert rig.claimed(rig.journal) == ["api", "web"]
    assert rig.claimed(rig.journal) == []


def test_what_it_works_on_is_not_claimed_again(rig: Rig) -> None:
    assert rig.claimed(rig.journal, 1) == ["api"]
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        rig.claimed(rig.journal)
    assert rig.claimed(rig.journal) == ["web"]
    rig.run(rig.journal, rig.journal.record([Outcome("s", "web", [(2, None)])]))
    rig.store.loses = "before"
    with pytest.raises(Unavailable):
        rig.claimed(rig.journal)
    assert rig.claimed(rig.journal) == []
    rig.clock.advance(LEASE)
    assert rig.claimed(rig.other) == ["api"]


def test_a_claim_that_is_not_answered_yet_is_not_taken_for_lost(rig: Rig) -> None:
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        rig.claimed(rig.journal)
    first, second = rig.journal.claim(("s",), 10), rig.journal.claim(("s",), 10)
    assert rig.run(rig.journal, second).works == []  # type: ignore[attr-defined]
    assert [work.repository for work in result_of(first).works] == ["api", "web"]


def pending(rig: Rig, journal: SQLJournal) -> list[int]:
    found = rig.run(journal, journal.pending(10))
    return [each.seq for each in found]  # type: ignore[attr-defined]


def test_a_pending_delivery_that_was_held_unheard_is_held_again_at_once(rig: Rig) -> None:
    rig.run(rig.other, rig.other.postpone(delivery(id="late", dialect="base")))
    rig.clock.advance(LEASE)
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(rig, rig.journal)
    assert pending(rig, rig.other) == []
    assert pending(rig, rig.journal) == [3]
    assert pending(rig, rig.journal) == []
    rig.clock.advance(LEASE)
    assert pending(rig, rig.other) == [3]


def test_and_so_is_one_that_was_stored_unheard(rig: Rig) -> None:
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        rig.run(rig.journal, rig.journal.postpone(delivery(id="late", dialect="base")))
    assert pending(rig, rig.journal) == [3]


def test_but_not_what_it_works_on_or_has_just_asked_to_store(rig: Rig) -> None:
    rig.run(rig.journal, rig.journal.postpone(delivery(id="one", dialect="base")))
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(rig, rig.journal)
    asked = rig.journal.postpone(delivery(id="two", dialect="base"))
    assert pending(rig, rig.journal) == []
    assert result_of(asked).seq == 4
    rig.store.loses = "before"
    with pytest.raises(Unavailable):
        pending(rig, rig.journal)
    assert pending(rig, rig.journal) == []


def test_what_it_has_let_go_of_is_not_taken_for_its_own(rig: Rig) -> None:
    late = delivery(id="late", dialect="base")
    rig.run(rig.journal, rig.journal.postpone(late))
    rig.run(rig.journal, rig.journal.retry_later(3, 0.0, "not now"))
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(rig, rig.journal)
    assert pending(rig, rig.journal) == [3]
    # The same, when it has failed and comes again.
    rig.run(rig.journal, rig.journal.fail(3, "no"))
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        rig.run(rig.journal, rig.journal.postpone(late))
    assert pending(rig, rig.journal) == [3]


def test_a_duplicate_of_what_another_one_holds_is_not_its_own(rig: Rig) -> None:
    late = delivery(id="late", dialect="base")
    rig.run(rig.other, rig.other.postpone(late))
    rig.run(rig.journal, rig.journal.postpone(late))
    rig.clock.advance(LEASE)
    rig.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(rig, rig.journal)
    assert pending(rig, rig.journal) == [3]


def test_an_error_that_is_not_the_stores_says_nothing_of_the_claim(rig: Rig) -> None:
    broken = rig.journal.claim((object(),), 10)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"object|unsupported type"):
        rig.run(rig.journal, broken)
    assert rig.claimed(rig.journal) == ["api", "web"]
