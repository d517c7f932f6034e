"""What the logs of the forges have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import msgspec

from change_hooks.core.events import PullRequest, RefUpdate
from change_hooks.forges.forge import text
from change_hooks.forges.rest import RestError


class Logged(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of a forge's log.

    :param number: the entry's, by which its details are asked for.
    :param delivery: the delivery's id: the same for all attempts.
    :param event: the forge's name of it.
    :param at: seconds since the epoch; 0: the forge does not say.
    :param status: how the attempt was answered; 0: not at all, or not known.
    :param order: what entries are ordered by in a log that is not read by time.
    :param also: more ids that the delivery may have been known by.
    """

    number: str
    delivery: str
    event: str
    at: float
    status: int = 0
    order: float = 0.0
    also: tuple[str, ...] = ()


class FoundHook:
    """Which webhook's log is read; one that was found is looked for again when it is gone.

    :param configured: its number, when somebody has said it.
    """

    def __init__(self, configured: int | str | None) -> None:
        self._configured = None if configured is None else str(configured)
        self.number = self._configured

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While it is asked about."""
        try:
            yield
        except RestError as error:
            if error.status == 404:
                self.number = self._configured
            raise


def is_past(places: Sequence[float], since: float | None) -> bool:
    """Whether most of a page, newest first, is from before then: so is all that comes behind it. A single
    entry says nothing, for a time may be wrong.

    :param places: where its entries stand.
    """
    return since is not None and 2 * sum(place < since for place in places) > len(places)


def the_one(hooks: list[Any], path: str, place: tuple[str, ...]) -> str:
    """The number of the one webhook whose URL ends in *path*.

    :param place: where the URL stands in it.
    :raises RestError: there is none, or more than one.
    """
    ours = [hook for hook in hooks if ends_in(text(hook, *place), path)]
    if len(ours) != 1:
        raise RestError(
            f"{len(ours)} webhooks have a URL that ends in {path}; name the one that is meant:"
            " {'repository': NAME, 'hook': NUMBER} (option 'recover')"
        )
    return str(ours[0].get("id"))


def ends_in(url: str | None, path: str) -> bool:
    """Whether the path of a URL does."""
    try:
        return urlsplit(url or "").path.rstrip("/").endswith(path)
    except ValueError:
        return False


class LastRead(msgspec.Struct, frozen=True):
    """What was read the last time of a log by time, for when the forge says that nothing is new.

    :param since: all entries since then were read, in seconds since the epoch.
    """

    since: float = inf
    entries: Sequence[Logged] = ()

    def again(self, since: float | None) -> list[Logged] | None:
        """The entries since then; None: not all of them were read."""
        if self.since > (-inf if since is None else since):
            return None
        return [entry for entry in self.entries if since is None or entry.at >= since]


class Sent(msgspec.Struct, frozen=True):
    """What the forge sent.

    :param payload: decoded, so a signature over it cannot be checked again.
    """

    headers: Mapping[str, str]
    payload: Any


class Happened(msgspec.Struct, frozen=True):
    """What happened, by a log that says nothing of deliveries."""

    events: Sequence[RefUpdate | PullRequest]


class Log(Protocol):
    """A forge's log: of a webhook's deliveries, or of what was pushed."""

    #: How what is taken from it came.
    way: ClassVar[str]
    #: It is read by time, and an entry may be there before its delivery has been answered.
    timed: ClassVar[bool]
    #: The details of an entry stand in the list of them: they are known of those that were read last.
    in_list: ClassVar[bool]

    async def attempts(self, since: float | None) -> list[Logged]:
        """All entries since then.

        :param since: seconds since the epoch; in a log that is not *timed* an :attr:`Logged.order`, and only
            what comes after it. None: all there are.
        :raises RestError: not all of them could be read.
        """

    async def detail(self, number: str) -> Sent | Happened:
        """What an entry is about.

        :raises RestError: it cannot be had.
        """

    async def again(self, number: str) -> bool:
        """Ask the forge to send it again.

        :returns: False: it does not do that now.
        :raises RestError: it does not do that.
        """


__all__ = [
    "FoundHook",
    "Happened",
    "LastRead",
    "Log",
    "Logged",
    "Sent",
    "ends_in",
    "is_past",
    "the_one",
]
