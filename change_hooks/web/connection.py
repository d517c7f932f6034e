"""A connection: its requests and responses, one after the other, each within a time limit.

Strategy: a request is passed to its resource when its head has arrived, so that a request that needs no body
is answered at once. Data that arrives while a request is being answered stays unread, except for data in the
same segment. Nothing is read from a client that does not read its responses. Each state has a deadline, which
:class:`~change_hooks.web.front.HookSite` enforces; the bytes of a body extend its deadline as they arrive.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from math import inf
from typing import Any

from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from change_hooks.core.delivery import ClientAddress
from change_hooks.core.errors import BodyTooLarge, DeliveryError, RequestTimeout, Unavailable
from change_hooks.web.parser import RequestParser
from change_hooks.web.proxies import one_client
from change_hooks.web.request import Request
from change_hooks.web.room import SMALL, Body
from change_hooks.web.tracing import name_in, trace_refused

#: After how long an idle connection is closed, and how long a client may take to read its responses, in
#: seconds.
IDLE_TIMEOUT = 30.0
#: How long the head of a request may take, and a body in addition to the time its bytes allow, in seconds.
GRACE = 30.0
#: The slowest rate at which a body may arrive, in bytes per second: so many bytes allow one second.
SLOWEST = 32 * 1024
#: How long to keep the connection of a refused client open, so that it can read why, in seconds.
LINGER = 5.0
#: How many requests may wait for the answers to those before them; after so many the connection is closed.
MOST_WAITING = 16


@implementer(IPushProducer)
class Connection(Protocol):
    """A connection to a :class:`~change_hooks.web.front.HookSite`."""

    transport: Any
    factory: Any
    #: When it is aborted, by the front's clock; infinity while a request is being answered.
    deadline: float = inf
    #: The client; None: not determined yet.
    client: str | None = None

    def connectionMade(self) -> None:
        """See :meth:`twisted.internet.protocol.BaseProtocol.connectionMade`."""
        self.root = self.factory.resource
        self.max_body: int = self.factory.max_body
        self._parser = RequestParser(self)
        self._current: Request | None = None  # The next to be answered; its resource has it.
        self._queue: deque[Request] = deque()
        self._unread: list[bytes] = []
        self._feeding = self._advancing = False
        self._blocked = False  # The client is not reading.
        self._producer: Any = None  # Is notified of that.
        self._peer: ClientAddress | None = None  # With the PROXY protocol, the first bytes tell.
        self._lingering = False  # No more responses follow.
        self._now: float = self.factory.seconds()
        with suppress(AttributeError):
            self.transport.setTcpNoDelay(True)
        # This would bypass what wraps the transport, such as TLS.
        wrapped = isinstance(self.transport, ProtocolWrapper)
        self._write_now = None if wrapped else getattr(self.transport, "writeSomeData", None)
        self.transport.registerProducer(self, streaming=True)
        self.deadline = self._now + IDLE_TIMEOUT
        self.factory.arrived(self)

    # Called by the transport.

    def dataReceived(self, data: bytes) -> None:
        """See :meth:`twisted.internet.protocol.Protocol.dataReceived`."""
        if self._parser.over:
            return
        if self._answering or self._blocked:
            self._unread.append(data)
            self.transport.pauseProducing()
        else:
            self._feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See :meth:`twisted.internet.protocol.Protocol.connectionLost`."""
        self.deadline = inf
        self.factory.left(self)
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        requests = [each for each in (self._current, *self._queue, self._parser.reading) if each is not None]
        self._parser.close()
        self._current = None
        self._queue.clear()
        self._unread.clear()
        for request in requests:
            self._release(request)
            if not request.finished:
                request.lost(reason)

    def pauseProducing(self) -> None:
        """The client is not reading."""
        self._blocked = True
        self.deadline = self.factory.seconds() + IDLE_TIMEOUT
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._blocked = False
        self._now = self.factory.seconds()
        if self._producer is not None:
            self._producer.resumeProducing()
        self._advance()

    def stopProducing(self) -> None:
        """The connection is lost."""

    # Called by the front.

    def expire(self) -> None:
        """The deadline has passed."""
        self._now = self.factory.seconds()
        parser = self._parser
        if self._lingering or self._blocked or not (parser.in_head or parser.reading):
            self.abort()
        else:
            self._refuse(RequestTimeout("the request did not arrive in time"))

    def evict(self) -> None:
        """There are too many connections. This one closes without waiting for the client to read why."""
        if self._parser.reading is not None:
            self._refuse(Unavailable("there are too many connections; send it again", retry_after=5))
        self.abort()

    # Called by the parser.

    @property
    def peer(self) -> ClientAddress:
        """The address of the peer."""
        if self._peer is None:
            self._peer = ClientAddress.of(self.transport.getPeer())
        return self._peer

    def head_came(self, request: Request) -> None:
        """The head of a request has arrived. A small request has nearly always arrived completely, in one
        segment: its processing starts when the whole segment has been read.
        """
        waits = self._current is not None or self._queue or self._blocked
        if waits or (request.length is not None and request.length <= SMALL):
            self._queue.append(request)
            if len(self._queue) >= MOST_WAITING:
                request.closes = True  # Nothing more is read behind it.
        else:
            self._current = request
            request.begin()

    def request_came(self, request: Request) -> None:
        """The request is complete."""
        if request.body is not None:
            request.body.complete = True
        request.body_complete()
        if request.closes and request.finished and self._current is None and not self._lingering:
            self._close()

    def has_room(self, request: Request) -> bool:
        """Whether a request's body may be as large as it is now; if not, the request has been refused."""
        body = request.body
        if body is None:
            client = one_client(ClientAddress.of(request.client).host)
            body = request.body = Body(client, self._parser.since, self._out_of_room)
        self.factory.room.grow(body, request.received, self._now)
        return request.body is not None

    # Called by requests.

    def go_on(self, request: Request) -> None:
        """The body of the request is wanted."""
        if self._parser.over:
            return
        if (request.length or 0) > self.max_body:
            self._refuse(BodyTooLarge(self.max_body))
            return
        expected = request.requestHeaders.get(b"expect") or [b""]
        # HTTP/1.0 has no interim responses.
        asks = expected[-1].lower() == b"100-continue"
        if asks and request.version == "1.1" and not request.received:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def getHost(self) -> Any:
        """Our own address."""
        return self.transport.getHost()

    def begin_answer(self, request: Request, head: bytes, body: bytes) -> None:
        """Send the head of the response to the current request, and some of its body."""
        if not request.complete:
            # A short rest of the body is read and ignored; a longer one is not waited for.
            length = request.length
            if length is None or length > SMALL or request.requestHeaders.hasHeader(b"expect"):
                request.closes = True
        closes = b"Connection: close\r\n\r\n" if request.closes else b"\r\n"
        self.send(b"%b%b%b%b" % (head, self.factory.date(), closes, body))

    def send(self, data: bytes) -> None:
        """Send more of the body.

        What fits into the socket is written at once. A transport would first wait until it can write, which
        costs two more system calls and a turn of the reactor: 10 of 178 microseconds for one commit.
        """
        if self._write_now is not None:
            sent = self._write_now(data)
            if sent == len(data):
                return
            # From now on the transport has something to write, before whatever follows.
            self._write_now = None
            if isinstance(sent, int):
                data = data[sent:]
        self.transport.write(data)

    def produced_by(self, producer: Any) -> None:
        """Notify *producer* while the client is not reading; None: nobody."""
        self._producer = producer
        if self._blocked and producer is not None:
            producer.pauseProducing()

    def end_answer(self, request: Request) -> None:
        """The response is complete."""
        self._release(request)
        self._current = self._producer = None
        if request.closes:
            self._close(complete=request.complete)
        elif not self._feeding:
            self._now = self.factory.seconds()
            self._advance()

    # Internals.

    @property
    def _answering(self) -> bool:
        return self._current is not None and self._current.complete

    def _feed(self, data: bytes) -> None:
        """Pass some bytes to the parser."""
        self._now = self.factory.seconds()
        if self.client is None:
            self.factory.known(self, self.peer)
            if self._parser.over:
                return
        self._feeding = True
        try:
            self._parser.feed(data, self._now)
        except DeliveryError as error:
            self._refuse(error)
        finally:
            self._feeding = False
        self._advance()

    def _advance(self) -> None:
        """Continue with what can be done now, and set the deadline."""
        if self._advancing or self._feeding:
            return
        self._advancing = True
        while not (self._blocked or self._lingering):
            if self._current is None and self._queue:
                self._current = self._queue.popleft()
                self._current.begin()
            elif self._unread and not self._answering:
                data = b"".join(self._unread)
                self._unread.clear()
                self._feed(data)
                self.transport.resumeProducing()
            else:
                break
        self._advancing = False
        if not (self._blocked or self._lingering):
            self.deadline = self._next_deadline()

    def _next_deadline(self) -> float:
        parser = self._parser
        if self._answering:
            return inf
        if parser.reading is not None:
            earned = parser.since + GRACE + parser.reading.received / SLOWEST
            return min(earned, self._now + IDLE_TIMEOUT)
        return parser.since + GRACE if parser.in_head else self._now + IDLE_TIMEOUT

    def _out_of_room(self) -> None:
        self._refuse(Unavailable("too much is being received at once; send it again", retry_after=5))

    def _release(self, request: Request) -> None:
        if request.body is not None:
            self.factory.room.release(request.body)
            request.body = None

    def _refuse(self, error: DeliveryError) -> None:
        """Respond with an error to the request that is arriving, and read nothing more."""
        if self._parser.over:
            return
        request = self._parser.stop()
        if self._current is None and self._queue and self._queue[0] is request:
            # Its resource responds, or reports that it was refused.
            self._current = self._queue.popleft()
            request.closes = True
            request.begin()
        if request.finished:
            self._close()
            return
        before = [each for each in (self._current, *self._queue) if each not in (None, request)]
        if before:
            # They are answered first; then the connection is closed.
            self._release(request)
            with suppress(ValueError):
                self._queue.remove(request)
            before[-1].closes = True
            recorded = False
        else:
            self._queue.clear()
            self._current = request
            recorded = request.refuse(error)
        if not recorded:
            self._record(request, error)

    def _record(self, request: Request, error: DeliveryError) -> None:
        segments = request.path.split(b"/")
        dialect = name_in(segments[2]) if len(segments) > 2 and segments[1] == b"change_hook" else ""
        trace_refused(self.factory.tracer, request, error.status, error.message, dialect=dialect)

    def _close(self, *, complete: bool = False) -> None:
        """Send nothing more, but give the client time to read the last response.

        :param complete: the client has nothing more to send.
        """
        self._parser.over = self._lingering = True
        self.deadline = self.factory.seconds() + LINGER
        self.transport.unregisterProducer()
        if not ISSLTransport.providedBy(self.transport):
            self.transport.loseWriteConnection()
        elif complete:
            self.transport.loseConnection()

    def abort(self) -> None:
        """Abort the connection."""
        self._parser.over = True
        self.deadline = inf
        self.factory.left(self)
        self.transport.abortConnection()


__all__ = ["GRACE", "IDLE_TIMEOUT", "LINGER", "MOST_WAITING", "SLOWEST", "Connection"]
