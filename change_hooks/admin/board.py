"""Puts the pages together, and collects what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.template import tags

from change_hooks.admin.answering import Forms, Page
from change_hooks.admin.assets import FOLDER, assets
from change_hooks.admin.facts import Facts
from change_hooks.admin.live import Live
from change_hooks.admin.markup import framed
from change_hooks.admin.pages import Deliveries, ListPage, ReplayPage, Source
from change_hooks.admin.recent import Recent
from change_hooks.admin.root import Admin
from change_hooks.interfaces import IJournal
from change_hooks.observer import Observer

#: How often it is recorded that an endpoint receives unverified signatures, in seconds.
REMEMBER = 3600.0

log = Logger()


class Board(Observer):
    """The pages of a service.

    :param admin: where the pages are mounted.
    :param facts: returns the current configuration.
    :param replay: starts the replays that were requested.
    """

    def __init__(
        self,
        admin: Admin,
        journal: IJournal,
        clock: IReactorTime,
        facts: Callable[[], Facts],
        replay: Callable[[], object],
    ) -> None:
        self._journal = journal
        self._facts = facts
        self._unchecked: dict[str, float] = {}
        self._live = Live(journal, clock)
        self._asked = False
        source = Source(journal, facts, self._known, replay, Forms())
        admin.add("", ListPage(source, Recent()))
        admin.add("deliveries", Deliveries(source))
        admin.add("replay", ReplayPage(source))
        admin.add("live", self._live)
        admin.add(FOLDER, assets())

    def _known(self) -> Deferred[Mapping[str, float]]:
        """When each endpoint last received an unverified signature; earlier runs' records are read once."""
        if self._asked:
            return succeed(self._unchecked)
        self._asked = True
        names = [endpoint.name for endpoint in self._facts().endpoints if not endpoint.secret]
        recalled = [self._journal.recall(_key(name)).addCallback(self._recalled, name) for name in names]
        both = gatherResults(recalled, consumeErrors=True).addErrback(lambda _: None)
        return both.addCallback(lambda _: self._unchecked)

    def _recalled(self, value: bytes | None, name: str) -> None:
        if value is not None:
            self._unchecked.setdefault(name, float(value))

    def stop(self) -> None:
        """Close the streams."""
        self._live.end()

    def signature_unchecked(self, endpoint: str) -> None:
        """See :meth:`Observer.signature_unchecked`."""
        now = time()
        if now - self._unchecked.get(endpoint, 0.0) > REMEMBER:
            log.warn(
                "{endpoint}: deliveries are signed, but no signature is verified: set 'secret'",
                endpoint=endpoint,
            )
            self._journal.remember(_key(endpoint), str(now).encode()).addErrback(lambda _: None)
        self._unchecked[endpoint] = now


def _key(endpoint: str) -> str:
    return f"signature unchecked: {endpoint}"


class NoJournal(Page):
    """The page that replaces the list if there is no journal."""

    def answer(self, request: Any) -> bytes:
        """See :meth:`Page.answer`."""
        text = "There is no journal (change_hook_journal is None), so there are no deliveries to show."
        return framed("No journal", tags.h1("No journal"), tags.p(text))

    def problem(self, request: Any, status: int, message: str) -> bytes:
        """See :meth:`Page.problem`."""
        return framed(f"{status}", tags.h1(f"{status}"), tags.p(message))


__all__ = ["Board", "NoJournal"]
