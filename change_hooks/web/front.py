"""The HTTP front of ``serve``: applies limits while the bytes arrive.

Strategy: a body is counted as it arrives, so one that is too large is refused before it is in memory. It is
never spooled to disk, because its sender is not verified yet. Connections have no timers: each has a
deadline, and all deadlines are checked once a second. If there are too many connections, the one closest to
its deadline is closed, and not the new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import inf
from time import time

from twisted.internet.interfaces import IProtocolNegotiationFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource
from zope.interface import implementer

from change_hooks.alarm import Alarm
from change_hooks.core.delivery import ClientAddress
from change_hooks.web.bounds import CONNECTIONS
from change_hooks.web.connection import Connection
from change_hooks.web.proxies import TrustedProxies, one_client
from change_hooks.web.room import Room
from change_hooks.web.tracing import Tracer, no_trace

#: How many bodies of the largest size may be in memory at once.
HELD = 8
#: The share of the connections that one client may have.
SHARE = 0.5
#: How often the deadlines are checked, in seconds.
LOOK = 1.0
#: The shortest interval between two warnings about too many connections, in seconds.
SILENT = 60.0

log = Logger()


@implementer(IProtocolNegotiationFactory)
class HookSite(Factory):
    """A site for change hooks.

    :param resource: the root resource.
    :param max_body: the largest body accepted, in bytes.
    :param clock: the reactor, or a clock in tests.
    :param max_held: the largest total size of all bodies in memory, in bytes; None: :data:`HELD` times
        *max_body*.
    :param max_connections: how many connections may be open at once.
    :param proxies: their connections are not counted as those of one client.
    :param tracer: keeps a trace of each request that is refused here.
    """

    protocol = Connection
    noisy = False

    def __init__(
        self,
        resource: IResource,
        max_body: int,
        clock: IReactorTime,
        *,
        max_held: int | None = None,
        max_connections: int = CONNECTIONS,
        proxies: TrustedProxies | None = None,
        tracer: Tracer = no_trace,
    ) -> None:
        self.resource = resource
        self.tracer = tracer
        self.seconds = clock.seconds
        self.room = Room(0, 0)
        self._clock = clock
        self._connections: dict[Connection, None] = {}  # Oldest first.
        self._of: Counter[str] = Counter()
        self._alarm = Alarm(clock, self._look)
        self._warned = -SILENT
        self._date = (0, b"")
        self.limit(max_body, max_held, max_connections, proxies or TrustedProxies())

    def limit(
        self, max_body: int, max_held: int | None, max_connections: int, proxies: TrustedProxies
    ) -> None:
        """Set the limits, for requests from now on."""
        self.max_body = max_body
        self.room.limit = HELD * max_body if max_held is None else max_held
        self.room.share = max(int(self.room.limit * SHARE), max_body)
        self._max_connections = max_connections
        self._proxies = proxies

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 only."""
        return [b"http/1.1"]

    def date(self) -> bytes:
        """The header ``Date``."""
        now = int(time())
        if now != self._date[0]:
            self._date = now, b"Date: %b\r\n" % datetimeToString(now)
        return self._date[1]

    # Called by connections.

    def arrived(self, connection: Connection) -> None:
        """A connection was opened."""
        if not self._connections:
            self._alarm.set(LOOK)
        self._connections[connection] = None
        if len(self._connections) > self._max_connections:
            self._make_place(self._connections, connection)

    def known(self, connection: Connection, address: ClientAddress) -> None:
        """The client of a connection is known: with the PROXY protocol, after its first bytes."""
        if address.type == "UNIX" or self._proxies.trusts(address):
            connection.client = ""
            return
        client = connection.client = one_client(address.host)
        self._of[client] += 1
        if self._of[client] > max(1, int(self._max_connections * SHARE)):
            self._make_place([each for each in self._connections if each.client == client], connection)

    def left(self, connection: Connection) -> None:
        """A connection was closed."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        client = connection.client
        if client:
            self._of[client] -= 1
            if not self._of[client]:
                del self._of[client]
        if not self._connections:
            self._alarm.clear()

    def _make_place(self, connections: Collection[Connection], newcomer: Connection) -> None:
        idle = (each for each in connections if each.deadline < inf and each is not newcomer)
        min(idle, key=lambda each: each.deadline, default=newcomer).evict()
        now = self.seconds()
        if now - self._warned >= SILENT:
            self._warned = now
            log.warn(
                "over {count} connections (change_hook_max_connections); the oldest are closed",
                count=self._max_connections,
            )

    def _look(self) -> None:
        """Abort connections whose deadline has passed."""
        self._alarm.set(LOOK)
        now = self.seconds()
        for connection in [each for each in self._connections if each.deadline <= now]:
            connection.expire()


__all__ = ["HookSite"]
