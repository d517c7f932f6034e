"""Items of a forge's lists that cannot be read: each costs itself alone, and is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from twisted.logger import Logger

from change_hooks.core.errors import BadPayload
from change_hooks.forges.rest import RestError

log = Logger()

T = TypeVar("T")
#: How many reasons are remembered, and said, at most.
MOST_REASONS = 100


class OddItems:
    """Reads lists without the items that are not what they should be.

    :param forge: what it is called in messages.
    """

    def __init__(self, forge: str) -> None:
        self._forge = forge
        self._said: set[tuple[str, str]] = set()

    def without(self, what: str, items: Iterable[Any], read: Callable[[Any], T]) -> list[T]:
        """The items that can be read, in order. Of those that cannot, the log has a line, once for each
        reason.

        :param what: the items, in words.
        :param read: raises RestError or BadPayload for an item that is something else.
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
            "{forge}: an item in the list of {what} cannot be read, and is left out: {reason}",
            forge=self._forge,
            what=what,
            reason=reason,
        )


__all__ = ["MOST_REASONS", "OddItems"]
