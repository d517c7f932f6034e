"""``deliveries --follow``."""

from __future__ import annotations

import json
from typing import Any

import pytest

import change_hooks.cli.following as following
import change_hooks.cli.operate as operate

from ..support.command import CommandLine


class Ended(Exception):
    pass


def follow(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, steps: list[Any], *arguments: str
) -> list[tuple[str, str]]:
    """What is printed while, at each look, one of the steps is done."""
    left = list(steps)

    def sleep(seconds: float) -> None:
        if not left:
            raise Ended
        left.pop(0)()

    monkeypatch.setattr(operate, "sleep", sleep)
    result = command_line.run("deliveries", "--follow", "--json", *arguments)
    assert isinstance(result.exception, Ended)
    lines = map(json.loads, result.stdout.splitlines())
    return [(line["delivery"], line["state"]) for line in lines]


def test_what_comes_is_printed_and_again_when_its_state_changes(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_line.fill("1")
    steps = [
        lambda: command_line.fill("2"),
        lambda: command_line.deliver(1),
        lambda: None,
        lambda: command_line.deliver(2),
    ]
    assert follow(command_line, monkeypatch, steps) == [
        ("1", "waiting"),
        ("2", "waiting"),
        ("1", "delivered"),
        ("2", "delivered"),
    ]


def test_it_begins_with_the_newest_oldest_first(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in range(12):
        command_line.fill(str(name), sinks=())
    ten = [(str(name), "stored") for name in range(2, 12)]
    assert follow(command_line, monkeypatch, []) == ten
    assert follow(command_line, monkeypatch, [], "--limit", "3") == ten[-3:]


def test_only_what_is_asked_for(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line.fill("0", dialect="other", sinks=())
    command_line.fill("1")
    steps = [lambda: command_line.deliver(2), lambda: command_line.fill("3", sinks=())]
    assert follow(command_line, monkeypatch, steps, "--state", "delivered") == []
    command_line.fill("4")
    steps = [lambda: command_line.deliver(4), lambda: command_line.fill("5", dialect="other")]
    assert follow(command_line, monkeypatch, steps, "--dialect", "base") == [
        ("1", "delivered"),
        ("3", "stored"),
        ("4", "waiting"),
        ("4", "delivered"),
    ]


def test_only_so_many_are_watched(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "WATCHED", 1)
    command_line.fill("1")
    command_line.fill("2")
    steps = [lambda: command_line.deliver(1), lambda: command_line.deliver(2)]
    assert follow(command_line, monkeypatch, steps) == [
        ("1", "waiting"),
        ("2", "waiting"),
        ("2", "delivered"),
    ]


def test_for_people(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line.fill("1")

    def sleep(seconds: float) -> None:
        raise Ended

    monkeypatch.setattr(operate, "sleep", sleep)
    assert "base/1" in command_line.run("deliveries", "--follow").output
