"""Several processes that serve one listening socket.

Strategy: the parent opens the socket, and then only watches its children. Each child is an ordinary server
that gets the open socket, and a pipe into which it writes heartbeats. The children share the journal, which
coordinates their work.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from select import select
from time import monotonic
from typing import Any, NamedTuple

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from change_hooks.addresses import why_not
from change_hooks.core.errors import ConfigurationError
from change_hooks.systemd import ServiceManager

#: The environment variable with a child's place, as three numbers.
VARIABLE = "CHANGE_HOOKS_WORKER"
#: A child that ends sooner than this, in seconds, is restarted only after the same time.
SHORT_LIFE = 5.0
#: How often a worker writes a heartbeat, in seconds.
BEAT = 1.0
#: After how long without a heartbeat a worker is no longer reported as alive, in seconds.
QUIET = 3 * BEAT
#: After how long without a heartbeat a worker is killed, in seconds: it may hold the journal's lock, which
#: would stop the others. Starting may take longer.
SILENCE = 20.0
START = 120.0
#: The signals that the supervisor handles. If it handles SIGHUP, it handles the others, too.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Opening:
    """Stands in for a reactor while the parent opens the socket of an endpoint."""

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
    """Stands in for a reactor while a child starts to listen on the socket that is already open.

    :param reactor: the reactor.
    :param descriptor: the socket's file descriptor; it is consumed.
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
        # The reactor duplicates the descriptor; closing its own must end the listening.
        with socket.socket(fileno=self._descriptor) as opened:
            listening: IListeningPort = self._reactor.adoptStreamPort(opened.fileno(), opened.family, factory)
        return listening


class Place(NamedTuple):
    """A worker's place.

    :param number: its number, from 0.
    :param descriptor: the socket's file descriptor.
    :param beat: the file descriptor for its heartbeats.
    """

    number: int
    descriptor: int
    beat: int


def place() -> Place | None:
    """This process's place among the workers; None if it is not a worker."""
    value = os.environ.get(VARIABLE)
    return None if value is None else Place(*map(int, value.split(":")))


def take_part(reactor: Any, beat: int) -> None:
    """Act as a worker, once the reactor runs: write heartbeats, and handle signals.

    :param beat: see :class:`Place`. If its reader is gone, the reactor is stopped: the supervisor has died,
        and nobody would pass signals on.
    """
    os.set_blocking(beat, False)
    os.set_inheritable(beat, False)  # noqa: FBT003
    _beat(reactor, beat)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _beat(reactor: Any, beat: int) -> None:
    try:
        os.write(beat, b".")
    except BlockingIOError:
        pass  # The supervisor is blocked.
    except OSError:
        reactor.stop()
        return
    reactor.callLater(BEAT, _beat, reactor, beat)


def open_socket(port: str) -> socket.socket:
    """Open the socket of an endpoint string.

    :raises ConfigurationError: it cannot be opened, or this kind of endpoint cannot be shared.
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
        # The children share the socket; a child that finds no connection left must not block.
        result.setblocking(False)  # noqa: FBT003
        return result
    raise ConfigurationError([f"cannot listen on {port}: {why_not(result.value)}"])


class Worker:
    """One worker, as the supervisor sees it.

    :param number: its number among the workers.
    :param command: the command that it runs.
    :param descriptor: the listening socket's file descriptor.
    """

    def __init__(self, number: int, command: Sequence[str], descriptor: int) -> None:
        self.number = number
        self.started = self._heard = monotonic()
        self._speaks = False
        self.beat, written = os.pipe()
        os.set_blocking(self.beat, False)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this program)
                command,
                env={**os.environ, VARIABLE: f"{number}:{descriptor}:{written}"},
                pass_fds=[descriptor, written],
                start_new_session=True,  # a terminal's signals go to the supervisor only
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(written)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def listen(self) -> None:
        """Read its heartbeats."""
        with suppress(BlockingIOError):
            if os.read(self.beat, 4096):
                self._heard = monotonic()
                self._speaks = True

    @property
    def heard(self) -> float | None:
        """When it last wrote a heartbeat; None: it has not yet."""
        return self._heard if self._speaks else None

    @property
    def stands_still(self) -> bool:
        """Whether it has been silent for so long that it must be killed."""
        return monotonic() - self._heard > (SILENCE if self._speaks else START)

    def send(self, number: int) -> None:
        """Send it a signal."""
        if self._process.returncode is None:
            os.kill(self._process.pid, number)

    def ended(self) -> int | None:
        """Its exit status (negative for a signal) if it has ended, otherwise None."""
        status = self._process.poll()
        if status is not None:
            os.close(self.beat)
        return status


class Supervisor:
    """Starts the workers, restarts one that ends unexpectedly or stops responding, and passes signals on.

    Strategy: signals only wake the loop, which then does what they ask for, one after another; so no signal
    can be handled between a worker's start and its registration. A worker that has just been started holds
    signals back until it can handle them.

    :param command: the command of a worker.
    :param count: how many workers there are.
    :param opened: the listening socket; it is closed when the shutdown begins.
    :param manager: notified when all workers are ready, when they reload and end, and that they are alive.
    """

    def __init__(
        self, command: Sequence[str], count: int, opened: socket.socket, manager: ServiceManager
    ) -> None:
        self._count = count
        self._manager = manager
        #: The manager is to be notified once all workers have been heard from since then.
        self._ready_after: float | None = monotonic()
        self._alive = monotonic()
        self._command = list(command)
        self._socket = opened
        self._ends = False
        self._workers: dict[int, Worker] = {}
        self._due = dict.fromkeys(range(count), 0.0)

    def run(self) -> int:
        """Run until a signal ends it.

        :returns: an exit status.
        """
        woken, wakes = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes)
        for number in (*SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        while self._workers or not self._ends:
            self._start_due()
            beats = [worker.beat for worker in self._workers.values()]
            ready, _, _ = select([woken, *beats], [], [], min(BEAT, self._manager.beat or BEAT))
            if woken in ready:
                self._obey(os.read(woken, 4096))
            self._look_after(ready)
            self._tell()
            _reap([worker.pid for worker in self._workers.values()])
        return 0

    def _tell(self) -> None:
        """Notify the manager of the workers' state."""
        heard = [worker.heard for worker in self._workers.values() if worker.heard is not None]
        if len(heard) < self._count or self._ends:
            return
        if self._ready_after is not None and min(heard) > self._ready_after:
            self._ready_after = None
            self._manager.ready()
        beat, now = self._manager.beat, monotonic()
        if beat is not None and now >= self._alive + beat and min(heard) > now - QUIET:
            self._alive = now
            self._manager.alive()

    def _start_due(self) -> None:
        if self._ends:
            return
        for number, due in list(self._due.items()):
            if due <= monotonic():
                del self._due[number]
                self._workers[number] = Worker(number, self._command, self._socket.fileno())

    def _obey(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT) and not self._ends:
                self._ends = True
                self._manager.stopping()
                # New connections are refused from now on, and the next server can listen.
                self._socket.close()
                self._pass_on(signal.SIGTERM)
            elif number == signal.SIGHUP:
                self._manager.reloading()
                self._pass_on(signal.SIGHUP)
                self._ready_after = monotonic()

    def _pass_on(self, number: int) -> None:
        for worker in self._workers.values():
            worker.send(number)

    def _look_after(self, ready: Sequence[int]) -> None:
        for worker in list(self._workers.values()):
            if worker.beat in ready:
                worker.listen()
            if worker.stands_still:
                _say(f"worker {worker.number} is not responding; killing it")
                worker.send(signal.SIGKILL)
            status = worker.ended()
            if status is None:
                continue
            del self._workers[worker.number]
            if not self._ends:
                _say(f"worker {worker.number} ended with status {status}; restarting it")
                short = monotonic() - worker.started < SHORT_LIFE
                self._due[worker.number] = monotonic() + SHORT_LIFE if short else 0.0


def _reap(ours: Collection[int]) -> None:
    """Reap orphans that have ended: as process 1 of a container, the supervisor inherits them.

    :param ours: the process ids of the workers, which are reaped elsewhere.
    """
    with suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in ours:
                return
            os.waitpid(ended.si_pid, 0)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


__all__ = ["Adopting", "Supervisor", "open_socket", "place", "take_part"]
