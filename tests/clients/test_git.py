from __future__ import annotations

import pytest

from change_hooks.clients.git import Update, read_updates

OLD, NEW = "1" * 40, "2" * 40


def test_updates_are_read() -> None:
    assert read_updates([f"{OLD} {NEW} refs/heads/main\n"]) == [Update(OLD, NEW, "refs/heads/main")]
    assert read_updates([]) == []


@pytest.mark.parametrize("line", ["", "x", f"{OLD} {NEW}", f"{OLD} {NEW} a b"])
def test_what_is_no_update_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="post-receive"):
        read_updates([line])
