"""Requests to other servers, and their responses, read to the end within limits.

Strategy: another server must not use up this one's time or memory. All requests go through :func:`ask`: one
time limit covers connecting, waiting and reading; a response that is larger, uncompressed, than the caller
allows ends the connection at once; redirections are not followed. :mod:`change_hooks.http_client` makes the
client, and is loaded by what sends requests: it brings OpenSSL with it.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

#: The largest response that is read unless the caller sets another limit, in bytes.
LARGEST_ANSWER = 16 * 1024 * 1024


class NoAnswer(Exception):
    """There was no complete response in time."""


class Answer(NamedTuple):
    """A complete response.

    :param status: the HTTP status.
    :param body: the decompressed body.
    """

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The last value of a header, or None."""
        values = self.headers.getRawHeaders(name)
        return values[-1] if values else None


class AnswerTooLarge(Exception):
    """A response is over the limit; the rest of it was not read.

    :param answer: the response, as far as it was read.
    """

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


def ask(
    http: Any,
    method: str,
    url: str,
    *,
    clock: Any,
    time_limit: float,
    most: int = LARGEST_ANSWER,
    **arguments: Any,
) -> Deferred[Answer]:
    """Send one request, and read the response to its end.

    :param http: a treq ``HTTPClient``, or an object with the same ``request`` method.
    :param clock: the reactor, or a clock in tests.
    :param time_limit: for the whole exchange, in seconds.
    :param most: the largest decompressed body accepted, in bytes.
    :param arguments: of ``HTTPClient.request``: ``headers``, ``data``, ``params`` …
    :returns: fails with :class:`NoAnswer`, :class:`AnswerTooLarge`, or the error of the connection.
    """
    asked: Deferred[Answer] = _ask(http, method, url, most, arguments)
    return asked.addTimeout(time_limit, clock, onTimeoutCancel=_too_late)


def begin(
    http: Any, method: str, url: str, *, clock: Any, time_limit: float, **arguments: Any
) -> Deferred[Any]:
    """Send one request. Fires when the head of the response has arrived; :func:`collect` reads its body.

    The parameters are those of :func:`ask`.

    :returns: fails with :class:`NoAnswer`, or the error of the connection.
    """
    begun = _begin(http, method, url, arguments)
    return begun.addTimeout(time_limit, clock, onTimeoutCancel=_too_late)


def _too_late(_: object, seconds: float) -> Any:
    raise NoAnswer(f"no answer within {seconds:g} s")


@inlineCallbacks
def _ask(http: Any, method: str, url: str, most: int, arguments: dict[str, Any]) -> Any:
    response = yield _begin(http, method, url, arguments)
    return (yield collect(response, most))


def _begin(http: Any, method: str, url: str, arguments: dict[str, Any]) -> Deferred[Any]:
    return maybeDeferred(http.request, method, url, allow_redirects=False, unbuffered=True, **arguments)


def collect(response: Any, most: int) -> Deferred[Answer]:
    """Read a response to its end.

    :param response: an ``IResponse``, or treq's.
    :param most: the largest body accepted, in bytes.
    :returns: fails with :class:`AnswerTooLarge`; cancelling it closes the connection.
    """
    collector = _Collector(response, most)
    response.deliverBody(collector)
    return collector.done


class _Collector(Protocol):
    """Collects a body, up to a limit."""

    def __init__(self, response: Any, most: int) -> None:
        self._response = response
        self._most = most
        self._body = bytearray()
        self._ended = False
        self.done: Deferred[Answer] = Deferred(lambda _: self._end())

    def _end(self) -> None:
        self._ended = True
        abort(self.transport)

    def _answer(self) -> Answer:
        return Answer(self._response.code, self._response.headers, bytes(self._body))

    def dataReceived(self, data: bytes) -> None:
        if self._ended:
            return
        room = self._most - len(self._body)
        self._body += data[:room]
        if len(data) > room:
            self._end()
            self.done.errback(AnswerTooLarge(f"the answer is over {self._most} bytes", self._answer()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._ended:
            return
        self._ended = True
        from twisted.web.client import ResponseDone
        from twisted.web.http import PotentialDataLoss

        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(self._answer())
        else:
            self.done.errback(reason)


def abort(transport: Any) -> None:
    """Abort the connection of a response.

    The transport that Twisted gives to a response can only close the connection in an orderly way, which over
    TLS waits for the other side; it wraps the connection itself.
    """
    transport = getattr(transport, "_producer", transport)
    if transport is not None:
        getattr(transport, "abortConnection", transport.stopProducing)()


def retry_after(header: str | None, now: float) -> float:
    """The seconds that a ``Retry-After`` header asks for, as a number or a date; 0 if it is neither.

    :param now: seconds since the epoch.

    Source: RFC 9110, section 10.2.3.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


__all__ = [
    "LARGEST_ANSWER",
    "Answer",
    "AnswerTooLarge",
    "NoAnswer",
    "abort",
    "ask",
    "begin",
    "collect",
    "retry_after",
]
