from __future__ import annotations

import json
from typing import Any

import pytest

from change_hooks.clients.fossil import changes_of, read_artifacts
from change_hooks.vcs import fossil
from change_hooks.vcs.tools import ToolError

A, B, C = "a1" * 32, "b2" * 20, "c3" * 32


def row(name: str, **more: Any) -> str:
    fields = {"id": name, "author": "ann", "message": "why\n\n'so'", "when": 5, "branch": "trunk"}
    return json.dumps({**fields, "files": ["a", "\u00fc"], **more})


def printing(monkeypatch: pytest.MonkeyPatch, *rows: str, asked: list[Any] | None = None) -> None:
    """Let the program print these rows, whatever it is asked for."""

    def run(command: list[str]) -> bytes:
        if asked is not None:
            asked.append(command)
        return "".join(f"'{one.encode().hex().upper()}'\n" for one in rows).encode()

    monkeypatch.setattr(fossil, "run", run)


def test_what_fossil_writes_to_the_hook() -> None:
    written = (
        f"{A} file \u00fc b\n{B} check-in to trunk by ann on 2026-11-25 12:29\n{C} manifest\n\nx\n".encode()
    )
    assert read_artifacts(written + b"\xff\n") == ([B], ["", "x", "\ufffd"])
    assert read_artifacts(b"") == ([], [])


def test_a_change_for_each_check_in(monkeypatch: pytest.MonkeyPatch) -> None:
    printing(monkeypatch, row(A), row(B, branch=None, when=None, files=[]))
    first, second = changes_of("r.fossil", [B, A]).changes
    assert (first.revision, first.author, first.comments, first.branch) == (A, "ann", "why\n\n'so'", "trunk")
    assert (first.files, first.when_timestamp, first.src) == (["a", "\u00fc"], 5, "fossil")
    assert first.properties == {"event": "check-in"}
    assert (second.revision, second.branch, second.when_timestamp, second.files) == (B, None, None, [])


def test_check_ins_that_are_not_wanted_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    printing(monkeypatch, row(A), row(B, branch="wick"))
    told = changes_of("r.fossil", [A, B, C], ["tr*"])
    assert [change.revision for change in told.changes] == [A]
    assert told.notes == [f"check-in {B} is on wick, which is not wanted (--branches)"]
    assert told.problems == [f"check-in {C} is not in the repository"]


def test_many_are_asked_for_in_parts_and_nothing_but_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    printing(monkeypatch, asked=asked)
    fossil.checkins("r.fossil", [A, "x') --", *[f"{number:040x}" for number in range(fossil.AT_ONCE)]])
    assert [command[:-1] for command in asked] == [["fossil", "sql", "-R", "r.fossil", "--readonly"]] * 2
    assert "x')" not in asked[0][-1]
    assert A in asked[0][-1]


@pytest.mark.parametrize("printed", ["no hexadecimal digits", "7b", "7b7d"])
def test_what_it_prints_otherwise_is_an_error(monkeypatch: pytest.MonkeyPatch, printed: str) -> None:
    monkeypatch.setattr(fossil, "run", lambda command: printed.encode() + b"\n")
    with pytest.raises(ToolError, match="unexpected output"):
        fossil.checkins("r.fossil", [A])
