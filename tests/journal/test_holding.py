from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.journal import LEASE, Outcome
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.in_memory import MemoryStore
from tests.conftest import delivery, has_fired, result_of
from tests.support.logs import logged
from tests.support.lossy import LossyStore


class TwoReceivers:
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
def receivers() -> TwoReceivers:
    return TwoReceivers()


def test_what_was_claimed_unheard_is_claimed_again_at_once(receivers: TwoReceivers) -> None:
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        receivers.claimed(receivers.journal)
    assert receivers.claimed(receivers.other) == []
    assert receivers.claimed(receivers.journal) == ["api", "web"]
    assert receivers.claimed(receivers.journal) == []


def test_what_it_works_on_is_not_claimed_again(receivers: TwoReceivers) -> None:
    assert receivers.claimed(receivers.journal, 1) == ["api"]
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        receivers.claimed(receivers.journal)
    assert receivers.claimed(receivers.journal) == ["web"]
    receivers.run(receivers.journal, receivers.journal.record([Outcome("s", "web", [(2, None)])]))
    receivers.store.loses = "before"
    with pytest.raises(Unavailable):
        receivers.claimed(receivers.journal)
    assert receivers.claimed(receivers.journal) == []
    receivers.clock.advance(LEASE)
    assert receivers.claimed(receivers.other) == ["api"]


def test_a_claim_that_is_not_answered_yet_is_not_taken_for_lost(receivers: TwoReceivers) -> None:
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        receivers.claimed(receivers.journal)
    first, second = receivers.journal.claim(("s",), 10), receivers.journal.claim(("s",), 10)
    assert receivers.run(receivers.journal, second).works == []  # type: ignore[attr-defined]
    assert [work.repository for work in result_of(first).works] == ["api", "web"]


def pending(receivers: TwoReceivers, journal: SQLJournal) -> list[int]:
    found = receivers.run(journal, journal.pending(10))
    return [each.seq for each in found]  # type: ignore[attr-defined]


def test_a_pending_delivery_that_was_held_unheard_is_held_again_at_once(receivers: TwoReceivers) -> None:
    receivers.run(receivers.other, receivers.other.postpone(delivery(id="late", dialect="base")))
    receivers.clock.advance(LEASE)
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(receivers, receivers.journal)
    assert pending(receivers, receivers.other) == []
    assert pending(receivers, receivers.journal) == [3]
    assert pending(receivers, receivers.journal) == []
    receivers.clock.advance(LEASE)
    assert pending(receivers, receivers.other) == [3]


def test_and_so_is_one_that_was_stored_unheard(receivers: TwoReceivers) -> None:
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        receivers.run(receivers.journal, receivers.journal.postpone(delivery(id="late", dialect="base")))
    assert pending(receivers, receivers.journal) == [3]


def test_but_not_what_it_works_on_or_has_just_asked_to_store(receivers: TwoReceivers) -> None:
    receivers.run(receivers.journal, receivers.journal.postpone(delivery(id="one", dialect="base")))
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(receivers, receivers.journal)
    asked = receivers.journal.postpone(delivery(id="two", dialect="base"))
    assert pending(receivers, receivers.journal) == []
    assert result_of(asked).seq == 4
    receivers.store.loses = "before"
    with pytest.raises(Unavailable):
        pending(receivers, receivers.journal)
    assert pending(receivers, receivers.journal) == []


def test_what_it_has_let_go_of_is_not_taken_for_its_own(receivers: TwoReceivers) -> None:
    late = delivery(id="late", dialect="base")
    receivers.run(receivers.journal, receivers.journal.postpone(late))
    receivers.run(receivers.journal, receivers.journal.retry_later(3, 0.0, "not now"))
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(receivers, receivers.journal)
    assert pending(receivers, receivers.journal) == [3]
    # The same, when it has failed and comes again.
    receivers.run(receivers.journal, receivers.journal.fail(3, "no"))
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        receivers.run(receivers.journal, receivers.journal.postpone(late))
    assert pending(receivers, receivers.journal) == [3]


def test_a_duplicate_of_what_another_one_holds_is_not_its_own(receivers: TwoReceivers) -> None:
    late = delivery(id="late", dialect="base")
    receivers.run(receivers.other, receivers.other.postpone(late))
    receivers.run(receivers.journal, receivers.journal.postpone(late))
    receivers.clock.advance(LEASE)
    receivers.store.loses = "after"
    with pytest.raises(Unavailable):
        pending(receivers, receivers.journal)
    assert pending(receivers, receivers.journal) == [3]


def test_the_end_is_reached_when_all_is_written(receivers: TwoReceivers) -> None:
    closed = receivers.journal.close()
    assert not has_fired(closed)
    receivers.run(receivers.journal, closed)


def test_what_cannot_be_given_back_at_the_end_is_left_to_its_lease(receivers: TwoReceivers) -> None:
    assert receivers.claimed(receivers.journal, 1) == ["api"]
    receivers.store.loses = "before"
    with logged() as lines:
        receivers.run(receivers.journal, receivers.journal.close())
    assert lines == ["the journal cannot be written: it was not done"]
    assert receivers.claimed(receivers.other) == ["web"]
    receivers.clock.advance(LEASE)
    assert receivers.claimed(receivers.other) == ["api", "web"]


def test_an_error_that_is_not_the_stores_says_nothing_of_the_claim(receivers: TwoReceivers) -> None:
    broken = receivers.journal.claim((object(),), 10)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"object|unsupported type"):
        receivers.run(receivers.journal, broken)
    assert receivers.claimed(receivers.journal) == ["api", "web"]
