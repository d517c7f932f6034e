"""The result of a handler for a delivery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from change_hooks.core.change import Change, InvalidChange
from change_hooks.core.events import Ignored


class About(msgspec.Struct, frozen=True):
    """What a delivery is about, for displays; known even for deliveries without a change. Empty: not known.

    :param event: the forge's name of the event, if the handler knows it.
    """

    event: str = ""
    repository: str = ""
    branch: str = ""
    author: str = ""


NOTHING_KNOWN = About()


class Found(list[Change]):
    """Changes, or the reason why there are none.

    :param reason: in our own words; it must not quote the sender.
    """

    __slots__ = ("about", "reason")

    def __init__(
        self, changes: Iterable[Change] = (), reason: str = "", about: About = NOTHING_KNOWN
    ) -> None:
        super().__init__(changes)
        self.reason = reason
        self.about = about


def about_change(change: Change, event: str = "") -> About:
    """What a delivery is about, derived from one of its changes."""
    return About(event, change.repository, change.branch or "", change.author)


def normal_changes(result: Any) -> Found:
    """Convert what a handler returned to changes.

    :param result: ``(changes, src)`` as Buildbot's handlers return it, with mappings or changes; or
        :class:`~change_hooks.core.events.Ignored`, alone or instead of the changes. An empty list may have an
        attribute ``reason`` that says why it is empty.
    :raises InvalidChange: one of the changes is not valid.
    """
    if isinstance(result, Ignored):
        return Found((), result.reason)
    found, src = result
    if isinstance(found, Ignored):
        return Found((), found.reason)
    if isinstance(found, Found):
        return found
    changes = [normal_change(change, src) for change in found or ()]
    return (
        Found(changes, "", about_change(changes[-1])) if changes else Found((), getattr(found, "reason", ""))
    )


def is_pair(result: object) -> bool:
    """Whether a method returned ``(changes, src)`` rather than events: a tuple, or a list like one."""
    return isinstance(result, tuple) or (
        isinstance(result, list) and len(result) == 2 and isinstance(result[0], (list, tuple))
    )


def normal_change(found: object, src: object) -> Change:
    """Make a change from what a handler returned, with its *src*: a str, bytes or None.

    :raises InvalidChange: it is not a valid change, or its *src* has the wrong type.
    """
    if isinstance(found, Change):
        change = found
    elif isinstance(found, Mapping):
        change = Change.from_mapping(found)
    else:
        raise InvalidChange("-", f"expected a mapping or a Change, got {type(found).__name__}")
    if src is None or change.src is not None:
        return change
    name = src.decode("utf-8", "replace") if isinstance(src, bytes) else src
    if not isinstance(name, str):
        raise InvalidChange("src", f"expected str or None, got {type(name).__name__}")
    return change.with_src(name)


__all__ = ["NOTHING_KNOWN", "About", "Found", "about_change", "is_pair", "normal_change", "normal_changes"]
