"""The common parts of the forges' logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import msgspec

from change_hooks.core.events import PullRequest, RefUpdate
from change_hooks.forges.client import Rest
from change_hooks.forges.forge import text
from change_hooks.forges.paging import by_number
from change_hooks.forges.rest import RestError, Subject


class Logged(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of a forge's log.

    :param number: the entry's id, by which its details are fetched.
    :param delivery: the delivery's id, which is the same for all attempts.
    :param event: the forge's name of the event.
    :param at: seconds since the epoch; 0: not known.
    :param status: the response to the attempt; 0: none, or not known.
    :param order: the sort key of entries in a log that is not read by time.
    :param also: other ids that the delivery may have.
    """

    number: str
    delivery: str
    event: str
    at: float
    status: int = 0
    order: float = 0.0
    also: tuple[str, ...] = ()


class FoundHook:
    """The webhook whose log is read; if a webhook that was found disappears, it is searched for again.

    :param configured: the webhook's number, if it is configured.
    """

    def __init__(self, configured: int | str | None) -> None:
        self._configured = None if configured is None else str(configured)
        self._number = self._configured

    async def found(
        self, rest: Rest, hooks: Sequence[str], path: str, *, place: tuple[str, ...], about: Subject
    ) -> str:
        """The webhook's number. If it is not known yet, it is the only one whose URL ends in *path*.

        :param hooks: the path of the list of webhooks, whose pages have up to 100.
        :param place: see :func:`the_one`.
        :raises RestError: see :func:`the_one`; or the list cannot be read.
        """
        if self._number is None:
            query = {"per_page": "100", "page": "1"}
            found, _ = await rest.all(*hooks, pager=by_number(100), most=3, query=query, about=about)
            self._number = the_one(found, path, place)
        return self._number

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Forget the number that was found if the forge no longer knows it."""
        try:
            yield
        except RestError as error:
            if error.status == 404:
                self._number = self._configured
            raise


def is_past(places: Sequence[float], since: float | None) -> bool:
    """Whether most of a page, newest first, is older than *since*; then so is everything after it. A single
    entry does not count, because its time may be wrong.

    :param places: the positions of the page's entries.
    """
    return since is not None and 2 * sum(place < since for place in places) > len(places)


def the_one(hooks: list[Any], path: str, place: tuple[str, ...]) -> str:
    """The number of the only webhook whose URL ends in *path*.

    :param place: the path of the URL in the JSON of a webhook.
    :raises RestError: there is none, or more than one.
    """
    ours = [hook for hook in hooks if ends_in(text(hook, *place), path)]
    if len(ours) != 1:
        raise RestError(
            f"{len(ours)} webhooks have a URL that ends in {path}; name the right one:"
            " {'repository': NAME, 'hook': NUMBER} (option 'recover')"
        )
    return str(ours[0].get("id"))


def ends_in(url: str | None, path: str) -> bool:
    """Whether the path of a URL ends in *path*."""
    try:
        return urlsplit(url or "").path.rstrip("/").endswith(path)
    except ValueError:
        return False


class LastRead(msgspec.Struct, frozen=True):
    """The result of the last read of a log by time, used when the forge says that nothing is new.

    :param since: all entries since then were read; in seconds since the epoch.
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
    """Events, from a log that does not record deliveries."""

    events: Sequence[RefUpdate | PullRequest]


class Log(Protocol):
    """A forge's log: of a webhook's deliveries, or of pushes."""

    #: The ``way`` of deliveries that are recovered from this log.
    way: ClassVar[str]
    #: The log is read by time, and may have an entry before its delivery has been answered.
    timed: ClassVar[bool]
    #: The list of entries includes their details, so these are known only for entries that were read last.
    in_list: ClassVar[bool]

    async def attempts(self, since: float | None) -> list[Logged]:
        """All entries since then.

        :param since: seconds since the epoch; for a log that is not *timed*, an :attr:`Logged.order`, which
            itself is excluded. None: all entries.
        :raises RestError: not all of them could be read.
        """

    async def detail(self, number: str) -> Sent | Happened:
        """The details of an entry.

        :raises RestError: they cannot be fetched.
        """

    async def again(self, number: str) -> bool:
        """Ask the forge to redeliver an entry.

        :returns: False: the forge cannot do that, at least not now.
        :raises RestError: the forge refused.
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
