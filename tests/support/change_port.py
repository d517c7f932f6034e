"""The change port of a master, and the sink ``buildbot_pb`` connected to it, in memory."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import _WrappingFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.spread import pb
from twisted.test.iosim import FakeTransport, IOPump
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.sinks.buildbot_pb import BuildbotPB


class Refusal(pb.Error):
    pass


@implementer(IRealm)
class Port(pb.Avatar):
    """A master's change port."""

    def __init__(self) -> None:
        self.changes: list[Any] = []
        self.broken = False
        self.answer: Deferred[Any] | None = None

    def requestAvatar(self, avatar: Any, mind: Any, *interfaces: Any) -> Any:
        return pb.IPerspective, self, lambda: None

    def perspective_addChange(self, fields: Any) -> Any:
        if self.broken:
            raise Refusal("no such branch")
        self.changes.append(fields)
        return self.answer


class SinkAndMaster:
    """A sink, and a master in memory."""

    def __init__(self, **options: Any) -> None:
        self.port = Port()
        checker = InMemoryUsernamePasswordDatabaseDontUse(change=b"changepw")
        self.server = pb.PBServerFactory(Portal(self.port, [checker]))
        self.reactor = MemoryReactorClock()
        self.sink = BuildbotPB("master.example:9989", reactor=self.reactor, **options)

    def add(self, change: Change) -> Deferred[Any]:
        known = len(self.reactor.tcpClients)
        taken: Deferred[Any] = self.sink.add_change(change, None)
        if len(self.reactor.tcpClients) > known:
            self.connect(self.reactor.tcpClients[-1][2])
        self.pump.flush()
        return taken

    def connect(self, factory: _WrappingFactory) -> None:
        client, server = factory.buildProtocol(None), self.server.buildProtocol(None)
        client_end, server_end = FakeTransport(client, False), FakeTransport(server, True)
        self.pump = IOPump(client, server, client_end, server_end, False)
        server.makeConnection(server_end)
        client.makeConnection(client_end)
