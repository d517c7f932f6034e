"""What pull requests were when they were last heard of, for forges that say only that one was updated."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from change_hooks.core.events import Action

#: Of how many pull requests that is remembered.
MOST = 4096


class _Last(NamedTuple):
    head: str
    draft: bool | None
    delivery: str | None
    action: Action


class Remembered:
    """The last state of each pull request, in memory: what is not known counts as new.

    A delivery that comes once more gives once more what it gave, because the first try may have come to
    nothing.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, int], _Last] = OrderedDict()

    def opened(self, pull: tuple[str, int], head: str, draft: bool | None, delivery: str | None) -> Action:
        """Remember a new one."""
        return self._remember(pull, _Last(head, draft, delivery, "opened"))

    def updated(self, pull: tuple[str, int], head: str, draft: bool | None, delivery: str | None) -> Action:
        """What has happened to one.

        :param pull: its repository and number.
        :param head: the commit that it is on now.
        :param draft: None: not known.
        :param delivery: which says so; None: it has no name.
        """
        last = self._last.get(pull)
        if last is None or last.head != head:
            return self._remember(pull, _Last(head, draft, delivery, "updated"))
        if delivery is not None and last.delivery == delivery:
            return last.action
        if draft is not None and last.draft is not None and draft != last.draft:
            return self._remember(pull, _Last(head, draft, delivery, "drafted" if draft else "ready"))
        return "edited"

    def _remember(self, pull: tuple[str, int], last: _Last) -> Action:
        self._last[pull] = last
        self._last.move_to_end(pull)
        if len(self._last) > MOST:
            self._last.popitem(last=False)
        return last.action


__all__ = ["MOST", "Remembered"]
