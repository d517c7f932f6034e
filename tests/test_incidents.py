"""What broke is logged, and no line of source with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import eventAsText, globalLogPublisher
from twisted.python.failure import Failure

from change_hooks.incidents import MOST_FRAMES, report
from change_hooks.testing import Receiver


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def test_what_is_logged_says_where_and_quotes_no_source(logged: list[dict[str, Any]]) -> None:
    try:
        raise RuntimeError("why\nnot")  # a line of source
    except RuntimeError:
        incident = report("it broke", dialect="x")
    (event,) = logged
    text = eventAsText(event)
    assert f"it broke: incident {incident}: RuntimeError: why not" in text
    assert f'File "{__file__}", line ' in text
    assert "in test_what_is_logged_says_where" in text
    assert "a line of source" not in text
    assert event["dialect"] == "x"


def test_of_very_many_frames_some_are_left_out(logged: list[dict[str, Any]]) -> None:
    def deep(more: int) -> None:
        if not more:
            raise ValueError
        deep(more - 1)

    try:
        deep(2 * MOST_FRAMES)
    except ValueError:
        report("it broke", Failure())
    text = eventAsText(logged[0])
    assert text.count("File") == MOST_FRAMES
    assert "more" in text


def test_a_failure_without_a_traceback_is_logged(logged: list[dict[str, Any]]) -> None:
    report("it broke", Failure(RuntimeError("x")))
    assert "RuntimeError" in eventAsText(logged[0])


CONFIGURATION = """
def secret(delivery): raise RuntimeError("the vault is closed")  # s3cr3t-in-source
def when(change): raise RuntimeError("no")  # s3cr3t-in-source
def codebase(payload): return {}["x"]  # s3cr3t-in-source
def sink(change): raise RuntimeError("no")  # s3cr3t-in-source
"""
PUSHED = {"ref": "refs/heads/main", "after": "1" * 40, "repository": {"full_name": "o/r"}}


def test_no_callable_of_a_configuration_gets_its_source_into_the_log(
    tmp_path: Path, logged: list[dict[str, Any]]
) -> None:
    file = tmp_path / "hooks.cfg"
    file.write_text(CONFIGURATION)
    names: dict[str, Any] = {}
    exec(compile(CONFIGURATION, str(file), "exec"), names)
    www = {
        "change_hook_dialects": {
            "a": {"dialect": "github", "secret": names["secret"]},
            "b": {"dialect": "github", "codebase": names["codebase"]},
            "github": True,
        },
        "change_hook_sinks": {"x": {"sink": names["sink"], "when": names["when"], "attempts": 1}},
    }
    with Receiver(www, sink=names["sink"]) as receiver:
        statuses = [receiver.post(name, "push", PUSHED, secret=None).status for name in ("a", "b", "github")]
        assert statuses == [503, 500, 202]
        receiver.settle()
    texts = "\n".join(map(eventAsText, logged))
    assert "s3cr3t-in-source" not in texts
    assert str(file) in texts
