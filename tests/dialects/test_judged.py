"""Whoever asks why is told of every test that the options make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from change_hooks import Change, EventHandler, Ignored
from change_hooks.core.found import About
from change_hooks.core.verdicts import Verdict
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.testing import build


class Handler(EventHandler):
    event_header = "X-Event"
    id_headers = ("X-Id",)

    def handle_changes(self, payload: Any) -> Any:
        return [Change(branch="main"), Change(branch="topic")], "git"

    def handle_nothing(self, payload: Any) -> Any:
        return [], "git"

    def handle_ignored(self, payload: Any) -> Any:
        return Ignored("a ping")


@pytest.mark.parametrize(
    ("event", "failed"),
    [("changes", [[], ["branches"]]), ("nothing", []), ("ignored", [["the handler's decision"]])],
)
def test_once_for_each_event_or_change(event: str, failed: list[list[str]]) -> None:
    options = {"branches": ["main"]}
    told: list[Sequence[Verdict]] = []
    handler = make_handler(Handler, options, Context(judged=told.append))
    www = {"change_hook_dialects": {"x": {**options, "custom_class": Handler}}}
    handler.getChanges(build(www, "x", event, {}, id="1"))
    assert [[each.test for each in tests if not each.passed] for tests in told] == failed


def test_of_a_delivery_without_its_body_what_is_kept_is_judged() -> None:
    handler = make_handler(Handler, {"branches": ["main"]}, Context())
    event, branches = handler.kept(About("ignored", "", "topic")).verdicts
    assert event == Verdict("event", ("one that is handled",), ("ignored",))
    assert (branches.test, branches.passed) == ("branches", False)
    (event,) = handler.kept(About("gone")).verdicts
    assert (event.passed, event.reason) == (False, "the event 'gone' is not handled")
    assert handler.kept(About()).verdicts == []
