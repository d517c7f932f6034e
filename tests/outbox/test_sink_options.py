from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from zope.interface import implementer

from change_hooks.interfaces import IDeliverySink
from change_hooks.outbox.coalescing import Quiet
from change_hooks.outbox.sink_options import CONCURRENCY, SINK_TIME_LIMIT, routed


@implementer(IDeliverySink)
class Whole:
    name = "whole"
    per = "delivery"


def problems(written: dict[str, Any], sink: Any = print) -> list[str]:
    return routed(sink, written, 100)[1]


def test_the_defaults() -> None:
    read, found = routed(print, {"per": None, "only": None}, 7)
    assert found == []
    assert (read.sink, read.per, read.attempts) == (print, "change", 7)
    assert (read.time_limit, read.concurrency) == (SINK_TIME_LIMIT, CONCURRENCY)
    assert (read.latest_per, read.when) == (None, None)


def test_what_a_sink_says_of_itself_is_its_default_and_what_is_written_goes_before_it() -> None:
    sink = SimpleNamespace(per="push", attempts=3, time_limit=None, concurrency=4)
    read, _ = routed(sink, {}, 100)
    assert (read.per, read.attempts, read.time_limit, read.concurrency) == ("push", 3, None, 4)
    read, _ = routed(sink, {"per": "change", "attempts": 5, "time_limit": 1.5, "concurrency": 1}, 100)
    assert (read.per, read.attempts, read.time_limit, read.concurrency) == ("change", 5, 1.5, 1)


def test_quiet_is_for_each_branch_unless_something_else_is_written() -> None:
    read, found = routed(print, {"quiet": 60}, 100)
    assert (found, read.quiet, read.latest_per) == ([], Quiet(60, 600), ("repository", "branch"))
    read, _ = routed(print, {"quiet": 60, "quiet_limit": 90, "latest_per": ["project"]}, 100)
    assert (read.quiet, read.latest_per) == (Quiet(60, 90), ("project",))
    read, found = routed(print, {"quiet": 60, "quiet_limit": 60}, 100)
    assert (found, read.quiet) == ([], Quiet(60, 60))
    assert routed(print, {}, 100)[0].quiet is None


def test_a_sink_of_deliveries_gets_them_whole() -> None:
    assert routed(Whole(), {}, 100)[0].per == "delivery"
    assert problems({"per": "push"}, Whole()) == ["'per' is 'delivery' for this sink; leave it out"]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"only": {"branch": ["main"]}}, "'only': no field 'branch'; did you mean 'branches'?"),
        (
            {"unless": [{"repository": ["x"]}]},
            "'unless': no field 'repository'; did you mean 'repositories'?",
        ),
        ({"only": "main"}, "'only' must be a dict of fields and patterns"),
        ({"only": ["main"]}, "'only' must be a dict of fields and patterns"),
        ({"only": {"branches": 5}}, "'only': 'branches' must be a list of patterns"),
        ({"only": {"branches": [5]}}, "'only': 'branches' must be a list of patterns"),
        ({"only": {"branches": []}}, "'only': 'branches' is empty"),
        ({"when": "main"}, "'when' must be a callable"),
        ({"per": "commit"}, "'per' must be 'change' or 'push'"),
        ({"latest_per": "branch"}, "'latest_per' must be a list of fields"),
        ({"latest_per": ["branches"]}, "'latest_per': no field 'branches'; did you mean 'branch'?"),
        ({"latest_per": []}, "'latest_per' must be a list of fields"),
        ({"quiet": 0}, "'quiet' must be a positive number of seconds"),
        ({"quiet": 60, "quiet_limit": 30}, "'quiet_limit' must not be less than 'quiet'"),
        ({"quiet_limit": 30}, "'quiet_limit' needs 'quiet'"),
        ({"attempts": 0}, "'attempts' must be a positive whole number"),
        ({"attempts": 1.5}, "'attempts' must be a positive whole number"),
        ({"attempts": True}, "'attempts' must be a positive whole number"),
        ({"time_limit": 0}, "'time_limit' must be a positive number of seconds"),
        ({"time_limit": float("inf")}, "'time_limit' must be a positive number of seconds"),
        ({"time_limit": "600"}, "'time_limit' must be a positive number of seconds"),
        ({"concurrency": 0}, "'concurrency' must be a positive whole number"),
    ],
)
def test_what_is_wrong_is_said(written: dict[str, Any], problem: str) -> None:
    (found,) = problems(written)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("option", "value"), [("attempts", "3"), ("time_limit", "600"), ("time_limit", 0), ("concurrency", True)]
)
def test_what_a_sink_says_of_itself_is_checked_too(option: str, value: Any) -> None:
    (found,) = problems({}, SimpleNamespace(**{option: value}))
    assert found.startswith(f"{option!r} must be a positive")


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(problems({"only": {"branch": ["main"]}, "attempts": 0, "per": "commit"})) == 3
