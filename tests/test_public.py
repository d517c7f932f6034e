"""The public names."""

from __future__ import annotations

import subprocess
import sys

import pytest

import change_hooks


def test_every_public_name_can_be_imported() -> None:
    for name in change_hooks.__all__:
        value = getattr(change_hooks, name)
        assert getattr(value, "__name__", name) == name
    assert set(change_hooks.__all__) <= set(dir(change_hooks))


def test_there_are_no_others() -> None:
    with pytest.raises(AttributeError, match=r"module 'change_hooks' has no attribute 'Chnage'"):
        _ = change_hooks.Chnage  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("what", "without"),
    [
        ("change_hooks", ["twisted", "msgspec"]),
        (
            "change_hooks.cli",
            ["twisted.internet.reactor", "treq", "change_hooks.service", "change_hooks.journal"],
        ),
        ("change_hooks.clients.mercurial", ["twisted", "msgspec", "click"]),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(what: str, without: list[str]) -> None:
    program = f"import sys, {what}; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert set(without).isdisjoint(loaded.split())
