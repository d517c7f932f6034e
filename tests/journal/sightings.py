"""What every journal has to do about commits that come by more than one way."""

from __future__ import annotations

from typing import Any

import pytest

from change_hooks.core.change import Change
from change_hooks.core.found import About
from change_hooks.journal import Appended
from change_hooks.journal.chunks import LARGE
from change_hooks.journal.sightings import RECENT

from ..conftest import delivery
from .suite import Journal

NOW = 1_000_000.0
ADDRESSES = ("https://git.example/o/r", "git@git.example:o/r.git", "https://u:p@git.example/O/r.git/")


class Ways:
    """A journal, and what was stored in it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.now = NOW
        self.count = 0

    def come(
        self,
        way: str,
        *revisions: str | None,
        ref: str = "main",
        address: str = ADDRESSES[0],
        id: str | None = None,
        body: bytes = b"{}",
    ) -> Appended:
        """Changes come by a way."""
        self.count += 1
        sent = delivery(body, id=id or f"{way}-{self.count}", dialect=way, received=self.now)
        changes = [Change(revision=each, branch=ref, repository=address) for each in revisions]
        about = About("push", address, ref)
        appended: Appended = self.journal.run(
            self.journal.journal.append(sent, changes, ["a"], about=about, way=way)
        )
        return appended

    def stored(self) -> list[str | None]:
        """The revisions of all changes that are stored, in order."""
        reader = self.journal.reader
        found = []
        for stored in sorted(reader.deliveries(), key=lambda each: each.seq):
            found += [change.revision for change in reader.whole(stored.seq).changes]
        return found


@pytest.fixture
def ways(journal: Journal) -> Ways:
    return Ways(journal)


@pytest.mark.parametrize(("first", "second"), [("sent", "polled"), ("polled", "sent"), ("fetched", "sent")])
def test_a_commit_that_comes_by_two_ways_is_one_change(ways: Ways, first: str, second: str) -> None:
    assert not ways.come(first, "1").duplicate
    again = ways.come(second, "1", ref="refs/heads/main", address=ADDRESSES[1])
    assert again == Appended(duplicate=True, id=f"{first}/{first}-1")
    assert ways.stored() == ["1"]
    (stored, _) = sorted(ways.journal.reader.deliveries(), key=lambda each: -each.changes)
    assert stored.state == "waiting"


def test_the_second_says_why_it_gives_nothing_and_is_not_taken_again(ways: Ways) -> None:
    ways.come("sent", "1")
    ways.come("polled", "1", id="p")
    (told,) = [each for each in ways.journal.reader.deliveries() if each.dialect == "polled"]
    assert (told.state, told.reason, told.changes, told.sinks) == (
        "stored",
        "the same as sent/sent-1, which arrived before",
        0,
        {},
    )
    assert ways.come("polled", "1", id="p") == Appended(duplicate=True)


def test_of_a_push_only_what_nobody_found_is_new(ways: Ways) -> None:
    ways.come("polled", "1")
    ways.come("polled", "2")
    assert not ways.come("sent", "1", "2", "3", address=ADDRESSES[2]).duplicate
    assert ways.stored() == ["1", "2", "3"]
    for revision in ("1", "2", "3"):
        assert ways.come("fetched", revision).duplicate


def test_an_update_whose_newest_commit_has_come_has_come_as_a_whole(ways: Ways) -> None:
    """A hook lists fewer commits than the forge has."""
    ways.come("sent", "3")
    assert ways.come("fetched", "1", "2", "3").duplicate
    assert ways.stored() == ["3"]
    assert not ways.come("sent", "1").duplicate


def test_two_that_come_by_one_way_are_never_the_same(ways: Ways) -> None:
    ways.come("sent", "1")
    ways.come("sent", "1")
    assert ways.stored() == ["1", "1"]
    assert ways.come("polled", "1").duplicate and ways.come("polled", "1").duplicate
    assert not ways.come("polled", "1").duplicate


@pytest.mark.parametrize(
    "other",
    [{"ref": "topic"}, {"address": "https://git.example/o/s"}, {"address": "https://else.example/o/r"}],
)
def test_another_ref_or_repository_is_another_change(ways: Ways, other: dict[str, Any]) -> None:
    ways.come("sent", "1")
    assert not ways.come("polled", "1", **other).duplicate


def test_of_many_commits_each_is_known(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.journal.sightings.ROWS", 2)
    some = ("1", "2", "3", "4", "5")
    ways.come("polled", *some)
    assert not ways.come("sent", *some, "6").duplicate
    assert ways.stored() == [*some, "6"]


def test_by_which_ways_it_came_is_kept_in_letters_that_other_versions_read(ways: Ways) -> None:
    for way in ("sent", "polled", "fetched"):
        ways.come(way, "1")
    (row,) = ways.journal.reader.session.execute("SELECT ways FROM sightings").fetchall()
    assert row["ways"] == "spf"


def test_without_a_revision_nothing_is_the_same(ways: Ways) -> None:
    ways.come("sent", None)
    assert not ways.come("polled", None).duplicate


def test_a_ref_that_is_set_back_later_is_an_event_of_its_own(ways: Ways) -> None:
    ways.come("sent", "1")
    ways.come("sent", "2")
    ways.now += 2 * RECENT
    # The poller did not see the first two, and sees what no hook has brought.
    assert not ways.come("polled", "3").duplicate
    ways.now += 1
    assert not ways.come("polled", "1").duplicate
    assert ways.stored() == ["1", "2", "3", "1"]


def test_what_comes_in_another_order_is_the_same(ways: Ways) -> None:
    ways.come("sent", "2")
    ways.come("sent", "1")
    assert ways.come("polled", "1").duplicate and ways.come("polled", "2").duplicate


def test_what_is_not_compared_leaves_nothing(ways: Ways) -> None:
    sent = delivery(b"{}", id="1", dialect="x", received=NOW)
    change = Change(revision="1", branch="main", repository=ADDRESSES[0])
    ways.journal.run(ways.journal.journal.append(sent, [change], []))
    assert not ways.come("polled", "1").duplicate


def test_one_that_could_not_be_finished_at_once(ways: Ways) -> None:
    journal = ways.journal
    ways.come("polled", "1")
    for number, (revision, state) in enumerate([("1", "stored"), ("2", "waiting")]):
        sent = delivery(b"{}", id=f"late{number}", dialect="sent", received=NOW)
        seq = journal.run(journal.journal.postpone(sent)).seq
        change = Change(revision=revision, branch="main", repository=ADDRESSES[0])
        kept = journal.journal.finish(seq, [change], ["a"], way="sent", received=NOW)
        assert journal.run(kept)
        (told,) = [each for each in journal.reader.deliveries() if each.delivery == f"late{number}"]
        assert told.state == state
    assert ways.come("polled", "2").duplicate


def test_a_large_one_is_known_to_the_others(ways: Ways) -> None:
    ways.come("sent", "1", body=b'"' + b"x" * LARGE + b'"')
    assert ways.come("polled", "1").duplicate


def test_what_was_seen_is_forgotten_with_its_delivery(ways: Ways) -> None:
    sent = delivery(b"{}", id="1", dialect="sent", received=NOW)
    change = Change(revision="1", branch="main", repository=ADDRESSES[0])
    ways.journal.run(ways.journal.journal.append(sent, [change], [], way="sent"))
    ways.come("polled", "9")
    assert ways.journal.run(ways.journal.journal.prune(NOW + 1)) == 1
    assert not ways.come("polled", "1").duplicate
