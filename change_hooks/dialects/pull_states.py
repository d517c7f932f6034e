"""What pull requests were when they were last heard of, for forges that say only that one was updated."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from change_hooks.core.events import Action

#: Of how many pull requests that is remembered.
MOST = 4096


class Seen(NamedTuple):
    """What a delivery says about a pull request.

    :param head: the commit that it is on.
    :param draft: None: not known.
    :param at: when, in seconds since the epoch; None: not known.
    :param delivery: which says so; None: it has no name.
    """

    head: str
    draft: bool | None = None
    at: int | None = None
    delivery: str | None = None


class Remembered:
    """The last state of each pull request, in memory: what is not known counts as new.

    A delivery that comes once more gives once more what it gave, because the first try may have come to
    nothing. One that comes late changes nothing of what is remembered.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, int], tuple[Seen, Action]] = OrderedDict()

    def opened(self, pull: tuple[str, int], now: Seen) -> Action:
        """Remember a new one."""
        return "opened" if pull in self._last else self._remember(pull, now, "opened")

    def updated(self, pull: tuple[str, int], now: Seen) -> Action:
        """What has happened to one.

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
        self._last[pull] = now, action
        self._last.move_to_end(pull)
        if len(self._last) > MOST:
            self._last.popitem(last=False)
        return action


__all__ = ["MOST", "Remembered", "Seen"]
