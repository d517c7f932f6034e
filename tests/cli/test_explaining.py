"""``explain``: every test of the options and of the sinks, its value and its verdict."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import succeed

from change_hooks.core.change import Change
from change_hooks.core.events import RefUpdate, Repository
from change_hooks.core.fetched import fetched
from change_hooks.journal import Trace
from change_hooks.testing import build

from ..support.command import CommandLine

PUSH = {
    "ref": "refs/heads/topic",
    "before": "1" * 40,
    "after": "2" * 40,
    "created": False,
    "deleted": False,
    "forced": False,
    "compare": "https://github.com/o/r/compare/1...2",
    "commits": [
        {
            "id": "2" * 40,
            "message": "Fix it",
            "timestamp": "2026-01-01T00:00:00Z",
            "url": "https://github.com/o/r/commit/2",
            "author": {"name": "Ann", "email": "ann@example.com"},
            "committer": {"name": "Ann", "email": "ann@example.com"},
            "added": [],
            "removed": [],
            "modified": ["docs/a\x1b"],
            "distinct": True,
        }
    ],
    "repository": {
        "name": "r",
        "full_name": "o/r",
        "html_url": "https://github.com/o/r",
        "clone_url": "https://github.com/o/r.git",
    },
    "pusher": {"name": "ann", "email": "ann@example.com"},
    "sender": {"login": "ann"},
}
PUSH["head_commit"] = PUSH["commits"][0]  # type: ignore[index]


def stored(command_line: CommandLine, **options: Any) -> None:
    dialects = {"github": {"secret": "s3cret-that-is-long-enough", **options}}
    command_line.configure(
        change_hook_dialects=dialects,
        change_hook_sinks={
            "all": {"sink": "command", "argv": ["true"], "per": "change"},
            "docs": {
                "sink": "command",
                "argv": ["true"],
                "only": {"files": ["docs/*"], "branches": ["main"]},
                "latest_per": ["branch"],
            },
        },
    )
    delivery = build({"change_hook_dialects": dialects}, "github", "push", PUSH, id="7")
    kept = delivery.replace(id="7", verification="signature")
    assert kept.getHeader("X-GitHub-Event") == "push"  # What was read is stored.
    command_line.write(lambda journal: journal.append(kept, [Change()], ("all",)))


def test_each_test_is_shown_with_what_is_set_and_what_was_sent(command_line: CommandLine) -> None:
    stored(command_line, branches=["main", "release/*"])
    (explained,) = command_line.lines("explain", "7")
    assert (explained["changes"], explained["reason"]) == (
        0,
        "the branch matches none of the option 'branches'",
    )
    (tests,) = explained["tests"]
    by_name = {test["test"]: test for test in tests}
    assert by_name["branches"] == {
        "test": "branches",
        "wanted": ["main", "release/*"],
        "value": ["refs/heads/topic", "topic"],
        "passed": False,
        "reason": "the branch matches none of the option 'branches'",
    }
    assert by_name["ignore_senders"] == {
        "test": "ignore_senders",
        "wanted": [],
        "value": ["ann"],
        "passed": True,
        "reason": "",
    }
    assert "o/r" in by_name["repositories"]["value"]
    text = command_line.run("explain", "7").output
    assert "now: no change: the branch matches none of the option 'branches'" in text
    assert "REFUSES  branches: refs/heads/topic, topic (wants main, release/*)" in text
    assert "passes   skips: Fix it (wants " in text


def test_and_each_test_of_each_sink(command_line: CommandLine) -> None:
    stored(command_line)
    (explained,) = command_line.lines("explain", "7")
    assert (explained["changes"], explained["reason"]) == (1, "")
    everything, docs = explained["routing"]
    assert everything == {"sink": "all", "changes": [0], "wanted": True, "group": "", "verdicts": []}
    assert (docs["sink"], docs["wanted"], docs["group"]) == ("docs", False, "topic")
    assert [(test["test"], test["value"], test["passed"]) for test in docs["verdicts"]] == [
        ("only files", ["docs/a\x1b"], True),
        ("only branches", ["topic"], False),
    ]
    text = command_line.run("explain", "7").output
    assert "sink all, change 0: wanted\n" in text
    assert "sink docs, change 0: not wanted, the latest of topic\n" in text
    assert "does not match  only branches: topic (wants main)" in text
    assert "\x1b" not in text


def test_what_was_not_sent_is_for_no_sink_that_sends_requests_on(command_line: CommandLine) -> None:
    stored(command_line)
    command_line.configure(
        change_hook_dialects={"github": {"secret": "s3cret-that-is-long-enough"}},
        change_hook_sinks={"on": {"sink": "forward", "url": "http://127.0.0.1:1/"}},
    )
    event = RefUpdate(
        repository=Repository(name="r", full_name="o/r", urls={"https": "https://github.com/o/r.git"}),
        ref="refs/heads/topic",
        after="2" * 40,
    )
    found = fetched([event], endpoint="github", id="8", received=5.0)
    command_line.write(lambda journal: journal.append(found, [Change()], (), ("on",)))
    for name, wanted in (("7", True), ("8", False)):
        (explained,) = command_line.lines("explain", name)
        assert explained["changes"] == 1
        assert [(each["sink"], each["wanted"]) for each in explained["routing"]] == [("on", wanted)]
    text = command_line.run("explain", "8").output
    assert "sink on, change 0: not wanted\n" in text
    assert "does not match  arrived in a request: no (wants yes)" in text
    assert "sink on: unwanted" in command_line.run("show", "8").output


def test_nothing_is_stored_by_it(command_line: CommandLine) -> None:
    stored(command_line)
    before = command_line.run("deliveries", "--json").output
    command_line.run("explain", "7")
    assert command_line.run("deliveries", "--json").output == before


def test_of_what_was_not_kept_the_reason_of_then_is_shown(command_line: CommandLine) -> None:
    command_line.write(
        lambda journal: succeed(journal.trace(Trace("base", 5.0, 202, "ignored", "a ping", delivery="9")))
    )
    (explained,) = command_line.lines("explain", "9")
    assert (explained["state"], explained["reason"], explained["tests"]) == ("ignored", "a ping", [])
    text = command_line.run("explain", "9").output
    assert "a ping" in text
    assert "its body is not stored" in text


def ignored(
    command_line: CommandLine, event: str = "push", repository: str = "https://github.com/o/r.git"
) -> None:
    options = {"secret": "s3cret-that-is-long-enough", "branches": ["main"], "ignore_senders": ["*[bot]"]}
    command_line.configure(change_hook_dialects={"github": {**options, "repositories": ["o/*"]}})
    trace = Trace(
        "github",
        5.0,
        202,
        "ignored",
        "the branch matches none of the option 'branches'",
        event=event,
        repository=repository,
        branch="topic",
        author="Ann <ann@example.com>",
        delivery="9",
    )
    command_line.write(lambda journal: succeed(journal.trace(trace)))


def test_the_tests_that_need_no_body_are_made_of_a_trace(command_line: CommandLine) -> None:
    ignored(command_line)
    (explained,) = command_line.lines("explain", "9")
    (tests,) = explained["tests"]
    assert [(test["test"], test["value"], test["passed"]) for test in tests] == [
        ("event", ["push"], True),
        ("repositories", ["https://github.com/o/r.git", "github.com/o/r", "o/r", "r"], True),
        ("branches", ["topic"], False),
    ]
    # By the author alone nobody knows the sender's login.
    assert {"ignore_senders", "skips", "deleted", "actions"} <= set(explained["unknown"])
    assert {"branches", "repositories", "drafts", "labels"}.isdisjoint(explained["unknown"])
    text = command_line.run("explain", "9").output
    assert "passes   event: push (wants one that is handled)" in text
    assert "REFUSES  branches: topic (wants main) -- the branch matches none of" in text
    assert "unknown  ref, deleted, ignore_senders, " in text
    assert "sinks: not tested, because it gave no change" in text


def test_an_event_that_is_not_handled_any_more_is_said(command_line: CommandLine) -> None:
    ignored(command_line, event="gone", repository="https://elsewhere.example/x/y")
    text = command_line.run("explain", "9").output
    assert "REFUSES  event: gone (wants one that is handled) -- the event 'gone' is not handled" in text
    assert "REFUSES  repositories: https://elsewhere.example/x/y, " in text


def test_of_what_was_refused_no_test_is_made(command_line: CommandLine) -> None:
    refused = Trace("base", 5.0, 403, "refused", "the signature is wrong", delivery="9")
    command_line.write(lambda journal: succeed(journal.trace(refused)))
    (explained,) = command_line.lines("explain", "9")
    assert (explained["tests"], explained["unknown"]) == ([], [])
    text = command_line.run("explain", "9").output
    assert "it was not verified, so the options were not tested" in text
    assert "sinks" not in text


def test_a_handler_that_refuses_or_breaks_now_is_said(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_line.fill("1", dialect="gone")
    assert "no change: its dialect is no longer enabled" in command_line.run("explain", "1").output

    def broken(self: Any, request: Any) -> Any:
        raise RuntimeError("boom\n")

    command_line.fill("2")
    monkeypatch.setattr("change_hooks.dialects.base.BaseHookHandler.getChanges", broken)
    assert "the handler broke: RuntimeError: boom" in command_line.run("explain", "2").output


def test_a_handler_without_these_options_and_a_program_that_has_the_sinks_are_said(
    command_line: CommandLine,
) -> None:
    command_line.fill("1", b"revision=1&files=" + b'["' + b"x" * 200 + b'"]')
    command_line.configure(change_hook_sinks=None)
    text = command_line.run("explain", "1").output
    assert "now: 1 change\n" in text
    assert "the handler makes its changes itself" in text
    assert "the program that has the sinks decides" in text


def test_long_values_are_shortened_for_people(command_line: CommandLine) -> None:
    command_line.fill("1", b"revision=1&comments=" + b"x" * 200)
    command_line.configure(
        change_hook_sinks={
            "a": {"sink": "command", "argv": ["true"], "unless": {"files": [str(i) for i in range(20)]}}
        }
    )
    assert "wants 0, 1, 2, 3, 4, 5, 6, 7 and 12 more" in command_line.run("explain", "1").output


def test_which_delivery_has_to_be_said(command_line: CommandLine) -> None:
    result = command_line.run("explain")
    assert result.exit_code == 2
    assert "which delivery?" in result.stderr
