from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from change_hooks.vcs.git import parsed
from change_hooks.vcs.svn import log_time, look_time, tree
from change_hooks.vcs.tools import MOST_FAILURES, ToolError, each, run, seconds, text


def test_what_a_tool_says_is_the_error() -> None:
    failing = "import sys; sys.exit('hint: x\\nfatal: no such thing\\nand more')"
    with pytest.raises(ToolError, match="fatal: no such thing"):
        run([sys.executable, "-c", failing])
    with pytest.raises(ToolError, match="the last line"):
        run([sys.executable, "-c", "import sys; sys.exit('one\\nthe last line')"])
    with pytest.raises(ToolError, match="status 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"])


def test_what_a_terminal_could_act_on_is_no_part_of_an_error() -> None:
    with pytest.raises(ToolError, match=r"fatal: \?\[2Jx"):
        run([sys.executable, "-c", "import sys; sys.exit('fatal: \\x1b[2Jx')"])


def test_a_tool_that_is_not_there_or_hangs() -> None:
    with pytest.raises(ToolError, match="no-such-tool: No such file"):
        run(["no-such-tool"])
    with pytest.raises(ToolError, match="not done after"):
        run([sys.executable, "-c", "input()"], time_limit=0.0)


def test_it_gets_its_input_and_its_environment() -> None:
    program = "import os, sys; print(sys.stdin.read(), os.environ['X'], os.environ['LC_ALL'])"
    assert run([sys.executable, "-c", program], stdin=b"in", env={"X": "y"}) == b"in y C.UTF-8\n"
    assert text(b"\xff") == "\ufffd"


def test_a_log_is_taken_apart() -> None:
    fields = [b"1f", b"\xc3\x84", b"a@b", b"B", b"", b"5", b"one\n\nmore\n"]
    with_files = b"\0" + b"\0".join(fields) + b"\0" + b"\0\na b\0\xc3\xbc\0"
    without = b"\0" + b"\0".join(fields) + b"\0" + b"\0"
    first, second, third = parsed(with_files + without + with_files)
    assert (first.id, first.author, first.committer, first.when) == ("1f", "\u00c4 <a@b>", "B", 5)
    assert (first.message, first.files) == ("one\n\nmore", ["a b", "\u00fc"])
    assert second.files == []
    assert third == first
    assert parsed(b"") == []


def test_dates_of_subversion() -> None:
    assert log_time("2026-11-24T12:00:00.123456Z") == 1795521600
    assert log_time("") is None
    assert look_time("2026-11-24 13:00:00 +0100 (Tue, 24 Nov 2026)") == 1795521600
    assert look_time("") is None


def test_each_one_that_is_bad_costs_only_itself() -> None:
    def ask(some: Sequence[int]) -> list[int]:
        if any(number in (3, 6) for number in some):
            raise ToolError(f"cannot take {list(some)}")
        return [number * 10 for number in some]

    got, failed = each(range(9), ask)
    assert got == [0, 10, 20, 40, 50, 70, 80]
    assert [(number, str(error)) for number, error in failed] == [
        (3, "cannot take [3]"),
        (6, "cannot take [6]"),
    ]
    assert each([], ask) == ([], [])


def test_where_everything_fails_it_is_not_asked_for_one_by_one() -> None:
    asked: list[int] = []

    def ask(some: Sequence[int]) -> list[int]:
        asked.append(len(some))
        raise ToolError("no such host")

    with pytest.raises(ToolError, match="no such host"):
        each(range(1000), ask)
    assert asked.count(1) == MOST_FAILURES


def test_what_is_no_time_is_none() -> None:
    assert seconds("-86400") == -86400
    assert [seconds(each) for each in ("", "x", "9" * 30)] == [None] * 3


def test_of_what_svn_prints_a_control_character_costs_itself() -> None:
    printed = "<log><msg>a\x01\ufffeb\u0085</msg></log>".encode()
    assert tree(printed).findtext("msg") == "a\ufffd\ufffdb\u0085"
    with pytest.raises(ToolError, match="not valid XML"):
        tree(b"<log>")
