"""Remembers the last state of pull requests, for forges that report only that one was updated."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from change_hooks.core.events import Action

#: How many pull requests are remembered.
MOST = 4096
#: A pull request with longer names, in characters, is not remembered: they come from the sender.
LONGEST = 400


class Seen(NamedTuple):
    """The state of a pull request, according to a delivery.

    :param head: its head commit.
    :param draft: None: not known.
    :param at: the time, in seconds since the epoch; None: not known.
    :param delivery: the delivery's id; None: it has none.
    """

    head: str
    draft: bool | None = None
    at: int | None = None
    delivery: str | None = None


class Remembered:
    """The last state of each pull request, in memory: an unknown pull request counts as new.

    A repeated delivery gives the same result again, because the first attempt may have failed. A late
    delivery does not change what is remembered.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, int], tuple[Seen, Action]] = OrderedDict()

    def opened(self, pull: tuple[str, int], now: Seen) -> Action:
        """Remember a new pull request."""
        return "opened" if pull in self._last else self._remember(pull, now, "opened")

    def updated(self, pull: tuple[str, int], now: Seen) -> Action:
        """What has happened to a pull request.

        :param pull: its repository and number.
        """
        if pull not in self._last:
            return self._remember(pull, now, "updated")
        last, action = self._last[pull]
        is_late = now.at is not None and last.at is not None and now.at < last.at
        if now.head != last.head:
            return "updated" if is_late else self._remember(pull, now, "updated")
        if now.delivery is not None and now.delivery == last.delivery:
            return action
        if is_late or now.draft is None or last.draft is None or now.draft == last.draft:
            return "edited"
        return self._remember(pull, now, "drafted" if now.draft else "ready")

    def _remember(self, pull: tuple[str, int], now: Seen, action: Action) -> Action:
        if sum(map(len, (pull[0], now.head or "", now.delivery or ""))) > LONGEST:
            return action
        self._last[pull] = now, action
        self._last.move_to_end(pull)
        if len(self._last) > MOST:
            self._last.popitem(last=False)
        return action


__all__ = ["MOST", "Remembered", "Seen"]
