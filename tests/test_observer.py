"""What happens is told to all who observe, and one that breaks harms nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from change_hooks import Change
from change_hooks.observer import NOBODY, Observer, Observers
from tests.conftest import result_of
from tests.support.hosted import BASE, Hosted
from tests.support.watching import Watching

CALLS: list[tuple[Callable[[Observer], None], tuple[Any, ...]]] = [
    (
        lambda o: o.delivery_answered("x", "push", "accepted", 0.1, 2),
        ("answered", "x", "push", "accepted", 2),
    ),
    (lambda o: o.changes_accepted("x", 2, "fetch"), ("changes", "x", 2, "fetch")),
    (lambda o: o.attempt_made("sink", "failed", 0.1, "no"), ("attempt", "sink", "failed", "no")),
    (lambda o: o.dead_letter("sink", "no"), ("dead letter", "sink", "no")),
    (lambda o: o.journal_committed(0.1), ("committed",)),
    (lambda o: o.journal_unavailable(), ("unavailable",)),
]


class Broken(Watching):
    """Cannot remember anything."""

    def __init__(self) -> None:
        """It has no list."""


@pytest.mark.parametrize(("call", "told"), CALLS)
def test_one_that_breaks_does_not_keep_it_from_the_others(
    call: Callable[[Observer], None], told: tuple[Any, ...]
) -> None:
    watching, observers = Watching(), Observers()
    observers.add(Broken())
    observers.add(watching)
    call(observers)
    call(NOBODY)
    assert watching.seen == [told]


def test_a_service_tells_of_answers_attempts_and_commits(tmp_path: Path, changes: list[Change]) -> None:
    hosted = Hosted(BASE, tmp_path, sink=changes.append)
    watching = Watching()
    hosted.service.observe(watching)
    hosted.start()
    hosted.post(data={"revision": "1"})
    hosted.post(data={})
    assert watching.of("answered") == [("base", "", "accepted", 1), ("base", "", "refused", 0)]
    assert watching.of("attempt") == [("sink", "taken", "")]
    assert watching.of("committed")
    assert all(0 <= seconds < 60 for seconds in watching.seconds)


def test_a_service_tells_that_its_journal_cannot_be_written(
    tmp_path: Path, changes: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = Hosted(BASE, tmp_path, sink=changes.append)
    watching = Watching()
    hosted.service.observe(watching)
    hosted.start()
    store = hosted.journal.writer.store

    def full(operations: Any) -> Any:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "transact", full)
        watching.seen.clear()
        assert hosted.post(data={"revision": "1"}).status == 503
    assert watching.seen[:2] == [("unavailable",), ("answered", "base", "", "unavailable", 0)]
    written = hosted.journal.remember("x", b"y")
    hosted.run()
    result_of(written)
    assert watching.seen[-1] == ("committed",)


def test_a_reconfiguration_goes_on_telling(tmp_path: Path, changes: list[Change]) -> None:
    hosted = Hosted(BASE, tmp_path, sink=changes.append)
    watching = Watching()
    hosted.service.observe(watching)
    hosted.start()
    hosted.service.reconfigure({"change_hook_dialects": {"other": {"dialect": "base"}}})
    hosted.post("/other", data={"revision": "1"})
    assert watching.of("answered") == [("other", "", "accepted", 1)]


def test_an_operation_at_fault_is_not_the_journals(tmp_path: Path, changes: list[Change]) -> None:
    hosted = Hosted(BASE, tmp_path, sink=changes.append)
    watching = Watching()
    hosted.service.observe(watching)
    hosted.start()
    watching.seen.clear()
    bad = hosted.journal.writer.submit(lambda session: 1 / 0)
    hosted.journal.remember("x", b"y")
    hosted.run()
    with pytest.raises(ZeroDivisionError):
        result_of(bad)
    assert watching.seen == [("committed",)]
