from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_hooks.clients.git import Update, push_options, read_updates
from change_hooks.vcs.git import parse_refs

OLD, NEW = "1" * 40, "2" * 40
LINE = f"{OLD} {NEW} refs/heads/main\n".encode()
#: What git-check-ref-format(1) takes, and more: every byte but control characters, space and a few marks.
NAMES = st.binary(min_size=1).map(
    lambda raw: b"refs/heads/x" + bytes(byte for byte in raw if byte > 32 and byte not in b"\x7f~^:?*[\\")
)


def test_updates_are_read() -> None:
    assert read_updates(LINE) == ([Update(OLD, NEW, b"refs/heads/main")], [])
    assert read_updates(b"") == ([], [])


@pytest.mark.parametrize("line", ["", "x", f"{OLD} {NEW}", f"{OLD} {NEW} ", f"{OLD[1:]} {NEW} a"])
def test_a_line_that_is_not_an_update_costs_only_itself(line: str) -> None:
    assert read_updates(LINE + line.encode() + b"\n" + LINE) == (
        [Update(OLD, NEW, b"refs/heads/main")] * 2,
        [line],
    )


@given(st.lists(NAMES))
def test_any_name_that_git_takes_is_read(names: list[bytes]) -> None:
    written = b"".join(b"%s %s %s\n" % (OLD.encode(), NEW.encode(), name) for name in names)
    assert read_updates(written) == ([Update(OLD, NEW, name) for name in names], [])
    for separator in (b" ", b"\t"):
        printed = b"".join(b"%s%s%s\n" % (NEW.encode(), separator, name) for name in names)
        assert parse_refs(printed, separator) == dict.fromkeys(names, NEW)


def test_push_options() -> None:
    assert push_options(
        {"GIT_PUSH_OPTION_COUNT": "2", "GIT_PUSH_OPTION_0": "a", "GIT_PUSH_OPTION_1": "b=c"}
    ) == [
        "a",
        "b=c",
    ]
    assert push_options({}) == []
    assert push_options({"GIT_PUSH_OPTION_COUNT": "x"}) == []
