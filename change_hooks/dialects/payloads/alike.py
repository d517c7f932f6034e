"""What several forges send alike."""

from __future__ import annotations

from collections.abc import Sequence

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import revision_or_none
from change_hooks.core.payload import Shape


class Label(Shape):
    name: str | None = None


def names(labels: Sequence[Label] | None) -> list[str] | None:
    """The names of labels; None: not known."""
    return None if labels is None else [label.name for label in labels if label.name]


def moved_to(after: str | None, field: str) -> str | None:
    """The commit that a ref is on now; None: it was deleted.

    :param after: as sent: zeros for none.
    :param field: where it stands in the payload.
    :raises BadPayload: it is not said.
    """
    if not after:
        raise BadPayload("is missing", field)
    return revision_or_none(after)


def touched(
    added: list[str] | None, modified: list[str] | None, removed: list[str] | None
) -> list[str] | None:
    """The files of a commit; None when none of the lists was sent: not known."""
    if added is None and modified is None and removed is None:
        return None
    return [*(added or ()), *(modified or ()), *(removed or ())]


__all__ = ["Label", "moved_to", "names", "touched"]
