"""``/live``: a stream of new deliveries, and of their results.

Strategy: each stream has a position in the journal, polls it once a second, and sends each new delivery as an
event whose id is its position, so that a client that reconnects continues where it was. Unfinished deliveries
are read again, and sent as an ``update`` when they have changed. Nothing is buffered for a slow client: a
stream that cannot be written reads nothing until it can.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from change_hooks.admin.answering import protect
from change_hooks.admin.listing import row
from change_hooks.admin.markup import written
from change_hooks.admin.query import Query, fields_of, place_of
from change_hooks.alarm import Alarm
from change_hooks.core.errors import Unavailable
from change_hooks.incidents import report
from change_hooks.interfaces import IJournal
from change_hooks.journal import StoredDelivery
from change_hooks.journal.reader import Reader
from change_hooks.web.answers import Answer, write_answer

#: How often a stream polls for news, in seconds; and after how many polls without any it sends a keep-alive.
LOOK = 1.0
QUIET = 15
#: How many streams may be open at once.
STREAMS = 64
#: How many unfinished deliveries a stream watches.
WATCHED = 200
EVENTS = b"text/event-stream; charset=utf-8"
_UNFINISHED = ("pending", "waiting")

_encode = msgspec.json.Encoder().encode


class News:
    """What is new in a journal since the last poll. Used in the reading thread.

    :param after: start after this ``seq``; None: after the newest.
    :param as_rows: as rows of the list, not as JSON. Then deliveries before *after* are on a user's screen,
        and are sent once more in their present state.
    """

    def __init__(self, query: Query, after: int | None, *, as_rows: bool) -> None:
        self._query = query
        self._last = after
        self._as_rows = as_rows
        self._first = True
        self._watched: dict[int, StoredDelivery] = {}

    def look(self, reader: Reader) -> bytes:
        """The events since the last poll."""
        if self._last is None:
            self._last = reader.newest()
        changed = self._changed(reader)
        new = reader.after(self._last)
        if new:
            self._last = new[-1].seq
        self._watch([*changed, *new])
        return b"".join([*self._events(changed, new=False), *self._events(new, new=True)])

    def _changed(self, reader: Reader) -> list[StoredDelivery]:
        if self._first and self._as_rows and self._last is not None:
            self._first = False
            return reader.lines(range(max(self._last - WATCHED, 0) + 1, self._last + 1))
        return [line for line in reader.lines(list(self._watched)) if line != self._watched[line.seq]]

    def _watch(self, lines: list[StoredDelivery]) -> None:
        for line in lines:
            self._watched.pop(line.seq, None)
            if line.state in _UNFINISHED or "retrying" in line.sinks.values():
                self._watched[line.seq] = line
        for seq in list(self._watched)[:-WATCHED]:
            del self._watched[seq]

    def _events(self, lines: list[StoredDelivery], *, new: bool) -> list[bytes]:
        events = []
        for line in lines:
            if self._query.matches(line):
                events.append(event(line, self._query, new=new, as_row=self._as_rows))
            elif self._as_rows and not new:
                events.append(b"event: gone\ndata: d%d\n\n" % line.seq)
        return events


def event(line: StoredDelivery, query: Query, *, new: bool, as_row: bool) -> bytes:
    """An event of the stream."""
    data = written(row(line, query)) if as_row else _encode(line)
    head = b"id: %d\n" % line.seq if new else b"event: update\n"
    return head + b"data: " + data.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n\n"


class Live(Resource):
    """The streams."""

    isLeaf = True

    def __init__(self, journal: IJournal, clock: IReactorTime) -> None:
        super().__init__()
        self._journal = journal
        self._clock = clock
        self._streams: set[_Stream] = set()

    def render_GET(self, request: Any) -> Any:
        """Start a stream."""
        protect(request, kind=EVENTS)
        if len(self._streams) >= STREAMS:
            request.setHeader(b"retry-after", b"30")
            return write_answer(request, Answer(503, "too many streams are open; close some pages"))
        try:
            fields = fields_of(urlsplit(request.uri).query)
        except ValueError:
            return write_answer(request, Answer(400, "the address has too many fields"))
        last = (request.requestHeaders.getRawHeaders(b"last-event-id") or [b""])[-1]
        after = place_of(last.decode("latin-1"))
        if after is None and "after" in fields:
            after = place_of(fields["after"][-1]) or 0
        news = News(Query.of(fields).but(before=0), after, as_rows="rows" in fields)
        stream = _Stream(request, self._journal, self._clock, news)
        self._streams.add(stream)
        request.notifyFinish().addBoth(self._over, stream)
        stream.begin()
        return NOT_DONE_YET

    def _over(self, _: Any, stream: _Stream) -> None:
        self._streams.discard(stream)
        stream.end()

    def end(self) -> None:
        """End all streams; clients reconnect."""
        for stream in list(self._streams):
            stream.finish()


@implementer(IPushProducer)
class _Stream:
    """One client's stream."""

    def __init__(self, request: Any, journal: IJournal, clock: IReactorTime, news: News) -> None:
        self._request = request
        self._journal = journal
        self._news = news
        self._alarm = Alarm(clock, self._look)
        self._ended = self._paused = False
        self._looking = False
        self._quiet = 0

    def begin(self) -> None:
        """Send the head, and poll for the first time."""
        self._request.registerProducer(self, streaming=True)
        self._request.write(b"retry: 3000\n\n")
        self._look()

    def _look(self) -> None:
        if self._ended or self._paused or self._looking:
            return
        self._looking = True
        looked: Deferred[bytes] = self._journal.read(self._news.look)
        looked.addErrback(_nothing_now)
        looked.addCallback(self._send)

    def _send(self, events: bytes | None) -> None:
        self._looking = False
        if self._ended:
            return
        self._quiet = 0 if events else self._quiet + 1
        if events:
            self._request.write(events)
        elif self._quiet >= QUIET:
            self._quiet = 0
            self._request.write(b": nothing new\n\n")
        if events is None:
            self.finish()
        else:
            self._alarm.set(LOOK)

    def finish(self) -> None:
        """Close the stream from this side."""
        if not self._ended:
            self.end()
            self._request.unregisterProducer()
            self._request.finish()

    def end(self) -> None:
        """Stop polling."""
        self._ended = True
        self._alarm.clear()

    def pauseProducing(self) -> None:
        """See :class:`twisted.internet.interfaces.IPushProducer`."""
        self._paused = True
        self._alarm.clear()

    def resumeProducing(self) -> None:
        """See :class:`twisted.internet.interfaces.IPushProducer`."""
        self._paused = False
        self._look()

    def stopProducing(self) -> None:
        """See :class:`twisted.internet.interfaces.IPushProducer`."""
        self.end()


def _nothing_now(failure: Failure) -> bytes | None:
    """While the journal cannot be read, there is nothing new; any other error ends the stream."""
    if failure.check(Unavailable):
        return b""
    report("a stream broke", failure)
    return None


__all__ = ["LOOK", "QUIET", "STREAMS", "Live", "News", "event"]
