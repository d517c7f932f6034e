"""The heads of branches, tags and pull requests at the last look, as stored in the journal."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from change_hooks.forges.forge import OpenPulls
from change_hooks.recovery.progress import PAUSES

#: How many pull requests that an incomplete list lacks are remembered: those opened last.
UNLISTED = 10_000


class Seen(msgspec.Struct, frozen=True):
    """A new head that was seen.

    :param at: since when, in seconds since the epoch.
    :param look: the number of the look, or list, that saw it. The delivery made from it is named after it,
        however often that is tried.
    """

    tip: str
    at: float
    look: int = 0


class Where(msgspec.Struct, omit_defaults=True):
    """All heads that are known.

    :param looks: how many looks there have been.
    :param lists: how many of them had a list of the pull requests.
    :param looked: when the last look was, in seconds since the epoch.
    :param refs: the objects that the refs point to.
    :param pulls: the heads of the open pull requests, by number; None: never listed.
    :param failed: for each ref or ``#7``, the number of looks in which its changes could not be made.
    :param moved: for each ref or ``#7``, its new heads that are not settled yet, oldest first.
    :param again: when to retry those that *failed*, in seconds since the epoch.
    :param unlisted: pull requests missing from the last list, which may have changed while it was read.
    :param behind: the ref or pull request after which the next look starts; empty: at the first.
    """

    looks: int = 0
    looked: float = 0.0
    refs: dict[str, str] = {}
    pulls: dict[str, str] | None = None
    failed: dict[str, int] = {}
    moved: dict[str, list[Seen]] = {}
    again: dict[str, float] = {}
    unlisted: list[str] = []
    behind: str = ""
    lists: int = 0

    def looked_again(self, refs: Mapping[str, str], pulls: OpenPulls | None, now: float) -> Where:
        """The state after another look, which settles nothing; but the first one settles everything.

        :param pulls: None: they could not be listed.
        """
        heads = heads_of(pulls)
        listed = pulls is not None and pulls.whole
        after = Where(self.looks + 1, now, pulls=self._pulls_before(pulls, heads), behind=self.behind)
        after.unlisted, after.lists = self.unlisted, self.lists + (pulls is not None)
        if listed:
            after.unlisted = [number for number in after.pulls or () if f"#{number}" not in heads]
        after.refs = {ref: tip for ref, tip in self.refs.items() if ref in refs} if self.looks else {**refs}
        # A clock that was ahead when a head was seen must not delay it.
        after.moved = {
            what: [replace(each, at=min(each.at, now)) for each in seen]
            for what, seen in self.moved.items()
            if what in refs or what in heads or (what.startswith("#") and not listed)
        }
        for ref, tip in refs.items():
            after.see(ref, after.refs.get(ref), tip, now)
        if self.pulls is not None:
            for what, head in heads.items():
                after.see(what, self.pulls.get(what[1:]), head, now)
        after.failed = {what: tries for what, tries in self.failed.items() if what in after.moved}
        after.again = {what: at for what, at in self.again.items() if what in after.failed}
        return after

    def _pulls_before(self, pulls: OpenPulls | None, heads: Mapping[str, str]) -> dict[str, str] | None:
        heads = {what[1:]: head for what, head in heads.items()}
        if pulls is None:
            return self.pulls
        if self.pulls is None:
            return heads
        unlisted = sorted((number for number in self.pulls if number not in heads), key=int)
        kept = {*unlisted} - {*self.unlisted} if pulls.whole else {*unlisted[-UNLISTED:]}
        return {number: head for number, head in self.pulls.items() if number in heads or number in kept}

    def see(self, what: str, settled: str | None, tip: str, now: float) -> None:
        """Record that *what*, which was settled at *settled*, is at *tip* now."""
        seen = self.moved.get(what, [])
        if tip == settled:
            seen = []
        elif not seen or seen[-1].tip != tip:
            seen = [*seen, Seen(tip, now, self.lists if what.startswith("#") else self.looks)]
        self._put(what, seen)

    def settle(self, what: str, tip: str) -> None:
        """Record that *what* is done up to *tip*."""
        self.failed.pop(what, None)
        self.again.pop(what, None)
        if not what.startswith("#"):
            self.refs[what] = tip
        elif self.pulls is not None:
            self.pulls[what[1:]] = tip
        seen = self.moved.get(what, [])
        places = [place for place, each in enumerate(seen) if each.tip == tip]
        self._put(what, seen[places[-1] + 1 :])

    def fail(self, what: str, now: float) -> None:
        """Record that the changes of *what* could not be made in this look."""
        tries = self.failed.get(what, 0) + 1
        self.failed[what] = tries
        self.again[what] = now + PAUSES[min(tries, len(PAUSES)) - 1]

    def waits(self, what: str, now: float) -> bool:
        """Whether *what* failed and is not to be retried yet."""
        return now < self.again.get(what, 0.0) <= now + PAUSES[-1]

    def due(self, what: str, before: float) -> Seen | None:
        """The newest head of *what* seen at or before that time; None: everything until then is settled."""
        return next((each for each in reversed(self.moved.get(what, [])) if each.at <= before), None)

    def next(self, grace: float, now: float) -> float | None:
        """When there is something to settle, in seconds since the epoch; None: not known.

        :param grace: how long a ref that has moved is left alone, in seconds.
        """
        due = [self.again.get(what, seen[0].at + grace) for what, seen in self.moved.items()]
        # A head that could have been settled but was not no longer exists.
        return min((at if at > now else now + grace for at in due), default=None)

    def _put(self, what: str, seen: list[Seen]) -> None:
        self.moved.pop(what, None)
        if seen:
            self.moved[what] = seen


def heads_of(pulls: OpenPulls | None) -> dict[str, str]:
    """The head commits of pull requests, by ``#7``."""
    items = pulls.items if pulls is not None else ()
    return {f"#{pull.number}": pull.head.revision or "" for pull in items}


__all__ = ["UNLISTED", "Seen", "Where", "heads_of"]
