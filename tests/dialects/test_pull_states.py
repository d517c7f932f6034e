from __future__ import annotations

from change_hooks.dialects.pull_states import MOST, Remembered

PULL = ("repository", 7)


def test_what_is_not_known_counts_as_new() -> None:
    assert Remembered().updated(PULL, "a", False, "1") == "updated"


def test_another_commit_is_an_update_and_the_same_is_none() -> None:
    last = Remembered()
    assert last.opened(PULL, "a", False, "1") == "opened"
    assert last.updated(PULL, "a", False, "2") == "edited"
    assert last.updated(PULL, "b", False, "3") == "updated"
    assert last.updated(PULL, "b", None, None) == "edited"
    assert last.updated(("repository", 8), "b", False, "4") == "updated"


def test_a_delivery_that_comes_again_gives_the_same_again() -> None:
    last = Remembered()
    last.opened(PULL, "a", False, "1")
    assert [last.updated(PULL, "b", False, "2") for _ in range(3)] == ["updated"] * 3
    assert last.updated(PULL, "a", False, "1") == "updated"


def test_a_draft_that_is_ready_and_one_that_is_a_draft_again() -> None:
    last = Remembered()
    last.opened(PULL, "a", True, "1")
    assert last.updated(PULL, "a", False, "2") == "ready"
    assert last.updated(PULL, "a", True, "3") == "drafted"
    assert last.updated(PULL, "a", None, "4") == "edited"


def test_it_forgets_the_oldest() -> None:
    last = Remembered()
    for number in range(MOST + 1):
        last.opened(("repository", number), "a", False, None)
    assert last.updated(("repository", 0), "a", False, None) == "updated"
    assert last.updated(("repository", MOST), "a", False, None) == "edited"
