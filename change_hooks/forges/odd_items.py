"""Skips and logs the unreadable items in a forge's lists, so that one bad item does not spoil the list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from twisted.logger import Logger

from change_hooks.core.errors import BadPayload
from change_hooks.forges.rest import RestError

log = Logger()

T = TypeVar("T")
#: How many reasons are remembered, and logged, at most.
MOST_REASONS = 100


class OddItems:
    """Reads lists, and skips their invalid items.

    :param forge: the forge's name in messages.
    """

    def __init__(self, forge: str) -> None:
        self._forge = forge
        self._said: set[tuple[str, str]] = set()

    def without(self, what: str, items: Iterable[Any], read: Callable[[Any], T]) -> list[T]:
        """The items that can be read, in order. The others are logged, once for each reason.

        :param what: the items, in words.
        :param read: raises RestError or BadPayload for an invalid item.
        """
        found: list[T] = []
        for item in items:
            try:
                found.append(read(item))
            except (RestError, BadPayload) as error:
                self._say(what, error.message if isinstance(error, BadPayload) else str(error))
        return found

    def _say(self, what: str, reason: str) -> None:
        if (what, reason) in self._said or len(self._said) >= MOST_REASONS:
            return
        self._said.add((what, reason))
        log.error(
            "{forge}: an item in the list of {what} cannot be read and is skipped: {reason}",
            forge=self._forge,
            what=what,
            reason=reason,
        )


__all__ = ["MOST_REASONS", "OddItems"]
