"""Text of others, as people see it."""

from __future__ import annotations

import pytest

from change_hooks.core.shown import LONGEST_NAME, one_line, printable, reason_of, short_name, shown_error


@pytest.mark.parametrize(
    ("text", "line", "lines"),
    [
        ("Fix the build", "Fix the build", "Fix the build"),
        ("Müller 👩\u200d💻", "Müller 👩\u200d💻", "Müller 👩\u200d💻"),
        ("one\n\ttwo", "one\ufffd\ufffdtwo", "one\n\ttwo"),
        ("\x1b[31m\r\x00\x7f\x85", "\ufffd[31m" + "\ufffd" * 4, "\ufffd[31m" + "\ufffd" * 4),
        ("\u202eevil\u2066\u2028é", "\ufffdevil\ufffd\ufffdé", "\ufffdevil\ufffd\ufffdé"),
    ],
)
def test_nothing_is_shown_that_a_terminal_or_a_browser_acts_on(text: str, line: str, lines: str) -> None:
    assert printable(text) == line
    assert printable(text, lines=True) == lines


def test_a_name_in_the_log_is_short_and_on_one_line() -> None:
    assert short_name("ann/api\n") == "ann/api\ufffd"
    assert short_name("x" * 1000) == "x" * LONGEST_NAME


def test_no_line_can_be_forged() -> None:
    assert one_line("a\r\n  b\tc\u2028d\n", 100) == "a b c d"
    assert one_line("abcdef", 3) == "abc"


def test_an_error_is_shown_as_one_writes_it() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert shown_error(ValueError("it's a\nstatus")) == "ValueError: it's a status"
    assert shown_error(ValueError()) == "ValueError"
    assert shown_error(ValueError("x" * 1000)) == f"ValueError: {'x' * 500}"
    assert shown_error(ValueError("x" * 1000), 5) == "ValueError: xxxxx"
    assert shown_error(Broken()) == "Broken"


def test_why_the_system_refused_is_said_without_numbers() -> None:
    assert reason_of(FileNotFoundError(2, "No such file or directory", "/x")) == "No such file or directory"
    assert reason_of(ValueError("no certificate")) == "no certificate"
