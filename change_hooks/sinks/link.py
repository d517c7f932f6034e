"""A shared connection that is established on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.python.failure import Failure

T = TypeVar("T")


class Link(Generic[T]):
    """Provides one connection to all callers, and reconnects after it was dropped.

    :param connect: establishes a connection.
    :param close: closes one.
    """

    def __init__(self, connect: Callable[[], Deferred[T]], close: Callable[[T], Any]) -> None:
        self._connect = connect
        self._close = close
        self._connection: T | None = None
        self._attempt: Deferred[T] | None = None
        self._waiting: list[Deferred[T]] = []

    def get(self) -> Deferred[T]:
        """The connection. If it cannot be established, this fails for all callers that wait for it."""
        asked: Deferred[T] = Deferred(self._waiting_no_more)
        if self._connection is not None:
            asked.callback(self._connection)
            return asked
        self._waiting.append(asked)
        if self._attempt is None:
            self._attempt = self._connect()
            self._attempt.addCallbacks(self._connected, self._failed)
        return asked

    def _waiting_no_more(self, asked: Deferred[T]) -> None:
        self._waiting.remove(asked)
        if not self._waiting and self._attempt is not None:
            self._attempt.cancel()

    def _connected(self, connection: T) -> None:
        self._attempt, self._connection = None, connection
        waiting, self._waiting = self._waiting, []
        for asked in waiting:
            asked.callback(connection)

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        waiting, self._waiting = self._waiting, []
        for asked in waiting:
            asked.errback(failure)

    def drop(self, connection: T | None = None) -> None:
        """Discard the connection, and establish another one on demand.

        :param connection: discard it only if it is this one.
        """
        if self._attempt is not None and connection is None:
            self._attempt.cancel()
        if self._connection is not None and connection in (None, self._connection):
            current, self._connection = self._connection, None
            self._close(current)


def endpoint(reactor: Any, address: str) -> Any:
    """A client endpoint for ``host:port``, or for a Twisted endpoint string (``tls:host:port`` ...).

    :raises ValueError: *address* is neither.
    """
    host, _, port = address.rpartition(":")
    if host and port.isascii() and port.isdigit() and ":" not in host:
        address = f"tcp:{host}:{port}"
    return clientFromString(reactor, address)


__all__ = ["Link", "endpoint"]
