"""Several processes that serve one listening socket.

Strategy: the parent opens the socket and does nothing else but watch its children. Each child is a server
like any other that is given the open socket. They share the journal, which keeps their work apart.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from change_hooks.core.errors import ConfigurationError

#: What tells a child that it is one: its place, as three numbers.
VARIABLE = "CHANGE_HOOKS_WORKER"
#: A child that ends sooner than that, in seconds, is started again only after as long.
SHORT_LIFE = 5.0
#: How often a worker looks whether its parent is there, in seconds.
LOOK_AT_PARENT = 1.0


class Opening:
    """Stands for a reactor while the parent opens the socket of an endpoint."""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> socket.socket:
        """Open a TCP socket."""
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        return socket.create_server((interface, port), family=family, backlog=backlog)

    def listenSSL(
        self, port: int, factory: Any, context: Any, backlog: int = 50, interface: str = ""
    ) -> socket.socket:
        """Open a TCP socket; the children speak TLS on it."""
        return self.listenTCP(port, factory, backlog, interface)

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> socket.socket:
        """Open a UNIX socket."""
        Path(address).unlink(missing_ok=True)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.bind(address)
        Path(address).chmod(mode)
        opened.listen(backlog)
        return opened


class Adopting:
    """Stands for a reactor while a child listens: on the socket that is open already.

    :param reactor: the reactor.
    :param descriptor: the socket's.
    """

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """Listen on the open socket."""
        return self._adopt(factory)

    def listenSSL(
        self, port: int, factory: Any, context: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen with TLS on the open socket."""
        from twisted.protocols.tls import TLSMemoryBIOFactory

        return self._adopt(TLSMemoryBIOFactory(context, isClient=False, wrappedFactory=factory))

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> IListeningPort:
        """Listen on the open socket."""
        return self._adopt(factory)

    def _adopt(self, factory: Any) -> IListeningPort:
        with socket.socket(fileno=os.dup(self._descriptor)) as opened:
            listening: IListeningPort = self._reactor.adoptStreamPort(opened.fileno(), opened.family, factory)
        return listening


def end_with_parent(reactor: Any, parent: int) -> None:
    """Stop the reactor when this process has lost its parent: nobody would pass signals on.

    :param parent: its process id.
    """
    if os.getppid() == parent:
        reactor.callLater(LOOK_AT_PARENT, end_with_parent, reactor, parent)
    else:
        reactor.stop()


class Place(NamedTuple):
    """A worker's place.

    :param number: among the workers, from 0.
    :param descriptor: the socket's.
    :param parent: the process id of who started it.
    """

    number: int
    descriptor: int
    parent: int


def place() -> Place | None:
    """This process's place among the workers; None when it is none of them."""
    value = os.environ.get(VARIABLE)
    return None if value is None else Place(*map(int, value.split(":")))


def open_socket(port: str) -> socket.socket:
    """The socket of an endpoint string.

    :raises ConfigurationError: it cannot be opened, or the endpoint is not of a kind that can be shared.
    """
    opening: Any = Opening()
    opened: list[Any] = []
    try:
        serverFromString(opening, port).listen(Factory()).addBoth(opened.append)
    except Exception:
        raise ConfigurationError(
            [f"--workers: {port!r} cannot be shared; tcp:, ssl: and unix: can"]
        ) from None
    (result,) = opened
    if isinstance(result, socket.socket):
        # The children share this; one that finds no connection left must not wait for the next.
        result.setblocking(False)  # noqa: FBT003
        return result
    raise ConfigurationError([f"cannot listen on {port}: {result.getErrorMessage()}"])


class Supervisor:
    """Starts the workers, starts one again that ends by itself, and passes signals on.

    :param command: what a worker runs.
    :param count: how many there are.
    """

    def __init__(self, command: Sequence[str], count: int, opened: socket.socket) -> None:
        self._command = list(command)
        self._count = count
        self._socket = opened
        self._ends = False
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._started: dict[int, float] = {}

    def run(self) -> int:
        """Run until a signal ends it.

        :returns: an exit status.
        """
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, self._end)
        signal.signal(signal.SIGHUP, self._pass_on)
        for number in range(self._count):
            self._start(number)
        while self._workers:
            pid, status = os.wait()
            number = next(number for number, each in self._workers.items() if each.pid == pid)
            ended = self._workers.pop(number).returncode = os.waitstatus_to_exitcode(status)
            if not self._ends:
                sys.stderr.write(f"worker {number} ended with status {ended}; starting it again\n")
                if monotonic() - self._started[number] < SHORT_LIFE:
                    sleep(SHORT_LIFE)
                if not self._ends:
                    self._start(number)
        return 0

    def _start(self, number: int) -> None:
        descriptor = self._socket.fileno()
        self._started[number] = monotonic()
        self._workers[number] = subprocess.Popen(  # noqa: S603 (this program)
            self._command,
            env={**os.environ, VARIABLE: f"{number}:{descriptor}:{os.getpid()}"},
            pass_fds=[descriptor],
        )

    def _end(self, number: int, frame: Any) -> None:
        self._ends = True
        self._pass_on(signal.SIGTERM, frame)

    def _pass_on(self, number: int, frame: Any) -> None:
        for worker in list(self._workers.values()):
            worker.send_signal(number)


__all__ = ["Adopting", "Supervisor", "end_with_parent", "open_socket", "place"]
