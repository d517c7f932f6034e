"""``status``: what waits, since when, what has failed, how much disk."""

from __future__ import annotations

from time import time

import pytest

import change_hooks.cli.overview as overview
from change_hooks.cli.overview import size_text
from change_hooks.journal import DeadLetter, Outcome
from change_hooks.journal.address import check_journal

from ..support.command import CommandLine


def test_an_empty_journal(command_line: CommandLine) -> None:
    command_line.fill("1", sinks=())
    text = command_line.run("status").output
    assert f"journal   {command_line.path}: " in text
    assert " free\n" in text
    assert "nothing is waiting, and nothing has failed" in text


def test_what_waits_and_since_when_and_what_failed(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time()
    command_line.fill("1", received=now - 7300)
    command_line.fill("2", received=now - 100)
    command_line.write(
        lambda journal: journal.record([Outcome("a", "", [(1, 0)], [], 2, 100.0, "no route\x1b")])
    )
    command_line.fill("3", sinks=("b",), received=now)
    command_line.write(
        lambda journal: journal.record([Outcome("b", "", [(3, None)], [DeadLetter(3, 0, "no")])])
    )
    monkeypatch.setattr(overview, "time", lambda: now)
    text = command_line.run("status").output
    assert "sink a: 2 deliveries waiting in 1 queue since 20" in text
    assert "(2 h ago)" in text
    assert "sink a: 1 queue retrying: no route\ufffd" in text
    assert "sink b: 1 dead letter; see 'change-hooks deliveries --state failed'" in text
    assert "(0 s ago)" in text
    (told,) = command_line.lines("status")
    assert told["sinks"]["a"] == {
        "queues": 1,
        "waiting": 2,
        "retrying": 1,
        "since": pytest.approx(now - 7300),
        "dead_letters": 0,
        "error": "no route\x1b",
        "attempts": 2,
    }
    assert told["sinks"]["b"]["dead_letters"] == 1
    assert told["pending"] == 0
    assert told["bytes"] > 0
    assert told["free"] > 0
    assert told["last"] == pytest.approx(now)


def test_a_journal_in_which_nothing_is(command_line: CommandLine) -> None:
    check_journal(command_line.path)
    assert "nothing has arrived yet" in command_line.run("status").output


def test_what_is_pending(command_line: CommandLine) -> None:
    command_line.postpone("1")
    assert "1 delivery, changes still being looked up" in command_line.run("status").output


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 byte"), (2048, "2.0 KiB"), (3 * 2**20, "3.0 MiB"), (2**30, "1.0 GiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text
