from __future__ import annotations

from change_hooks.dialects.pull_states import LONGEST, MOST, Remembered, Seen

PULL = ("repository", 7)


def test_what_is_not_known_counts_as_new() -> None:
    assert Remembered().updated(PULL, Seen("a")) == "updated"


def test_another_commit_is_an_update_and_the_same_is_none() -> None:
    last = Remembered()
    assert last.opened(PULL, Seen("a", False, 1, "1")) == "opened"
    assert last.updated(PULL, Seen("a", False, 2, "2")) == "edited"
    assert last.updated(PULL, Seen("b", False, 3, "3")) == "updated"
    assert last.updated(PULL, Seen("b")) == "edited"
    assert last.updated(("repository", 8), Seen("b", False, 4, "4")) == "updated"


def test_a_delivery_that_comes_again_gives_the_same_again() -> None:
    last = Remembered()
    last.opened(PULL, Seen("a", False, 1, "1"))
    assert [last.updated(PULL, Seen("b", False, 2, "2")) for _ in range(3)] == ["updated"] * 3
    assert last.updated(PULL, Seen("a", False, None, "3")) == "updated"


def test_one_that_comes_late_changes_nothing_of_what_is_remembered() -> None:
    last = Remembered()
    last.opened(PULL, Seen("a", False, 1, "1"))
    last.updated(PULL, Seen("b", False, 2, "2"))
    last.updated(PULL, Seen("c", True, 3, "3"))
    assert last.opened(PULL, Seen("a", False, 1, "1")) == "opened"
    assert last.updated(PULL, Seen("b", False, 2, "2")) == "updated"
    assert last.updated(PULL, Seen("c", False, 2, "4")) == "edited"
    assert last.updated(PULL, Seen("c", True, 4, "5")) == "edited"


def test_one_that_is_reported_opened_after_an_update() -> None:
    last = Remembered()
    last.updated(PULL, Seen("b", False, 2, "2"))
    assert last.opened(PULL, Seen("a", False, 1, "1")) == "opened"
    assert last.updated(PULL, Seen("b", False, 3, "3")) == "edited"


def test_a_draft_that_is_ready_and_one_that_is_a_draft_again() -> None:
    last = Remembered()
    last.opened(PULL, Seen("a", True, 1, "1"))
    assert last.updated(PULL, Seen("a", False, 1, "2")) == "ready"
    assert last.updated(PULL, Seen("a", True, 2, "3")) == "drafted"
    assert last.updated(PULL, Seen("a", None, 3, "4")) == "edited"


def test_it_forgets_the_oldest() -> None:
    last = Remembered()
    for number in range(MOST + 1):
        last.opened(("repository", number), Seen("a"))
    assert last.updated(("repository", 0), Seen("a")) == "updated"
    assert last.updated(("repository", MOST), Seen("a")) == "edited"


def test_what_a_sender_makes_long_is_not_remembered() -> None:
    last, long = Remembered(), "x" * LONGEST
    for pull, seen in [((long, 1), Seen("a")), (PULL, Seen(long + "a")), (PULL, Seen("a", delivery=long))]:
        assert last.opened(pull, seen) == "opened"
        assert last.updated(pull, seen) == "updated"
    assert last.updated(("y" * (LONGEST - 1), 1), Seen("a")) == "updated"
    assert last.updated(("y" * (LONGEST - 1), 1), Seen("a")) == "edited"
