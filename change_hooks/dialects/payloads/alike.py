"""What several forges send alike."""

from __future__ import annotations

from collections.abc import Sequence

from change_hooks.core.payload import Shape


class Label(Shape):
    name: str | None = None


def names(labels: Sequence[Label] | None) -> list[str] | None:
    """The names of labels; None: not known."""
    return None if labels is None else [label.name for label in labels if label.name]


def touched(
    added: list[str] | None, modified: list[str] | None, removed: list[str] | None
) -> list[str] | None:
    """The files of a commit; None when none of the lists was sent: not known."""
    if added is None and modified is None and removed is None:
        return None
    return [*(added or ()), *(modified or ()), *(removed or ())]


__all__ = ["Label", "names", "touched"]
