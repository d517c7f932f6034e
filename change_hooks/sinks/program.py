"""Runs a program in a process group of its own, and reads its output.

Strategy: the program gets its standard input as a file, so it need not read it; standard output and standard
error are one pipe, and the end of the output is kept. The exit status decides as soon as it is known: a child
process that the program leaves behind may keep the pipe open, but nothing waits for it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from subprocess import Popen
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from twisted.internet import fdesc
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.process import registerReapProcessHandler, unregisterReapProcessHandler
from twisted.python.failure import Failure

from change_hooks.core.sink_answers import OUTPUT_KEPT

#: How long a program may take to terminate before it is killed, in seconds.
GRACE = 5.0
#: How much is read from a pipe after its program has ended, in bytes: more than a pipe can hold.
LEFT = 1024 * 1024


class Ended(NamedTuple):
    """How a program ended.

    :param status: its exit status; None: a signal terminated it.
    :param signal: the signal's number; None: it exited normally.
    :param output: the last :data:`~change_hooks.core.sink_answers.OUTPUT_KEPT` bytes that it wrote.
    """

    status: int | None
    signal: int | None
    output: bytes


class Program:
    """Starts a program.

    :param argv: the program and its arguments.
    :param stdin: its standard input.
    :param cwd: the folder it runs in.
    :param env: its whole environment.
    :param write: called with its output, piece by piece.
    :param ended: called when it has ended.
    :raises OSError: the program cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes,
        cwd: str | None,
        env: Mapping[str, str],
        write: Callable[[bytes], object],
        ended: Callable[[Ended], object],
        reactor: Any,
    ) -> None:
        self._reactor = reactor
        self._write = write
        self._ended = ended
        self._kept = b""
        self._kill_later: Any = None
        self._running = True
        self._watched = False
        reading, writing = os.pipe()
        try:
            with TemporaryFile() as given:
                given.write(stdin)
                given.seek(0)
                self._process = Popen(  # noqa: S603 (the configuration says what to run)
                    list(argv),
                    stdin=given,
                    stdout=writing,
                    stderr=writing,
                    cwd=cwd,
                    env=dict(env),
                    start_new_session=True,
                )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._output = _Output(reading, self._wrote, self.reapProcess, reactor)
        # It may have ended already, but the caller must first know that it has started.
        reactor.callLater(0, self._watch)

    def _watch(self) -> None:
        self._watched = True
        registerReapProcessHandler(self._process.pid, self)

    def _wrote(self, data: bytes) -> None:
        if self._running:
            self._kept = (self._kept + data)[-OUTPUT_KEPT:]
            self._write(data)

    def end(self) -> None:
        """Terminate the process group; what has not ended after :data:`GRACE` seconds is killed."""
        if self._running and self._kill_later is None:
            self._signal(signal.SIGTERM)
            self._kill_later = self._reactor.callLater(GRACE, self._signal, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    # Called by Twisted.

    def reapProcess(self) -> None:
        """Called when a child process has ended, maybe this one."""
        if not (self._running and self._watched):
            return
        try:
            pid, status = os.waitpid(self._process.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._process.pid, 0xFF00  # Somebody else has reaped it.
        if pid:
            unregisterReapProcessHandler(pid, self)
            self.processEnded(status)

    def processEnded(self, status: int) -> None:
        """Called when the program has ended."""
        self._output.drain()
        self._running = False
        if self._kill_later is not None:
            self._signal(signal.SIGKILL)
            if self._kill_later.active():
                self._kill_later.cancel()
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self._ended(Ended(None, -code, self._kept) if code < 0 else Ended(code, None, self._kept))


class _Output(FileDescriptor):
    """The reading end of a program's output. It is read for as long as anybody holds the other end, so that a
    child process that is left behind can go on writing.
    """

    def __init__(
        self, fd: int, wrote: Callable[[bytes], object], closed: Callable[[], object], reactor: Any
    ) -> None:
        super().__init__(reactor)
        self._fd = fd
        self._wrote = wrote
        self._closed = closed
        fdesc.setNonBlocking(fd)
        self.connected = 1
        self.startReading()

    def fileno(self) -> int:
        return self._fd

    def doRead(self) -> Any:
        return fdesc.readFromFD(self._fd, self._wrote)

    def drain(self) -> None:
        """Read the available output."""
        left = LEFT
        while self.connected and left > 0:
            try:
                data = os.read(self._fd, LEFT)
            except OSError:
                return
            if not data:
                return
            left -= len(data)
            self._wrote(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        super().connectionLost(reason or Failure(ConnectionDone()))
        os.close(self._fd)
        self._closed()


__all__ = ["GRACE", "Ended", "Program"]
