"""Push: all changes of one update of a ref at once, for sinks that act once for each push."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import msgspec

from change_hooks.core.change import Change


class PushKey(NamedTuple):
    """The stable key of a push; a sink that remembers it can drop repetitions.

    :param dialect: the endpoint's name.
    :param delivery: the delivery's id.
    :param ref: the branch or ref; for an event other than a push, with its category in front: ``tag v1``.
    """

    dialect: str
    delivery: str
    ref: str


class Push(Change, frozen=True, kw_only=True, omit_defaults=True):
    """The newest change of a push, and all its changes.

    :param changes: oldest first; the last one has the same fields as the push itself.
    """

    changes: list[Change]

    @classmethod
    def of(cls, changes: Sequence[Change]) -> Push:
        """Make a push from changes, oldest first; there must be at least one."""
        return cls(**msgspec.structs.asdict(changes[-1]), changes=list(changes))

    def as_dict(self) -> dict[str, object]:
        """The fields of the newest change, and ``changes``, a list of all changes' fields."""
        return {**super().as_dict(), "changes": [change.as_dict() for change in self.changes]}


def newest_of(change: Change) -> dict[str, Any]:
    """The fields of a change; for a push, only those of its newest change."""
    return {name: getattr(change, name) for name in Change.__struct_fields__}


def ref_of(change: Change) -> Hashable:
    """The key that is the same for all changes of one push in a delivery."""
    return change.repository, change.branch, change.category, change.codebase, change.project


def pushes(changes: Sequence[Change]) -> list[list[int]]:
    """The indexes of the changes of each push of a delivery, in the order in which the pushes end."""
    found: dict[Hashable, list[int]] = {}
    for index, change in enumerate(changes):
        found.setdefault(ref_of(change), []).append(index)
    return sorted(found.values(), key=lambda indexes: indexes[-1])


def push_key(newest: Change, dialect: str, delivery: str) -> PushKey:
    """The key of a push.

    :param newest: its newest change.
    """
    branch = newest.branch or ""
    kind = newest.category
    ref = branch if kind in (None, "push") else f"{kind} {branch}".strip()
    return PushKey(dialect, delivery, ref)


__all__ = ["Push", "PushKey", "newest_of", "push_key", "pushes", "ref_of"]
