"""What a handler found in a delivery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from change_hooks.core.change import Change, InvalidChange
from change_hooks.core.events import Ignored


class About(msgspec.Struct, frozen=True):
    """What a delivery is about, for whoever looks at it later; also of one that gives no change. Empty: not
    known.

    :param event: the forge's name of the event, when the handler knows it.
    """

    event: str = ""
    repository: str = ""
    branch: str = ""
    author: str = ""


NOTHING_KNOWN = About()


class Found(list[Change]):
    """Changes; when there are none, why.

    :param reason: our own words; nothing that was sent.
    """

    __slots__ = ("about", "reason")

    def __init__(
        self, changes: Iterable[Change] = (), reason: str = "", about: About = NOTHING_KNOWN
    ) -> None:
        super().__init__(changes)
        self.reason = reason
        self.about = about


def about_change(change: Change, event: str = "") -> About:
    """What a delivery is about, by one of its changes."""
    return About(event, change.repository, change.branch or "", change.author)


def normal_changes(result: Any) -> Found:
    """What a handler returned, as changes.

    :param result: ``(changes, src)`` as Buildbot's handlers return it, with mappings or changes; or
        :class:`~change_hooks.core.events.Ignored`, alone or in the place of the changes. An empty list may
        say why it is empty in an attribute ``reason``.
    :raises InvalidChange: one of the changes is none.
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
    """Whether a method returned ``(changes, src)``, and not events: a tuple, or a list like one."""
    return isinstance(result, tuple) or (
        isinstance(result, list) and len(result) == 2 and isinstance(result[0], (list, tuple))
    )


def normal_change(found: object, src: object) -> Change:
    """A change of what a handler returned, with its *src*: a str, bytes or None.

    :raises InvalidChange: it is none, or its *src* is something else.
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
