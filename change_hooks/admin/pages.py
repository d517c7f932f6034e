"""The pages, and the actions of their forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.resource import IResource, Resource
from twisted.web.template import tags

from change_hooks.admin import detail, listing, replaying
from change_hooks.admin.answering import Forms, NotTaken, NotThere, Page
from change_hooks.admin.facts import Facts
from change_hooks.admin.markup import framed
from change_hooks.admin.query import Fields, Query, fields_of, place_of
from change_hooks.admin.recent import Recent
from change_hooks.interfaces import IJournal
from change_hooks.journal.reader import Reader

#: How many deliveries a page lists.
LINES = 50
#: How long to search for matching deliveries, in seconds.
WITHIN = 0.1
WITHIN_REPLAY = 2.0


class Source(msgspec.Struct, frozen=True):
    """Where the pages get their data.

    :param facts: returns the current configuration.
    :param unchecked: fires with when each endpoint last received an unverified signature.
    :param replay: starts the replays that were requested.
    """

    journal: IJournal
    facts: Callable[[], Facts]
    unchecked: Callable[[], Deferred[Mapping[str, float]]]
    replay: Callable[[], object]
    forms: Forms


class _Sourced(Page):
    """A page that shows data from a journal.

    :param root: the relative path to the root.
    """

    root = "./"

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def problem(self, request: Any, status: int, message: str) -> bytes:
        """See :meth:`Page.problem`."""
        return framed(
            message[:80],
            tags.p(tags.a("Deliveries", href=self.root), class_="back"),
            tags.h1(f"{status}"),
            tags.p(f"{message[:1].upper()}{message[1:]}."),
            root=self.root,
        )


class ListPage(_Sourced):
    """``/``"""

    def __init__(self, source: Source, recent: Recent) -> None:
        super().__init__(source)
        self._recent = recent

    def answer(self, request: Any) -> Deferred[bytes]:
        """The list."""
        fields = _query(request)
        query = Query.of(fields)
        facts = self._source.facts()
        asked = place_of(fields.get("asked", [""])[-1]) or 0

        def look(reader: Reader, unchecked: Mapping[str, float]) -> bytes:
            newest = reader.newest()
            listed = reader.page(query.wanted, before=query.before or None, limit=LINES, within=WITHIN)
            summary = self._recent.summary(reader)
            return listing.page(listing.View(query, facts, listed, summary, newest, unchecked, asked))

        known = self._source.unchecked().addCallback(dict)
        return known.addCallback(
            lambda unchecked: self._source.journal.read(partial(look, unchecked=unchecked))
        )


class DeliveryPage(_Sourced):
    """``/deliveries/SEQ``"""

    root = "../"

    def __init__(self, source: Source, name: bytes) -> None:
        super().__init__(source)
        self._name = name

    def answer(self, request: Any) -> Deferred[bytes]:
        """The delivery."""
        place = place_of(self._name.decode("latin-1"))
        if place is None:
            raise NotThere("there is no such delivery")
        facts, token = self._source.facts(), self._source.forms.token

        def look(reader: Reader) -> bytes:
            try:
                whole = reader.whole(place, changes=detail.CHANGES)
            except LookupError:
                raise NotThere("this delivery is not in the journal, or no longer") from None
            return detail.page(detail.View(facts, whole, reader.wish(place), token))

        return self._source.journal.read(look)


class Deliveries(Resource):
    """``/deliveries``: a page for each delivery."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def getChild(self, path: bytes, request: Any) -> IResource:
        """The page of a delivery."""
        return DeliveryPage(self._source, path if not request.postpath else b"")


class ReplayPage(_Sourced):
    """``/replay``: asks for confirmation, and then requests a replay."""

    methods = ("GET", "HEAD", "POST")

    def answer(self, request: Any) -> Any:
        """The question, or a redirect after it was answered."""
        if request.method == b"POST":
            return self._replay(request)
        query = Query.of(_query(request)).but(before=0)
        facts, token = self._source.facts(), self._source.forms.token

        def look(reader: Reader) -> bytes:
            listed = reader.page(query.wanted, limit=replaying.MOST, within=WITHIN_REPLAY)
            return replaying.page(replaying.View(query, facts, listed, token))

        return self._source.journal.read(look)

    def _replay(self, request: Any) -> Deferred[bytes]:
        fields = self._source.forms.read(request)
        places = [place for text in fields.get("seq", ()) if (place := place_of(text))]
        if not places or len(places) > replaying.MOST:
            raise NotTaken(f"choose between one and {replaying.MOST:,} deliveries")
        sinks = self._sinks(fields)
        asked = gatherResults(
            [self._source.journal.wish(place, sinks) for place in places], consumeErrors=True
        )
        return asked.addCallback(partial(self._asked, request, places))

    def _sinks(self, fields: Fields) -> tuple[str, ...]:
        if fields.get("to", [""])[-1] != "chosen":
            return ()
        known = self._source.facts().sinks
        sinks = tuple(dict.fromkeys(fields.get("sink", ())))
        if not sinks or not set(sinks) <= set(known):
            raise NotTaken(f"choose one or more of the sinks {', '.join(known)}")
        return sinks

    def _asked(self, request: Any, places: list[int], _: object) -> bytes:
        self._source.replay()
        to = f"deliveries/{places[0]}" if len(places) == 1 else f"./?asked={len(places)}"
        request.setResponseCode(303)
        request.setHeader(b"location", to.encode())
        return b""


def _query(request: Any) -> Fields:
    try:
        return fields_of(urlsplit(request.uri).query)
    except ValueError:
        raise NotTaken("the address has too many fields") from None


__all__ = ["LINES", "Deliveries", "ListPage", "ReplayPage", "Source"]
