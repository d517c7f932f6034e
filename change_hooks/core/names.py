"""Checks names in the configuration, and suggests the closest valid one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, valid: Iterable[str]) -> str:
    """``; did you mean 'x'?`` if a valid name is similar, otherwise the list of valid names."""
    valid = sorted(valid)
    close = get_close_matches(name, valid, 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; valid names are {', '.join(valid)}"


def check_names(written: Iterable[object], valid: Iterable[str]) -> None:
    """Check the keys of a dict in the configuration.

    :raises ValueError: a key is unknown; the message suggests the closest valid one.
    """
    known = set[object](valid)
    for name in written:
        if name not in known:
            raise ValueError(f"has an unknown name {name!r}{nearest(str(name), valid)}")


__all__ = ["check_names", "nearest"]
