"""Text of others, as people see it."""

from __future__ import annotations

import pytest

from change_hooks.core.shown import LONGEST_NAME, printable, short_name


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
