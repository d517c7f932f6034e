"""What every journal has to do. The tests of each import all of this, and bring a fixture ``journal``."""

from __future__ import annotations

from random import Random
from time import time
from typing import Any

import msgspec
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from change_hooks.core.change import RECOVERED, Change
from change_hooks.core.errors import Unavailable
from change_hooks.core.found import NOTHING_KNOWN, About
from change_hooks.core.sink_answers import OUTPUT_KEPT
from change_hooks.interfaces import IJournal
from change_hooks.journal import (
    LEASE,
    Appended,
    Attempt,
    ChangeKey,
    Claimed,
    DeadLetter,
    Entry,
    Outcome,
    Pending,
    Results,
    SinkState,
    SinkSummary,
    StoredDelivery,
    Trace,
    Wanted,
)
from change_hooks.journal.chunks import FORGOTTEN, LARGE, Piece, store, sweep
from change_hooks.journal.contents import Unreadable
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.outbox import CLAIM, LONGEST_WAIT, queue_name
from change_hooks.journal.reader import Reader
from change_hooks.journal.searching import PAGE, search
from change_hooks.journal.tail import Tail

from ..conftest import delivery, has_fired, result_of


class Journal:
    """A journal whose writer runs in the test's thread, and which a test can look into.

    :param journal: the journal.
    :param reader: makes a reader.
    :param other: makes another receiver's journal on the same store, for the service of a name.
    """

    def __init__(self, journal: SQLJournal, reader: Any, other: Any) -> None:
        self.journal = journal
        self.reader: Reader = reader()
        self._reader = reader
        self._other = other

    def run(self, deferred: Deferred[Any]) -> Any:
        writer = self.journal.writer
        writer.run_submitted()
        return result_of(deferred)

    def rows(self, table: str) -> int:
        """How many rows there are."""
        row = self.reader.session.execute(f"SELECT count(*) AS rows FROM {table}").fetchone()
        return int(row["rows"])

    def other(self, service: str = "") -> Journal:
        """Another receiver."""
        return Journal(self._other(service), self._reader, self._other)

    def append(
        self,
        name: str,
        *changes: Change,
        sinks: tuple[str, ...] = ("sink",),
        unwanted: tuple[str, ...] = (),
        about: About = NOTHING_KNOWN,
        **more: Any,
    ) -> Appended:
        received = delivery(b'{"a": 1}', id=name, **{"dialect": "base", "received": 5.0, **more})
        stored = self.journal.append(received, list(changes), sinks, unwanted, about=about)
        appended: Appended = self.run(stored)
        return appended

    def more(self, repository: str, seq: int, index: int) -> list[Entry]:
        entries: list[Entry] = self.run(self.journal.more("sink", repository, seq, index))
        return entries

    def claim(self, limit: int = 10, sinks: Any = ("sink",)) -> Claimed:
        claimed: Claimed = self.run(self.journal.claim(sinks, limit))
        return claimed

    def record(self, *outcomes: Outcome) -> None:
        self.run(self.journal.record(outcomes))

    def lines(self, **wanted: Any) -> list[StoredDelivery]:
        """Oldest first."""
        return list(self.reader.deliveries(Wanted(**wanted)))[::-1]

    def states(self) -> list[str]:
        return [stored.state for stored in self.lines()]

    def pass_time(self, seconds: float) -> None:
        """Let the clock of the leases be later."""

        def shift(session: Any) -> None:
            for table in ("queues", "deliveries"):
                session.execute(f"UPDATE {table} SET lease = lease - ?, due = due - ?", (seconds, seconds))

        self.run(self.journal.writer.submit(shift))

    def let_leases_run_out(self) -> None:
        self.pass_time(LEASE)


API = Change(repository="api", revision="1", comments="\u00e4")
WEB = Change(repository="web", revision="2")


def test_it_is_a_journal(journal: Journal) -> None:
    assert IJournal.providedBy(journal.journal)


def test_what_is_appended_can_be_read(journal: Journal) -> None:
    assert journal.append("1", API, WEB) == Appended(duplicate=False, seq=1)
    assert [(stored.key, stored.change) for stored in journal.reader.changes()] == [
        (ChangeKey("base", "1", 0), API),
        (ChangeKey("base", "1", 1), WEB),
    ]
    (stored,) = journal.reader.deliveries()
    assert (stored.dialect, stored.delivery, stored.received, stored.state) == ("base", "1", 5.0, "waiting")
    assert (stored.changes, stored.bytes) == (2, 8)
    assert next(journal.reader.changes()).as_json()["delivery"] == "1"
    assert list(journal.reader.changes(after=1)) == []


def test_a_page_ends_where_the_next_one_begins(journal: Journal) -> None:
    for name in "12345":
        journal.append(name, API)
    first = journal.reader.page(Wanted(), limit=2, within=60)
    assert ([line.delivery for line in first.lines], first.full) == (["5", "4"], True)
    second = journal.reader.page(Wanted(), before=first.before, limit=2, within=60)
    assert [line.delivery for line in second.lines] == ["3", "2"]
    last = journal.reader.page(Wanted(), before=second.before, limit=2, within=60)
    assert ([line.delivery for line in last.lines], last.before, last.full) == (["1"], None, True)
    whole = journal.reader.page(Wanted(), limit=5, within=60)
    assert (len(whole.lines), whole.before) == (5, None)
    assert journal.reader.page(Wanted(dialect="none"), limit=5, within=60).lines == []


def test_a_page_says_how_far_it_has_looked_when_that_takes_long(journal: Journal) -> None:
    for number in range(PAGE + 1):
        journal.append(str(number), API, about=About(repository="api" if number else "web"))
    looked = journal.reader.page(Wanted(repository="w*"), limit=2, within=-1)
    assert (looked.lines, looked.before, looked.full, looked.back_to) == ([], 2, False, 5.0)
    rest = journal.reader.page(Wanted(repository="w*"), before=looked.before, limit=2, within=60)
    assert ([line.delivery for line in rest.lines], rest.before, rest.full) == (["0"], None, True)


def test_a_page_has_what_several_stretches_found(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.journal.searching.STRETCH", 2)
    monkeypatch.setattr("change_hooks.journal.searching.QUICK", -1)
    for number in range(1, 7):
        repository = "web" if number % 2 else "api"
        journal.append(str(number), API, received=number, about=About(repository=repository))
    page = journal.reader.page(Wanted(repository="w*"), limit=2, within=60)
    assert [line.delivery for line in page.lines] == ["5", "3"]


def test_a_search_that_finds_nothing_ends_between_two_stretches(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("change_hooks.journal.searching.STRETCH", 2)
    monkeypatch.setattr("change_hooks.journal.searching.QUICK", -1)
    for number in range(1, 7):
        journal.append(str(number), API, received=number, about=About("push", f"r{number}", "main", "Ann"))
    for wanted in (
        Wanted(repository="r1"),
        Wanted(dialect="gitlab"),
        Wanted(state="failed"),
        Wanted(event="pull"),
        Wanted(branch="next", until=4.0),
        Wanted(author="b*"),
        Wanted(text="nowhere"),
    ):
        looked = journal.reader.page(wanted, limit=5, within=-1)
        assert (looked.lines, looked.before, looked.back_to) == ([], 5, 5.0), wanted
    looked = journal.reader.page(Wanted(repository="r1"), before=4, limit=5, within=-1)
    assert (looked.lines, looked.before) == ([], 2)
    (last,) = journal.reader.page(Wanted(repository="r1"), before=2, limit=5, within=-1).lines
    assert last.delivery == "1"
    looked = journal.reader.page(Wanted(repository="r9"), before=3, limit=5, within=-1)
    assert (looked.lines, looked.before, looked.full) == ([], None, True)


def test_the_stretches_of_a_search_grow_while_they_are_quick(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("change_hooks.journal.searching.STRETCH", 1)
    monkeypatch.setattr("change_hooks.journal.searching.QUICK", 60)
    for number in range(1, 16):
        journal.append(str(number), API, received=number)
    places = [place for place, _ in search(journal.reader.session, Wanted(text="nowhere"))]
    assert places == [15, 13, 9, 0]
    since = search(journal.reader.session, Wanted(text="nowhere", since=13.5))
    assert [place for place, _ in since] == [15, 0]
    assert list(search(journal.reader.session, Wanted(since=99.0))) == []


def test_lines_are_found_by_a_text_in_them(journal: Journal) -> None:
    journal.append("one", API, about=About("Push", "acme/Straße", "main", "Ann"))
    journal.append("two", API, about=About("push", "acme/web", "100%", "Bob"))
    found = {text: [line.delivery for line in journal.lines(text=text)] for text in ("STRASSE", "push", "0%")}
    assert found == {"STRASSE": ["one"], "push": ["one", "two"], "0%": ["two"]}
    assert journal.lines(text="elsewhere") == []


def test_a_repository_without_a_wildcard_is_just_that(journal: Journal) -> None:
    for name in ("acme/api", "acme/api-client", "ACME/api"):
        journal.append(name, API, about=About(repository=name))
    assert [line.delivery for line in journal.lines(repository="acme/api")] == ["acme/api"]
    assert len(journal.lines(repository="acme/*")) == 2


def test_of_many_changes_only_some_are_read(journal: Journal) -> None:
    journal.append("1", API, WEB, API)
    assert journal.reader.whole(1, changes=2).changes == [API, WEB]
    assert len(journal.reader.whole(1).changes) == 3


def test_the_delivery_is_stored_byte_for_byte(journal: Journal) -> None:
    journal.append("1", API, headers={"Date": "b"})
    restored = journal.reader.whole(1).delivery
    assert restored == delivery(b'{"a": 1}', id="1", dialect="base", received=5.0, headers={"Date": "b"})
    assert restored.verification == "none"


def test_a_delivery_of_the_same_id_is_a_duplicate(journal: Journal) -> None:
    journal.append("1", API)
    assert journal.append("1", WEB) == Appended(duplicate=True)
    assert len(list(journal.reader.changes())) == 1


def test_in_a_group_only_what_is_new_is_stored(journal: Journal) -> None:
    journal.append("1", API)
    journal.append("2", API)
    journal.record(Outcome("sink", "api", [(1, None), (2, None)], [DeadLetter(2, 0, "no")]))
    for sinks in ((), ("sink",)):
        a, b, c = (f"{len(sinks)}{name}" for name in "abc")
        sent = [a, "1", b, a, "2", c]
        appended = [journal.journal.append(delivery(id=name, dialect="base"), [WEB], sinks) for name in sent]
        journal.journal.writer.run_group()
        stored = [result_of(each) for each in appended]
        # What failed may come again once.
        assert [each.duplicate for each in stored] == [False, True, False, True, bool(sinks), False]
        for each, name in zip(stored, sent, strict=True):
            if not each.duplicate:
                assert journal.reader.whole(each.seq).stored.delivery == name
    assert journal.states() == ["delivered"] + ["stored"] * 4 + ["waiting"] * 3


def test_a_delivery_that_failed_may_come_again(journal: Journal) -> None:
    journal.append("1", API)
    journal.record(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 0, "no")]))
    assert journal.states() == ["failed"]
    assert journal.append("1", WEB) == Appended(duplicate=False, seq=1)
    assert journal.states() == ["waiting"]
    (work,) = journal.claim().works
    assert [change for _, change in work.entries[0].changes] == [WEB]
    journal.record(Outcome("sink", "web", [(1, None)]))
    assert journal.states() == ["delivered"]


def failed_at_b(journal: Journal) -> None:
    """A delivery that one sink has taken and another has not."""
    journal.append("1", API, sinks=("a", "b"), unwanted=("c",))
    journal.claim(sinks=("a", "b"))
    journal.record(
        Outcome("a", "api", [(1, None)], made=[msgspec.structs.replace(attempt(1, 1.0), sink="a")]),
        Outcome("b", "api", [(1, None)], [DeadLetter(1, 0, "gone")]),
    )
    assert journal.states() == ["failed"]


def test_what_failed_and_comes_again_is_for_the_sinks_that_have_not_taken_it(journal: Journal) -> None:
    failed_at_b(journal)
    assert journal.append("1", WEB, sinks=("a", "b", "d"), unwanted=("c",)).seq == 1
    assert journal.lines()[0].sinks == {"a": "taken", "b": "waiting", "c": "unwanted", "d": "waiting"}
    works = journal.claim(sinks=("a", "b", "c", "d")).works
    assert [(work.sink, work.repository) for work in works] == [("b", "web"), ("d", "web")]
    journal.record(*[Outcome(work.sink, "web", [(1, None)]) for work in works])
    assert journal.states() == ["delivered"]


@pytest.mark.parametrize("sinks", [("a",), ()])
def test_what_failed_and_comes_again_for_nobody_else_is_delivered(
    journal: Journal, sinks: tuple[str, ...]
) -> None:
    failed_at_b(journal)
    assert journal.append("1", API, sinks=sinks, unwanted=("b",)).seq == 1
    assert journal.states() == ["delivered"]
    assert journal.lines()[0].sinks == {"a": "taken", "b": "unwanted"}
    assert journal.claim(sinks=("a", "b")).works == []


@pytest.mark.parametrize(("sinks", "state"), [(("a", "b"), "waiting"), (("a",), "delivered")])
def test_what_failed_and_is_finished_later_is_for_the_sinks_that_have_not_taken_it(
    journal: Journal, sinks: tuple[str, ...], state: str
) -> None:
    failed_at_b(journal)
    seq = postponed(journal)
    assert journal.states() == ["pending"]
    assert journal.run(journal.journal.finish(seq, [API], sinks))
    assert journal.states() == [state]
    assert [work.sink for work in journal.claim(sinks=("a", "b")).works] == [
        sink for sink in sinks if sink == "b"
    ]


def test_what_failed_may_be_taken_and_fail_again_before_it_is_finished(journal: Journal) -> None:
    failed_at_b(journal)
    journal.run(journal.journal.fail(postponed(journal), "no handler"))
    assert journal.append("1", API, sinks=("a", "b")).seq == 1
    assert [work.sink for work in journal.claim(sinks=("a", "b")).works] == ["b"]


def test_what_may_be_accepted_only_once_is_a_duplicate_under_another_id(journal: Journal) -> None:
    journal.append("1", API, digest="d")
    assert journal.append("2", API, digest="d") == Appended(duplicate=True, id="1")
    assert journal.append("1", API, digest="e") == Appended(duplicate=True)
    assert not journal.append("2", API, digest="d", dialect="other").duplicate
    assert not journal.append("3", API).duplicate
    assert not journal.append("4", API).duplicate
    assert [(line.delivery, line.duplicates) for line in journal.lines()] == [
        ("1", 2),
        ("2", 0),
        ("3", 0),
        ("4", 0),
    ]


def test_of_two_in_a_group_with_one_digest_one_is_stored(journal: Journal) -> None:
    sent = [("1", "d"), ("2", "d"), ("3", "e"), ("1", "d")]
    appended = [
        journal.journal.append(delivery(id=name, digest=digest, dialect="base"), [API], ["sink"])
        for name, digest in sent
    ]
    journal.journal.writer.run_group()
    assert [(each.duplicate, each.id) for each in map(result_of, appended)] == [
        (False, ""),
        (True, "1"),
        (False, ""),
        (True, ""),
    ]
    assert [(line.delivery, line.duplicates) for line in journal.lines()] == [("1", 2), ("3", 0)]


def test_what_failed_may_come_again_under_another_id(journal: Journal) -> None:
    journal.append("1", API, digest="d")
    journal.record(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 0, "no")]))
    assert journal.append("2", WEB, digest="d") == Appended(duplicate=False, seq=1, id="1")
    assert [(line.delivery, line.state) for line in journal.lines()] == [("1", "waiting")]
    assert journal.rows("dead_letters") == 0


def test_what_gave_nothing_after_all_may_come_again_under_another_id(journal: Journal) -> None:
    received = delivery(id="1", dialect="base", digest="d")
    appended: Appended = journal.run(journal.journal.postpone(received))
    assert journal.append("2", API, digest="d") == Appended(duplicate=True, id="1")
    journal.run(journal.journal.finish(appended.seq, [], ()))
    assert not journal.append("2", API, digest="d").duplicate


def test_without_sinks_a_delivery_is_stored(journal: Journal) -> None:
    journal.append("1", API, sinks=())
    assert journal.states() == ["stored"]
    assert journal.claim() == Claimed([], None)


def test_each_queue_is_worked_on_by_itself_and_in_order(journal: Journal) -> None:
    journal.append("1", API, WEB, API)
    journal.append("2", API)
    claimed = journal.claim()
    assert [(work.repository, work.attempts) for work in claimed.works] == [("api", 0), ("web", 0)]
    api, web = claimed.works
    assert [[key for key, _ in entry.changes] for entry in api.entries] == [
        [ChangeKey("base", "1", 0), ChangeKey("base", "1", 2)],
        [ChangeKey("base", "2", 0)],
    ]
    assert [key.index for key, _ in web.entries[0].changes] == [1]
    assert journal.claim().works == []


def test_no_more_queues_are_taken_than_asked_for(journal: Journal) -> None:
    journal.append("1", API, WEB, sinks=("a", "b"))
    assert [(work.sink, work.repository) for work in journal.claim(limit=3, sinks=("a", "b")).works] == [
        ("a", "api"),
        ("a", "web"),
        ("b", "api"),
    ]
    assert [(work.sink, work.repository) for work in journal.claim(limit=3, sinks=("a", "b")).works] == [
        ("b", "web")
    ]


def test_a_delivery_is_delivered_when_all_its_duties_are_done(journal: Journal) -> None:
    journal.append("1", API, WEB, sinks=("sink", "other"))
    for sink in ("sink", "other"):
        for repository in ("api", "web"):
            assert journal.states() == ["waiting"]
            journal.record(Outcome(sink, repository, [(1, None)]))
    assert journal.states() == ["delivered"]
    assert journal.claim(sinks=("sink", "other")) == Claimed([], None)


def test_a_failure_puts_off_its_queue_alone(journal: Journal) -> None:
    journal.append("1", API, API)
    journal.append("2", WEB)
    journal.record(Outcome("sink", "api", [(1, 1)], [], attempts=3, wait=100.0, error="refused"))
    claimed = journal.claim()
    assert [work.repository for work in claimed.works] == ["web"]
    assert claimed.next_due == pytest.approx(100.0, abs=20)
    journal.pass_time(100.0)
    api = next(work for work in journal.claim().works if work.repository == "api")
    assert api.attempts == 3
    assert [key.index for key, _ in api.entries[0].changes] == [1]


def test_the_earliest_queue_of_all_sinks_is_the_next(journal: Journal) -> None:
    journal.append("1", API, sinks=("a", "b"))
    journal.record(
        Outcome("a", "api", [(1, 0)], [], 1, 100.0, "x"), Outcome("b", "api", [(1, 0)], [], 1, 70.0, "x")
    )
    assert journal.claim(sinks=("a", "b")).next_due == pytest.approx(70.0, abs=20)
    assert journal.claim(sinks=("b", "a")).next_due == pytest.approx(70.0, abs=20)


def test_a_queue_is_taken_in_parts(journal: Journal) -> None:
    for number in range(3):
        journal.append(str(number), *[API] * (CLAIM // 2))
    (work,) = journal.claim().works
    assert [entry.seq for entry in work.entries] == [1, 2]
    journal.record(Outcome("sink", "api", [(1, None), (2, None)]))
    (work,) = journal.claim().works
    assert [entry.seq for entry in work.entries] == [3]


def test_what_a_receiver_works_on_the_others_leave_alone(journal: Journal) -> None:
    other = journal.other()
    journal.append("1", API)
    assert len(journal.claim().works) == 1
    assert other.claim() == Claimed([], None)
    journal.record(Outcome("sink", "api", [(1, 0)], [], 1, 100.0, "no"))
    assert other.claim().works == []
    journal.pass_time(100.0)
    (work,) = other.claim().works
    assert (work.attempts, work.repository) == (1, "api")


def test_what_a_dead_receiver_worked_on_falls_to_another(journal: Journal) -> None:
    other = journal.other()
    journal.append("1", API)
    journal.claim()
    journal.let_leases_run_out()
    assert len(other.claim().works) == 1
    assert journal.claim().works == []
    # The first was not dead after all: what it did counts, and the queue stays the other's.
    journal.append("2", API)
    journal.record(Outcome("sink", "api", [(1, None)]))
    assert journal.states() == ["delivered", "waiting"]
    assert journal.claim().works == []
    other.record(Outcome("sink", "api", [(1, None)]))
    assert [entry.seq for entry in journal.claim().works[0].entries] == [2]


def test_a_receiver_that_lives_renews_its_leases(journal: Journal) -> None:
    other = journal.other()
    journal.append("1", API)
    journal.run(journal.journal.postpone(delivery(id="2", dialect="base")))
    journal.claim()
    journal.let_leases_run_out()
    journal.run(journal.journal.renew([("sink", API.repository)], [2]))
    assert other.claim().works == []
    assert other.run(other.journal.pending(10)) == []


def test_a_receiver_that_ends_gives_back_what_it_holds(journal: Journal) -> None:
    other = journal.other()
    journal.append("1", API)
    journal.run(journal.journal.postpone(delivery(id="2", dialect="base")))
    journal.claim()
    journal.run(journal.journal.close())
    assert len(other.claim().works) == 1
    assert len(other.run(other.journal.pending(10))) == 1


def test_two_receivers_accept_a_delivery_once(journal: Journal) -> None:
    other = journal.other()
    assert not journal.append("1", API).duplicate
    assert other.append("1", API).duplicate
    assert not other.append("1", API, dialect="gitlab").duplicate


def test_a_queue_that_is_to_wait_beyond_reason_is_due_since_an_earlier_clock_said_so(
    journal: Journal,
) -> None:
    journal.append("1", API)
    journal.record(Outcome("sink", "api", [(1, 0)], [], 1, LONGEST_WAIT - 50, "no"))
    assert journal.claim().works == []
    journal.pass_time(-100.0)
    assert len(journal.claim().works) == 1


def postponed(journal: Journal, name: str = "1") -> int:
    appended: Appended = journal.run(journal.journal.postpone(delivery(b"x", id=name, dialect="base")))
    assert not appended.duplicate
    return appended.seq


def test_a_pending_delivery_is_finished(journal: Journal) -> None:
    seq = postponed(journal)
    assert journal.states() == ["pending"]
    assert journal.append("1", API).duplicate
    assert journal.run(journal.journal.finish(seq, [API, WEB], ("sink",)))
    assert journal.states() == ["waiting"]
    assert [work.repository for work in journal.claim().works] == ["api", "web"]
    assert not journal.run(journal.journal.finish(seq, [API], ("sink",)))


def test_a_pending_delivery_that_is_finished_is_for_its_sinks(journal: Journal) -> None:
    seq = postponed(journal)
    assert journal.run(journal.journal.finish(seq, [API], ("sink",), ("other",)))
    (line,) = journal.lines()
    assert line.sinks == {"sink": "waiting", "other": "unwanted"}


@pytest.mark.usefixtures("small_pieces")
def test_a_large_pending_delivery_may_come_by_another_way_too(journal: Journal) -> None:
    seq = postponed(journal)
    assert journal.run(journal.journal.finish(seq, [*MANY, LONG], (), way="sent"))
    assert [stored.change for stored in journal.reader.changes()] == [*MANY, LONG]


def test_a_pending_delivery_without_changes_is_ignored_and_claims_no_id(journal: Journal) -> None:
    about = About("push", "api", "main", "Ann")
    finished = journal.journal.finish(postponed(journal), [], ("sink",), about=about, reason="skipped")
    assert journal.run(finished)
    (line,) = journal.lines()
    assert (line.state, line.reason, line.event, line.branch) == ("ignored", "skipped", "push", "main")
    assert journal.claim() == Claimed([], None)
    assert not journal.append("1", API).duplicate


def test_a_pending_delivery_of_a_dead_receiver_falls_to_another(journal: Journal) -> None:
    seq = postponed(journal)
    other = journal.other()
    assert journal.run(journal.journal.pending(10)) == []
    assert other.run(other.journal.pending(10)) == []
    journal.let_leases_run_out()
    assert other.run(other.journal.pending(10)) == [Pending(seq, 0, delivery(b"x", id="1", dialect="base"))]


def test_a_pending_delivery_can_be_let_go_of_for_a_while(journal: Journal) -> None:
    seq = postponed(journal)
    journal.run(journal.journal.retry_later(seq, 100.0, "not now"))
    assert journal.run(journal.journal.pending(10)) == []
    journal.pass_time(100.0)
    (pending,) = journal.run(journal.journal.pending(10))
    assert pending.attempts == 1
    (stored,) = journal.reader.deliveries()
    assert (stored.state, stored.reason) == ("pending", "not now")


def test_a_pending_delivery_that_fails_says_why_and_may_come_again(journal: Journal) -> None:
    seq = postponed(journal)
    journal.run(journal.journal.fail(seq, "it broke"))
    (stored,) = journal.reader.deliveries(Wanted(state="failed"))
    assert stored.reason == "it broke"
    assert journal.append("1", API) == Appended(duplicate=False, seq=seq)
    (stored,) = journal.reader.deliveries()
    assert (stored.state, stored.reason) == ("waiting", "")


def test_a_delivery_is_replayed_when_it_is_out_of_the_way(journal: Journal) -> None:
    journal.append("1", API, API)
    assert not journal.run(journal.journal.replay(1, [WEB], ("sink",)))
    journal.claim()
    journal.record(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 1, "no")]))
    assert journal.states() == ["failed"]
    assert journal.run(journal.journal.replay(1, [WEB], ("sink",)))
    assert journal.states() == ["waiting"]
    (work,) = journal.claim().works
    assert work.entries[0].changes == [(ChangeKey("base", "1", 0), WEB)]
    journal.record(Outcome("sink", "web", [(1, None)]))
    assert journal.states() == ["delivered"]
    assert journal.run(journal.journal.replay(1, [WEB], ()))
    assert journal.states() == ["delivered"]


def test_deliveries_can_be_chosen(journal: Journal) -> None:
    journal.append("1", API, received=1.0, about=About("push", "api", "main", "Ann"))
    journal.append("2", WEB, received=2.0, dialect="gitlab", sinks=(), about=About("push", "web", "next"))

    def names(**wanted: Any) -> list[str]:
        return [stored.delivery for stored in journal.lines(**wanted)]

    assert names() == ["1", "2"]
    assert names(state="waiting") == ["1"]
    assert names(dialect="gitlab") == ["2"]
    assert names(repository="a*") == ["1"]
    assert names(repository="nothing") == []
    assert names(since=2.0) == ["2"]
    assert names(until=2.0) == ["1"]
    assert names(state="waiting", dialect="gitlab") == []
    assert names(event="pu*") == ["1", "2"]
    assert names(branch="main", author="A?n") == ["1"]
    assert names(branch="next") == ["2"]
    assert names(sink="sink") == ["1"]
    assert names(sink="other") == []


def test_all_is_read_page_by_page(journal: Journal) -> None:
    received = [delivery(id=str(number), dialect="base") for number in range(PAGE + 1)]
    stored = [journal.journal.append(each, [API], ()) for each in received]
    journal.journal.writer.run_group()
    assert not any(result_of(each).duplicate for each in stored)
    assert len(list(journal.reader.deliveries())) == PAGE + 1
    assert len(list(journal.reader.changes())) == PAGE + 1


def test_a_delivery_is_found_by_its_id_and_shown_whole(journal: Journal) -> None:
    journal.append("1", API, WEB)
    journal.append("1", WEB, dialect="gitlab")
    assert journal.reader.find("1") == [1, 2]
    assert journal.reader.find("gitlab/1") == [2]
    assert journal.reader.find("2") == []
    journal.record(Outcome("sink", "web", [(1, None)], [DeadLetter(1, 1, "gone")]))
    journal.record(Outcome("sink", "api", [(1, 0)], [], 2, 100.0, "refused"))
    whole = journal.reader.whole(1)
    assert whole.stored == line_of("1", state="waiting", changes=2, sinks={"sink": "failed"})
    assert whole.changes == [API, WEB]
    retrying, dead = whole.sinks
    assert retrying == SinkState("sink", "retrying", "api", 0, 2, retrying.due, "refused")
    assert retrying.due == pytest.approx(time() + 100, abs=20)
    assert dead == SinkState("sink", "failed", "web", 1, error="gone")
    with pytest.raises(LookupError):
        journal.reader.whole(99)


def line_of(name: str, **more: Any) -> StoredDelivery:
    """A line of a delivery that was accepted."""
    return StoredDelivery(
        **{
            **dict(seq=1, dialect="base", delivery=name, event="", repository="", branch="", author=""),
            **dict(received=5.0, client="", status=202, state="stored", reason="", verification="none"),
            **dict(changes=1, bytes=8, duplicates=0, recovered="", sinks={}),
            **more,
        }
    )


def test_only_what_is_delivered_is_pruned(journal: Journal) -> None:
    journal.append("1", API)
    journal.append("2", API, sinks=())
    journal.append("3", API, sinks=(), received=6.0)
    postponed(journal, "4")
    journal.append("5", WEB)
    journal.record(Outcome("sink", "web", [(5, None)], [DeadLetter(5, 0, "no")]))
    assert journal.run(journal.journal.prune(6.0)) == 1
    assert journal.run(journal.journal.prune(6.0)) == 0
    assert [stored.delivery for stored in journal.lines()] == ["1", "3", "4", "5"]
    journal.append("6", WEB, received=7.0)
    assert journal.run(journal.journal.prune_failed(6.0)) == 1
    assert [stored.delivery for stored in journal.lines()] == ["1", "3", "4", "6"]


def test_so_many_bytes_are_deleted_at_once(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Random(1).randbytes(500).hex()
    for number in range(6):
        journal.append(str(number), Change(comments=noise), sinks=())
    monkeypatch.setattr("change_hooks.journal.pruning.PAGE_BYTES", 2700)
    pruned = []
    while not pruned or pruned[-1]:
        pruned.append(journal.run(journal.journal.prune(6.0)))
    assert sum(pruned) == 5
    assert max(pruned) == 2
    # One that is larger than that goes by itself.
    monkeypatch.setattr("change_hooks.journal.pruning.PAGE_BYTES", 10)
    for number in "78":
        journal.append(number, Change(comments=noise), sinks=())
    assert [journal.run(journal.journal.prune(6.0)) for _ in range(3)] == [1, 1, 0]


def test_what_is_as_large_as_may_be_deleted_at_once_goes_together(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        journal.append(str(number), API, sinks=())
    row = journal.reader.session.execute(
        "SELECT sum(length(body) + length(changes)) AS bytes FROM deliveries WHERE seq < 3"
    ).fetchone()
    monkeypatch.setattr("change_hooks.journal.pruning.PAGE_BYTES", row["bytes"])
    assert journal.run(journal.journal.prune(6.0)) == 2


def test_what_was_received_first_is_pruned_first(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.journal.pruning.PAGE", 1)
    for name, received in (("1", 4.0), ("2", 3.0), ("3", 5.0)):
        journal.append(name, API, sinks=(), received=received)
    assert journal.run(journal.journal.prune(6.0)) == 1
    assert [stored.delivery for stored in journal.lines()] == ["1", "3"]


def test_why_a_delivery_failed_is_pruned_with_it(journal: Journal) -> None:
    journal.append("1", API)
    journal.record(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 0, "no")]))
    journal.append("2", API)
    assert journal.rows("dead_letters") == 1
    assert journal.run(journal.journal.prune_failed(6.0)) == 1
    assert journal.rows("dead_letters") == 0


def test_the_place_of_what_was_pruned_is_never_used_again(journal: Journal) -> None:
    for name in "12":
        journal.append(name, API, sinks=())
    # The newest one stays, and with it the number to go on from.
    assert journal.run(journal.journal.prune(6.0)) == 1
    assert journal.append("3", API, sinks=()).seq == 3


def test_a_value_is_remembered_under_its_name(journal: Journal) -> None:
    assert journal.run(journal.journal.recall("a")) is None
    for value in (b"1", b"\0\xff"):
        journal.run(journal.journal.remember("a", value))
    assert journal.run(journal.journal.recall("a")) == b"\0\xff"
    assert journal.run(journal.journal.recall("b")) is None
    # Each service has names of its own.
    named = journal.other("two")
    named.run(named.journal.remember("a", b"two"))
    named.run(named.journal.forget("a"))
    assert named.run(named.journal.recall("a")) is None
    assert journal.run(journal.journal.recall("a")) == b"\0\xff"
    journal.run(journal.journal.forget("a"))
    assert journal.run(journal.journal.recall("a")) is None


def test_names_are_those_of_the_service(journal: Journal) -> None:
    named = journal.other("s")
    for each in (journal, named):
        each.run(each.journal.remember("a", b""))
    rows = journal.reader.session.execute("SELECT name FROM memory").fetchall()
    assert {"a", "s/a"} <= {row["name"] for row in rows}


def test_one_receiver_at_a_time_holds_a_name(journal: Journal) -> None:
    other = journal.other()
    assert journal.run(journal.journal.lease("a", 60)) is True
    assert journal.run(journal.journal.lease("a", 60)) is True
    assert other.run(other.journal.lease("a", 60)) is False
    assert other.run(other.journal.lease("b", 60)) is True
    # Only who holds it can let go of it.
    other.run(other.journal.release("a"))
    assert other.run(other.journal.lease("a", 60)) is False
    journal.run(journal.journal.release("a"))
    assert other.run(other.journal.lease("a", 60)) is True


def test_a_name_is_free_when_its_lease_has_run_out(journal: Journal) -> None:
    other = journal.other()
    journal.run(journal.journal.lease("a", -1))
    assert other.run(other.journal.lease("a", 60)) is True
    journal.run(journal.journal.release("a"))
    assert journal.run(journal.journal.lease("a", 60)) is False


def test_a_lease_by_an_earlier_clock_holds_nothing(journal: Journal) -> None:
    far = b'{"owner": "x", "until": 1e12, "seconds": 60}'
    journal.run(journal.journal.remember("lease a", far))
    assert journal.run(journal.journal.lease("a", 60)) is True


def test_the_sinks_that_changes_wait_for_are_known(journal: Journal) -> None:
    journal.append("1", API, WEB, sinks=("b", "a"))
    assert journal.run(journal.journal.waiting_sinks()) == ["a", "b"]
    # Those of another service are no concern of this one.
    named = journal.other("two")
    named.append("1", API, sinks=("two/c",))
    assert journal.run(journal.journal.waiting_sinks()) == ["a", "b"]
    assert named.run(named.journal.waiting_sinks()) == ["two/c"]


def test_a_strange_repository_costs_nothing(journal: Journal) -> None:
    strange = Change(repository="a\0b"), Change(repository="x" * 100_000), Change(repository="\U0001f600")
    journal.append("1", *strange)
    claimed = journal.claim().works
    assert sorted(change.repository for work in claimed for _, change in work.entries[0].changes) == sorted(
        change.repository for change in strange
    )
    journal.record(*[Outcome("sink", queue_name(change), [(1, None)]) for change in strange])
    assert journal.states() == ["delivered"]


def test_what_repeats_itself_is_stored_small_and_read_as_it_was(journal: Journal) -> None:
    body = b"https://api.github.com/repos/octo-org/api/" * 1000
    many = [
        Change(repository="api", comments="The same again", revision=str(number)) for number in range(200)
    ]
    received = delivery(body, id="1", dialect="base", received=5.0)
    assert not journal.run(journal.journal.append(received, many, ("sink",))).duplicate
    assert journal.run(journal.journal.postpone(delivery(body, id="2", dialect="base"))).seq == 2
    (stored,) = journal.run(
        journal.journal.writer.submit(
            lambda session: session.execute(
                "SELECT length(body) AS body, length(changes) AS changes FROM deliveries WHERE seq = 1"
            ).fetchall()
        )
    )
    assert stored["body"] < len(body) / 10
    assert stored["changes"] < len(many) * 20
    whole = journal.reader.whole(1)
    assert (whole.delivery, whole.changes) == (received, many)
    assert whole.stored.bytes == len(body)
    assert [stored.change for stored in journal.reader.changes()] == many
    (work,) = journal.claim().works
    assert [change for _, change in work.entries[0].changes] == many
    journal.record(Outcome("sink", "api", [(1, None)]))
    assert journal.run(journal.journal.replay(1, many[:1], ()))
    assert journal.run(journal.journal.finish(2, many, ()))
    assert [stored.change for stored in journal.reader.changes()] == [many[0], *many]
    assert journal.reader.whole(2).delivery.body == body


BODY = bytes(range(256)) * 4
MANY = [Change(repository=f"r{number % 2}", revision=str(number)) for number in range(10)]
LONG = Change(repository="r0", revision="10", comments="\u00e4" * 300)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is small, so that there is a lot of it."""
    monkeypatch.setattr("change_hooks.journal.facade.LARGE", 100)
    monkeypatch.setattr("change_hooks.journal.chunks.PIECE", 128)
    monkeypatch.setattr("change_hooks.journal.compression.SMALLEST", 64)


def append_large(journal: Journal, name: str = "1", sinks: tuple[str, ...] = ("sink",)) -> Appended:
    received = delivery(BODY, id=name, dialect="base", received=5.0)
    appended: Appended = journal.run(journal.journal.append(received, [*MANY, LONG], sinks))
    return appended


@pytest.mark.usefixtures("small_pieces")
def test_a_large_delivery_reads_like_any_other(journal: Journal) -> None:
    assert append_large(journal) == Appended(duplicate=False, seq=1)
    assert journal.rows("pieces") > 12
    assert [stored.change for stored in journal.reader.changes()] == [*MANY, LONG]
    assert [stored.key.index for stored in journal.reader.changes()] == list(range(11))
    whole = journal.reader.whole(1)
    assert whole.delivery == delivery(BODY, id="1", dialect="base", received=5.0)
    assert whole.changes == [*MANY, LONG]
    assert whole.stored == line_of(
        "1", state="waiting", changes=11, bytes=len(BODY), sinks={"sink": "waiting"}
    )
    assert journal.lines() == [whole.stored]


@pytest.mark.usefixtures("small_pieces")
def test_a_large_delivery_is_brought_between_the_commits_of_others(journal: Journal) -> None:
    large = journal.journal.append(delivery(BODY, id="1", dialect="base"), MANY, ())
    also = journal.journal.append(delivery(BODY, id="2", dialect="base"), MANY, ())
    small = journal.journal.append(delivery(id="3", dialect="base"), [API], ())
    journal.journal.writer.run_group()
    assert result_of(small).seq == 1
    assert journal.rows("pieces") == 1
    assert not has_fired(large)
    journal.journal.writer.run_submitted()
    assert [result_of(deferred).seq for deferred in (large, also)] == [2, 3]


@pytest.mark.usefixtures("small_pieces")
def test_a_large_delivery_is_handed_over_in_parts_and_in_order(journal: Journal) -> None:
    append_large(journal)
    journal.append("2", Change(repository="r0", revision="last"))
    taken: dict[str, list[str | None]] = {"r0": [], "r1": []}
    while works := journal.claim().works:
        for work in works:
            for entry in work.entries:
                taken[work.repository] += [change.revision for _, change in entry.changes]
            done = [(entry.seq, entry.rest) for entry in work.entries]
            journal.record(Outcome("sink", work.repository, done))
    assert taken == {"r0": ["0", "2", "4", "6", "8", "10", "last"], "r1": ["1", "3", "5", "7", "9"]}
    assert journal.states() == ["delivered", "delivered"]


@pytest.mark.usefixtures("small_pieces")
def test_who_holds_a_queue_may_read_on(journal: Journal) -> None:
    append_large(journal)
    journal.append("2", Change(repository="r0", revision="last"))
    (entry,) = next(work for work in journal.claim().works if work.repository == "r0").entries
    revisions = [change.revision for _, change in entry.changes]
    while entry.rest is not None:
        (entry,) = journal.more("r0", entry.seq, entry.rest)[:1]
        assert (entry.seq, entry.received) == (1, 5.0)
        revisions += [change.revision for _, change in entry.changes]
    assert revisions == ["0", "2", "4", "6", "8", "10"]
    assert [each.seq for each in journal.more("r0", 2, 0)] == [2]
    assert journal.more("r0", 3, 0) == []


@pytest.mark.usefixtures("small_pieces")
def test_a_part_that_failed_comes_again_from_there(journal: Journal) -> None:
    append_large(journal)
    journal.claim()
    journal.record(Outcome("sink", "r1", [(1, 7)], [], 1, 0.0, "no"))
    (work,) = journal.claim().works
    assert work.entries[0].changes[0][0] == ChangeKey("base", "1", 7)


@pytest.mark.usefixtures("small_pieces")
def test_nothing_is_left_of_a_large_duplicate(journal: Journal) -> None:
    append_large(journal)
    before = journal.rows("pieces")
    assert append_large(journal).duplicate
    assert (journal.rows("pieces"), journal.rows("large")) == (before, 2)


@pytest.mark.usefixtures("small_pieces")
def test_a_large_delivery_that_failed_may_come_again(journal: Journal) -> None:
    append_large(journal)
    before = journal.rows("pieces")
    for repository in ("r0", "r1"):
        journal.record(Outcome("sink", repository, [(1, None)], [DeadLetter(1, 0, "no")]))
    assert append_large(journal) == Appended(duplicate=False, seq=1)
    assert (journal.rows("pieces"), journal.rows("large")) == (before, 2)
    assert journal.rows("dead_letters") == 0
    assert len(list(journal.reader.changes())) == 11


@pytest.mark.usefixtures("small_pieces")
def test_a_large_pending_delivery_is_finished_and_replayed(journal: Journal) -> None:
    received = delivery(BODY, id="1", dialect="base", received=5.0)
    assert journal.run(journal.journal.postpone(received)) == Appended(duplicate=False, seq=1)
    assert journal.run(journal.journal.postpone(received)).duplicate
    journal.let_leases_run_out()
    other = journal.other()
    assert other.run(other.journal.pending(10)) == [Pending(1, 0, received)]
    assert journal.run(journal.journal.finish(1, [*MANY, LONG], ()))
    assert not journal.run(journal.journal.finish(1, [*MANY, LONG], ()))
    assert [stored.change for stored in journal.reader.changes()] == [*MANY, LONG]
    assert journal.rows("large") == 2
    assert journal.run(journal.journal.replay(1, [API], ()))
    assert [stored.change for stored in journal.reader.changes()] == [API]
    assert journal.rows("large") == 1
    assert journal.reader.whole(1).delivery == received


@pytest.mark.usefixtures("small_pieces")
def test_a_large_delivery_is_pruned_whole(journal: Journal) -> None:
    append_large(journal, "1", sinks=())
    append_large(journal, "2", sinks=())
    assert journal.rows("large") == 4
    journal.append("3", API, sinks=())
    append_large(journal, "4", sinks=())
    journal.append("5", API, sinks=())
    assert [journal.run(journal.journal.prune(6.0)) for _ in range(5)] == [1, 1, 1, 1, 0]
    assert (journal.rows("pieces"), journal.rows("large")) == (0, 0)


@pytest.mark.usefixtures("small_pieces")
def test_what_a_dead_receiver_brought_is_swept_away(journal: Journal) -> None:
    append_large(journal, sinks=())
    kept = journal.rows("pieces")

    def bring(session: Any) -> None:
        store(session, "left", Piece(0, 0, b"x"))

    def sweep_later(session: Any) -> None:
        session.execute("UPDATE large SET since = since - ?", (FORGOTTEN + 1,))
        sweep(session)

    journal.run(journal.journal.writer.submit(bring))
    journal.run(journal.journal.writer.submit(sweep))
    assert journal.rows("pieces") == kept + 1
    journal.run(journal.journal.writer.submit(sweep_later))
    assert (journal.rows("pieces"), journal.rows("large")) == (kept, 2)


@pytest.mark.usefixtures("small_pieces")
def test_a_large_delivery_that_was_swept_away_is_refused_and_may_come_again(journal: Journal) -> None:
    large = journal.journal.append(delivery(BODY, id="1", dialect="base"), MANY, ())
    journal.journal.writer.run_group()
    journal.run(journal.journal.writer.submit(lambda session: sweep(session, everything=True)))
    assert journal.rows("large") == 0
    with pytest.raises(Unavailable):
        result_of(large)
    journal.journal.writer.run_submitted()
    assert (journal.rows("deliveries"), journal.rows("pieces")) == (0, 0)
    assert not append_large(journal).duplicate


@pytest.mark.usefixtures("small_pieces")
def test_nothing_is_left_of_what_could_not_be_stored_whole(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = journal.journal.append(delivery(BODY, id="1", dialect="base"), MANY, ())
    journal.journal.writer.run_group()
    assert journal.rows("pieces") == 1

    def refuses(*_: object) -> None:
        raise OSError("full")

    with monkeypatch.context() as full:
        full.setattr("change_hooks.journal.operations.store", refuses)
        journal.journal.writer.run_group()
    with pytest.raises(Unavailable):
        result_of(large)
    journal.journal.writer.run_group()
    assert (journal.rows("pieces"), journal.rows("large")) == (0, 0)


def test_a_claim_whose_answer_was_lost_is_free_when_its_lease_runs_out(journal: Journal) -> None:
    journal.append("1", API)
    journal.run(journal.journal.postpone(delivery(id="2", dialect="base")))
    journal.claim()
    journal.run(journal.journal.pending(10))
    journal.let_leases_run_out()
    journal.run(journal.journal.renew([], []))
    assert len(journal.claim().works) == 1
    assert len(journal.run(journal.journal.pending(10))) == 1


def test_what_was_attached_by_a_commit_whose_answer_was_lost_is_not_discarded(journal: Journal) -> None:
    body = bytes(range(256)) * (LARGE // 256 + 1)
    lost: list[Any] = []
    transact = journal.journal.writer.store.transact

    def losing(operations: Any) -> Any:
        results = transact(operations)
        if not lost and journal.reader.find("1"):
            lost.append(True)
            raise OSError("the answer is lost")
        return results

    journal.journal.writer.store.transact = losing  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        journal.run(journal.journal.append(delivery(body, id="1", dialect="base"), [API], []))
    journal.journal.writer.store.transact = transact  # type: ignore[method-assign]
    assert lost
    assert journal.reader.whole(1).delivery.body == body


def test_queues_are_claimed_in_the_order_in_which_they_became_due(
    journal: Journal,
) -> None:
    for name in "zam":
        journal.append(name, Change(repository=name))
        journal.pass_time(10.0)
    claimed = journal.claim(limit=2)
    assert [work.repository for work in claimed.works] == ["z", "a"]


def test_what_one_receiver_finishes_no_other_does(journal: Journal) -> None:
    other = journal.other()
    postponed(journal)
    journal.let_leases_run_out()
    assert len(journal.run(journal.journal.pending(10))) == 1
    assert other.run(other.journal.pending(10)) == []


def test_of_several_entries_each_goes_as_far_as_is_said(journal: Journal) -> None:
    journal.append("1", API, API)
    journal.append("2", API)
    journal.claim()
    journal.record(Outcome("sink", "api", [(1, 1), (2, None)]))
    assert journal.states() == ["waiting", "delivered"]
    (state,) = journal.reader.whole(1).sinks
    assert (state.state, state.index) == ("waiting", 1)


def test_a_failure_counts_only_from_who_holds_the_queue(journal: Journal) -> None:
    other = journal.other()
    journal.append("1", API)
    journal.claim()
    journal.let_leases_run_out()
    other.claim()
    journal.record(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 0, "no")]))
    assert journal.states() == ["waiting"]
    other.record(Outcome("sink", "api", [(1, None)]))
    journal.record(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 0, "no")]))
    assert journal.states() == ["delivered"]


def test_it_is_kept_how_far_a_delivery_is_done_and_what_has_failed(journal: Journal) -> None:
    journal.append("1", API, API, API)
    (work,) = journal.claim().works
    (entry,) = work.entries
    assert (work.attempts, work.failing, entry.next, entry.per) == (0, 0, 0, "")
    journal.record(Outcome("sink", "api", [(1, 2)], attempts=3, failing=1, per="push"))
    (work,) = journal.claim().works
    (entry,) = work.entries
    assert (work.attempts, work.failing, entry.next, entry.per) == (3, 1, 2, "push")
    assert [key.index for key, _ in entry.changes] == [2]
    # Who must have all of it may begin again.
    (whole,) = journal.more("api", 1, 0)
    assert [key.index for key, _ in whole.changes] == [0, 1, 2]
    # What is handed over one by one now is not done up to there.
    journal.record(Outcome("sink", "api", [(1, 1)], per="change"))
    # An earlier place says nothing new.
    journal.claim()
    journal.record(Outcome("sink", "api", [(1, 0)], per="change"))
    (work,) = journal.claim().works
    assert (work.attempts, work.failing, work.entries[0].next, work.entries[0].per) == (0, 0, 1, "change")


def test_who_lost_its_lease_is_believed_up_to_what_it_gave_up_first(journal: Journal) -> None:
    other = journal.other()
    journal.append("1", *[API] * 5)
    journal.claim()
    journal.let_leases_run_out()
    other.claim()
    dead = [DeadLetter(1, 3, "no"), DeadLetter(1, 4, "no")]
    journal.record(Outcome("sink", "api", [(1, None)], dead, per="push"))
    other.record(Outcome("sink", "api", []))
    (work,) = journal.claim().works
    assert (work.entries[0].next, work.entries[0].per) == (3, "push")
    assert journal.states() == ["waiting"]


def test_only_a_pending_delivery_can_fail(journal: Journal) -> None:
    seq = postponed(journal)
    assert journal.run(journal.journal.finish(seq, [API], ()))
    journal.run(journal.journal.fail(seq, "too late"))
    journal.run(journal.journal.retry_later(seq, 10.0, "too late"))
    (stored,) = journal.reader.deliveries()
    assert (stored.state, stored.reason) == ("stored", "")


@pytest.mark.usefixtures("small_pieces")
def test_what_was_finished_by_a_commit_whose_answer_was_lost_is_finished(journal: Journal) -> None:
    seq = postponed(journal)
    lost: list[Any] = []
    transact = journal.journal.writer.store.transact

    def twice(operations: Any) -> Any:
        results = transact(operations)
        if not lost and "stored" in journal.states():
            lost.append(True)
            return transact(operations)
        return results

    journal.journal.writer.store.transact = twice  # type: ignore[method-assign]
    assert journal.run(journal.journal.finish(seq, MANY, ()))
    assert lost
    assert [stored.change for stored in journal.reader.changes()] == MANY


def test_a_duplicate_is_counted_on_the_original(journal: Journal) -> None:
    journal.append("1", API)
    journal.append("1", API)
    sent = [journal.journal.append(delivery(id=name, dialect="base"), [API], ()) for name in "1221"]
    journal.journal.writer.run_group()
    assert [result_of(each).duplicate for each in sent] == [True, False, True, True]
    assert [(line.delivery, line.duplicates) for line in journal.lines()] == [("1", 3), ("2", 1)]


def test_what_it_is_about_is_stored_in_a_form_that_both_databases_hold(journal: Journal) -> None:
    about = About("push", "https://forge.example/o/r", "x" * 5000 + "end", "A\0nn \u00e9 \ud800")
    change = Change(repository="api", properties={RECOVERED: "fetch"})
    journal.append("1", change, about=about, client=IPv4Address("TCP", "192.0.2.7", 80))
    (line,) = journal.lines()
    assert (line.event, line.repository, line.author) == ("push", about.repository, "A\ufffdnn \u00e9 ?")
    assert line.branch == "x" * 500
    assert (line.client, line.status, line.recovered) == ("192.0.2.7", 202, "fetch")


def test_each_sink_has_its_word(journal: Journal) -> None:
    journal.append("1", API, sinks=("a", "b", "c"), unwanted=("d",))
    assert journal.lines()[0].sinks == {"a": "waiting", "b": "waiting", "c": "waiting", "d": "unwanted"}
    journal.record(
        Outcome("a", "api", [(1, None)]),
        Outcome("b", "api", [(1, 0)], attempts=1, wait=10.0, error="no"),
        Outcome("c", "api", [(1, None)], [DeadLetter(1, 0, "gone")]),
    )
    words = {"a": "taken", "b": "retrying", "c": "failed", "d": "unwanted"}
    assert journal.lines()[0].sinks == words
    whole = journal.reader.whole(1)
    assert {state.sink: state.state for state in whole.sinks} == words
    journal.record(Outcome("b", "api", [(1, None)]))
    (line,) = journal.lines()
    assert (line.state, line.reason, line.sinks["b"]) == ("failed", "gone", "taken")


def test_the_newest_come_first_and_page_by_page(journal: Journal) -> None:
    for number in range(5):
        journal.append(str(number), API, sinks=())

    def names(**page: Any) -> list[str]:
        return [line.delivery for line in journal.reader.deliveries(**page)]

    assert names() == list("43210")
    assert names(limit=2) == ["4", "3"]
    assert names(limit=2, before=4) == ["2", "1"]
    assert names(before=1) == []
    assert [line.delivery for line in journal.reader.after(3)] == ["3", "4"]
    assert [line.delivery for line in journal.reader.after(1, limit=2)] == ["1", "2"]
    assert journal.reader.newest() == 5
    found = journal.reader.deliveries(Wanted(event="none"), limit=1)
    assert list(found) == []


def test_what_is_chosen_is_found_beyond_the_first_page(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("change_hooks.journal.searching.PAGE", 2)
    for number in range(6):
        journal.append(str(number), API, sinks=(), about=About(branch="main" if number < 2 else "next"))
    found = journal.reader.deliveries(Wanted(branch="main"), limit=2)
    assert [line.delivery for line in found] == ["1", "0"]


def test_an_empty_journal_has_nothing(journal: Journal) -> None:
    assert journal.reader.newest() == 0
    assert journal.reader.lines([]) == []
    assert list(journal.reader.changes_of(1)) == []
    assert journal.reader.summary().sinks == []


def test_a_delivery_is_found_by_a_beginning(journal: Journal) -> None:
    for name in ("abc1", "abc2", "abcd", "ab"):
        journal.append(name, API, sinks=())
    journal.append("abc1", API, sinks=(), dialect="gitlab")
    assert journal.reader.find("abcd") == [3]
    assert journal.reader.find("ab") == [4]
    assert journal.reader.find("abc1") == [1, 5]
    assert journal.reader.find("abc") == [1, 2, 3, 5]
    assert journal.reader.find("gitlab/abc") == [5]
    assert journal.reader.find("x") == []
    assert journal.reader.find("") == [1, 2, 3, 4, 5]


def test_an_id_may_have_slashes_and_a_dialect_alone_is_none(journal: Journal) -> None:
    journal.append("a/b", API)
    journal.append("b", API)
    assert journal.reader.find("base/a/b") == journal.reader.find("a/b") == [1]
    assert journal.reader.find("base/") == journal.reader.find("base") == []


def test_it_is_known_when_each_endpoint_received_something_last(journal: Journal) -> None:
    assert journal.reader.last_received() == (0, {})
    journal.append("1", API, received=6.0)
    journal.append("2", API, received=7.0)
    journal.append("3", API, received=8.0, dialect="github")
    traced(journal, msgspec.structs.replace(FORGED, received=9.0))
    assert journal.reader.last_received() == (3, {"base": 7.0, "github": 8.0})
    assert journal.reader.last_received(2) == (3, {"github": 8.0})
    assert journal.reader.last_received(3) == (3, {})


def test_what_waits_for_nothing_is_due_at_once(journal: Journal) -> None:
    journal.append("1", API, WEB)
    journal.record(Outcome("sink", "api", [(1, 0)], attempts=1, wait=10.0, error="no"))
    api, web = sorted(journal.reader.whole(1).sinks, key=lambda state: state.repository)
    assert (api.state, api.error) == ("retrying", "no")
    assert api.due == pytest.approx(time() + 10, abs=60)
    assert web == SinkState("sink", "waiting", "web", 1)


@pytest.mark.parametrize("is_large", [False, True])
def test_each_queue_of_a_delivery_waits_for_a_change_of_its_own(
    journal: Journal, is_large: bool, request: pytest.FixtureRequest
) -> None:
    if is_large:
        request.getfixturevalue("small_pieces")
    journal.append("1", API, WEB, API, WEB)
    journal.record(Outcome("sink", "api", [(1, 1)]), Outcome("sink", "web", [(1, 0)]))
    assert {state.repository: state.index for state in journal.reader.whole(1).sinks} == {"api": 2, "web": 1}
    journal.record(Outcome("sink", "api", [(1, None)]), Outcome("sink", "web", [(1, 2)]))
    assert {state.repository: state.index for state in journal.reader.whole(1).sinks} == {"web": 3}


def test_it_is_known_how_deliveries_were_answered(journal: Journal) -> None:
    journal.append("1", API)
    assert journal.run(journal.journal.find("base", ["1", "2"])) == {"1": 202}
    assert journal.run(journal.journal.find("gitlab", ["1"])) == {}
    assert journal.run(journal.journal.find("base", [str(number) for number in range(500)])) == {"1": 202}


def test_who_follows_misses_nothing(journal: Journal) -> None:
    tail = Tail(journal.reader)
    seq = postponed(journal, "1")
    failing = postponed(journal, "2")
    journal.append("3", API, sinks=())

    def news() -> list[tuple[str, str]]:
        return [(line.delivery, line.state) for line in tail.news()]

    assert news() == [("1", "pending"), ("2", "pending"), ("3", "stored")]
    assert news() == []
    journal.run(journal.journal.finish(seq, [API], ()))
    assert news() == [("1", "stored")]
    journal.run(journal.journal.fail(failing, "it broke"))
    assert news() == []
    journal.append("2", API, sinks=())
    assert news() == [("2", "stored")]
    assert [stored.change for stored in journal.reader.changes_of(failing)] == [API]
    journal.run(journal.journal.prune(6.0))
    journal.append("4", API, sinks=())
    assert news() == [("4", "stored")]


def test_the_summary_says_what_waits_and_since_when(journal: Journal) -> None:
    journal.append("1", API, WEB, received=6.0)
    journal.append("2", API, received=7.0)
    postponed(journal, "3")
    journal.record(
        Outcome("sink", "api", [(1, 0)], attempts=1, wait=10.0, error="no"),
        Outcome("sink", "web", [(1, None)], [DeadLetter(1, 1, "gone")]),
    )
    summary = journal.reader.summary()
    assert summary.pending == 1
    assert summary.bytes > 0
    assert summary.sinks == [SinkSummary("sink", 1, 2, 1, 6.0, 1, "no", 1)]
    journal.append("4", API, sinks=("other",), received=8.0)
    journal.record(Outcome("other", "api", [(4, None)], [DeadLetter(4, 0, "gone")]))
    journal.append("5", API, sinks=("third",), received=9.0)
    other, _, third = journal.reader.summary().sinks
    assert other == SinkSummary("other", 0, 0, 0, None, 1)
    assert third == SinkSummary("third", 1, 1, 0, 9.0, 0)


DAMAGED = pytest.mark.parametrize("large", [False, True])


def damage(journal: Journal, *columns: str) -> None:
    def spoil(session: Any) -> None:
        for column in columns:
            session.execute(f"UPDATE deliveries SET {column} = ? WHERE seq = 1", (b"\xff spoilt",))
        session.execute("UPDATE pieces SET data = ?, size = NULL", (b"\xff spoilt",))

    journal.run(journal.journal.writer.submit(spoil))


@DAMAGED
def test_what_cannot_be_decoded_is_a_dead_letter_and_stops_nothing_else(
    journal: Journal, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr("change_hooks.journal.facade.LARGE", 1)
    journal.append("1", API, WEB)
    monkeypatch.undo()
    damage(journal, *([] if large else ["changes"]))
    journal.append("2", API)
    claimed = journal.claim().works
    found = [(work.repository, [(entry.seq, entry.damage) for entry in work.entries]) for work in claimed]
    broken = found[0][1][0][1]
    assert broken is not None
    assert (broken[0], "cannot be read" in broken[1]) == (ChangeKey("base", "1", 0), True)
    assert found == [("api", [(1, broken), (2, None)]), ("web", [(1, broken)])]
    dead = [DeadLetter(1, 0, broken[1])]
    journal.record(
        Outcome("sink", "api", [(1, None), (2, None)], dead), Outcome("sink", "web", [(1, None)], dead)
    )
    assert journal.states() == ["failed", "delivered"]
    assert "cannot be read" in journal.lines()[0].reason
    assert journal.claim() == Claimed([], None)


def test_a_pending_delivery_that_cannot_be_decoded_has_failed(journal: Journal) -> None:
    postponed(journal, "1")
    postponed(journal, "2")
    damage(journal, "head")
    journal.let_leases_run_out()
    with capturedLogs() as logs:
        assert [pending.seq for pending in journal.run(journal.journal.pending(10))] == [2]
    assert [formatEvent(event)[:46] for event in logs] == ["base 1 failed after it was accepted: the store"]
    assert journal.states() == ["failed", "pending"]
    assert "cannot be read" in journal.lines()[0].reason
    with pytest.raises(Unreadable):
        journal.run(journal.journal.delivery(1))
    with pytest.raises(LookupError):
        journal.run(journal.journal.delivery(99))


def traced(journal: Journal, *traces: Trace) -> None:
    for trace in traces:
        journal.journal.trace(trace)
    journal.journal.writer.run_submitted()


FORGED = Trace("base", 7.0, 403, "refused", "the signature is wrong", client="192.0.2.7", bytes=3)


def test_a_trace_is_a_row_without_a_body(journal: Journal) -> None:
    ping = Trace(
        *("base", 6.0, 202, "ignored", "the event 'ping' is not handled", "ping", "o/r", "main", "Ann"),
        **dict(client="192.0.2.8", delivery="8", bytes=4, verification="signature"),
    )
    traced(journal, ping, FORGED)
    journal.append("1", API, sinks=())
    ignored, refused, _ = journal.lines()
    assert ignored == line_of(
        "8",
        **dict(state="ignored", reason=ping.reason, event="ping", repository="o/r", branch="main"),
        **dict(author="Ann", client="192.0.2.8", verification="signature", changes=0, bytes=4, received=6.0),
    )
    assert (refused.seq, refused.status, refused.state, refused.bytes) == (2, 403, "refused", 3)
    whole = journal.reader.whole(2)
    assert (whole.delivery, whole.changes, whole.sinks, whole.attempts) == (None, [], [], [])
    assert [line.seq for line in journal.lines(state="refused")] == [2]
    assert list(journal.reader.changes_of(2)) == []
    assert next(journal.reader.changes()).seq == 3
    with pytest.raises(LookupError):
        journal.run(journal.journal.delivery(2))


def test_a_trace_never_claims_an_id(journal: Journal) -> None:
    named = msgspec.structs.replace(FORGED, delivery="1")
    traced(journal, named)
    assert not journal.append("1", API, sinks=()).duplicate
    traced(journal, named)
    assert journal.append("1", API, sinks=()).duplicate
    assert journal.states() == ["refused", "stored", "refused"]
    assert [line.duplicates for line in journal.lines()] == [0, 1, 0]
    assert journal.reader.find("1") == [1, 2, 3]
    traced(journal, msgspec.structs.replace(FORGED, delivery="2"))
    assert journal.run(journal.journal.find("base", ["1", "2"])) == {"1": 202, "2": 403}


def test_traces_that_are_alike_are_counted_on_the_last_of_them(journal: Journal) -> None:
    traced(journal, *[FORGED] * 100)
    traced(journal, FORGED)
    lines = journal.lines(state="refused")
    assert [line.duplicates for line in lines] == [0] * 19 + [81]


def test_traces_are_pruned_by_themselves(journal: Journal) -> None:
    journal.append("1", API, sinks=(), received=1.0)
    traced(journal, FORGED, msgspec.structs.replace(FORGED, received=20.0))
    assert journal.run(journal.journal.prune_traces(10.0)) == 1
    assert journal.run(journal.journal.prune_traces(30.0)) == 0
    assert journal.states() == ["stored", "refused"]
    assert journal.run(journal.journal.prune(30.0)) == 1


def attempt(seq: int, at: float, outcome: str = "taken", **more: Any) -> Attempt:
    return Attempt("sink", "api", 0, at, 0.5, outcome, seq=seq, **more)


def test_attempts_are_kept_with_their_outcome(journal: Journal) -> None:
    journal.append("1", API, API)
    journal.append("2", API)
    failed = attempt(1, 10.0, "failed", error="no\0", output="x" * 5000 + "the end \u00e9")
    journal.record(Outcome("sink", "api", [(1, 0)], attempts=1, error="no", made=[failed]))
    taken = [attempt(1, 11.0), attempt(1, 12.0), attempt(2, 13.0)]
    journal.record(Outcome("sink", "api", [(1, None), (2, None)], made=taken))
    first, *rest = journal.reader.whole(1).attempts
    assert (first.at, first.seconds, first.outcome, first.error) == (10.0, 0.5, "failed", "no\ufffd")
    assert len(first.output) == OUTPUT_KEPT
    assert first.output.endswith("the end \u00e9")
    assert rest == taken[:2]
    assert journal.reader.attempts(2) == taken[2:]
    assert journal.reader.whole(2).stored.sinks == {"sink": "taken"}


@pytest.mark.parametrize("together", [1, 3, 30])
def test_of_many_attempts_the_first_and_the_last_five_are_kept(journal: Journal, together: int) -> None:
    journal.append("1", API)
    for first in range(0, 30, together):
        made = [attempt(1, float(at), "failed") for at in range(first, first + together)]
        journal.record(Outcome("sink", "api", [(1, 0)], attempts=1, made=made))
    assert [each.at for each in journal.reader.attempts(1)] == [0, 1, 2, 3, 4, 25, 26, 27, 28, 29]


def test_attempts_go_with_their_delivery(journal: Journal) -> None:
    journal.append("1", API)
    journal.record(Outcome("sink", "api", [(1, None)], made=[attempt(1, 1.0)]))
    journal.append("2", API)
    journal.run(journal.journal.wish(1))
    assert journal.run(journal.journal.prune(6.0)) == 1
    assert (journal.rows("attempts"), journal.rows("wishes")) == (0, 0)
    # A receiver that was slower reports about it now.
    journal.record(Outcome("sink", "api", [(1, None)], made=[attempt(1, 2.0)]))
    assert journal.rows("attempts") == 0


def test_what_was_not_wanted_any_more_says_so(journal: Journal) -> None:
    for name in "123":
        journal.append(name, API)
    made = [attempt(1, 1.0, "unwanted"), attempt(2, 1.0, "unwanted"), attempt(2, 2.0, "superseded")]
    made += [attempt(3, 1.0, "unwanted"), attempt(3, 2.0)]
    journal.record(Outcome("sink", "api", [(1, None), (2, None), (3, None)], made=made))
    assert [line.sinks["sink"] for line in journal.lines()] == ["unwanted", "superseded", "taken"]
    assert journal.states() == ["delivered"] * 3


def test_what_was_only_superseded_says_so(journal: Journal) -> None:
    for name in "123":
        journal.append(name, API)
    superseded = [attempt(1, 1.0, "superseded"), attempt(2, 1.0, "superseded"), attempt(2, 2.0)]
    journal.record(
        Outcome("sink", "api", [(1, None), (2, None), (3, None)], made=[*superseded, attempt(3, 3.0)])
    )
    assert [line.sinks["sink"] for line in journal.lines()] == ["superseded", "taken", "taken"]
    assert journal.states() == ["delivered"] * 3
    assert journal.reader.whole(1).sinks == [SinkState("sink", "superseded")]


def test_a_replay_is_for_some_sinks_and_leaves_the_others_as_they_are(journal: Journal) -> None:
    journal.append("1", API, sinks=("a", "b", "c"), unwanted=("d",))
    journal.record(
        Outcome("a", "api", [(1, None)]),
        Outcome("b", "api", [(1, None)], [DeadLetter(1, 0, "gone")]),
        Outcome("c", "api", [(1, None)], [DeadLetter(1, 0, "gone too")]),
    )
    assert journal.run(journal.journal.results(1)) == Results(("a",), ("b", "c"), ("d",))
    assert journal.run(journal.journal.replay(1, [API], ("b",), ("d",)))
    words = {"a": "taken", "b": "waiting", "c": "failed", "d": "unwanted"}
    assert journal.lines()[0].sinks == words
    assert journal.run(journal.journal.results(1)).waiting == ("b",)
    assert journal.states() == ["waiting"]
    journal.record(Outcome("b", "api", [(1, None)]))
    assert journal.states() == ["failed"]
    assert journal.run(journal.journal.replay(1, [API], ("e",)))
    assert journal.lines()[0].sinks == {**words, "b": "taken", "e": "waiting"}


def test_what_gives_no_change_when_it_is_replayed_has_not_failed_any_more(journal: Journal) -> None:
    journal.append("1", API)
    journal.record(Outcome("sink", "api", [(1, None)], [DeadLetter(1, 0, "gone")]))
    assert journal.run(journal.journal.replay(1, [], ()))
    assert journal.states() == ["delivered"]
    assert journal.rows("dead_letters") == 0


def test_a_replay_that_nobody_wants_leaves_what_there_was(journal: Journal) -> None:
    journal.append("1", API, sinks=("a", "b"))
    journal.record(
        Outcome("a", "api", [(1, None)]), Outcome("b", "api", [(1, None)], [DeadLetter(1, 0, "gone")])
    )
    assert journal.run(journal.journal.replay(1, [API], (), ("x",)))
    (line,) = journal.lines()
    assert (line.state, line.reason) == ("failed", "gone")
    assert line.sinks == {"a": "taken", "b": "failed", "x": "unwanted"}
    journal.append("2", API, sinks=())
    assert journal.run(journal.journal.replay(2, [WEB], (), ("x",)))
    line = journal.lines()[1]
    assert (line.state, line.sinks) == ("stored", {"x": "unwanted"})


@pytest.mark.usefixtures("small_pieces")
def test_a_replay_may_give_more_than_there_was(journal: Journal) -> None:
    journal.append("1", API, sinks=())
    assert journal.run(journal.journal.replay(1, [*MANY, LONG], ()))
    assert [stored.change for stored in journal.reader.changes()] == [*MANY, LONG]
    journal.append("2", API)
    assert not journal.run(journal.journal.replay(2, [*MANY, LONG], ()))
    assert journal.rows("large") == 1


def test_a_replay_stays_asked_for_by_the_sinks_of_other_programs(journal: Journal) -> None:
    journal.append("1", API, sinks=())
    journal.run(journal.journal.wish(1, ["a", "b", "c"]))
    assert journal.run(journal.journal.replay(1, [API], ("a",), rest=("b", "c")))
    wish = journal.reader.wish(1)
    assert wish is not None and wish.sinks == ("b", "c")
    # What is still to be delivered is not replayed, and stays asked for.
    assert not journal.run(journal.journal.replay(1, [API], ("b",)))
    assert journal.reader.wish(1) == wish


def test_a_replay_can_be_asked_for_and_is_done_or_refused(journal: Journal) -> None:
    for name in "12":
        journal.append(name, API, sinks=())
    journal.run(journal.journal.wish(1, ["a"]))
    journal.run(journal.journal.wish(2))
    journal.run(journal.journal.wish(99))
    first, second = journal.run(journal.journal.wishes())
    assert (first.seq, first.sinks, first.error) == (1, ("a",), "")
    assert first.since == pytest.approx(time(), abs=60)
    assert (second.seq, second.sinks) == (2, ())
    assert journal.run(journal.journal.wishes(1)) == [second]
    journal.run(journal.journal.refuse_wish(1, "no handler"))
    assert journal.run(journal.journal.wishes()) == [second]
    refused = journal.reader.wish(1)
    assert refused is not None
    assert refused.error == "no handler"
    assert journal.run(journal.journal.replay(2, [API], ("sink",)))
    assert journal.reader.wish(2) is None
    assert journal.run(journal.journal.wishes()) == []
    journal.run(journal.journal.wish(1, ["a"]))
    journal.run(journal.journal.wish(1, ["b"]))
    assert [wish.sinks for wish in journal.run(journal.journal.wishes())] == [("b",)]


def test_a_replay_is_asked_of_the_service_that_a_delivery_came_to(journal: Journal) -> None:
    named = journal.other("s")
    received = delivery(id="1", dialect="base")
    seq = named.run(named.journal.append(received, [API], ())).seq
    journal.run(journal.journal.wish(seq))
    assert journal.run(journal.journal.wishes()) == []
    assert [wish.seq for wish in named.run(named.journal.wishes())] == [seq]


def test_of_a_delivery_that_is_not_there_nothing_is_taken(journal: Journal) -> None:
    assert journal.run(journal.journal.results(99)) == Results()
