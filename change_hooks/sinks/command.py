"""Run a program for every change."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.interfaces import IChangeSink, SinkError

#: The longest value put into the environment, in bytes; the system limits them. The JSON on standard
#: input has all of it.
LONGEST_VALUE = 32_000
#: How much of what a program says on standard error is kept, in bytes.
ERRORS_KEPT = 500


@implementer(IChangeSink)
class Command:
    """Runs a program for every change, never through a shell.

    The change is one JSON object on standard input: its fields, ``dialect``, ``delivery`` and ``index``.
    Fields that are not too long are also in the environment, as ``CHANGE_HOOK_BRANCH`` and so on
    (``files`` and ``properties`` as JSON). Exit status 0 means that the change was taken; with any other
    it is tried again.

    :param argv: the program and its arguments.
    :param name: what the journal calls this sink.
    :param cwd: the folder it runs in; the server's own by default.
    :param env: more variables.
    :param time_limit: seconds after which it is killed, and has failed.
    :param concurrency: how many may run at once.
    """

    #: It keeps the time itself, from when the program starts.
    time_limit = None

    def __init__(
        self,
        argv: Sequence[str],
        *,
        name: str = "command",
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        time_limit: float = 600.0,
        concurrency: int = 4,
        reactor: Any = None,
    ) -> None:
        if isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv):
            raise TypeError("argv must be a list of str, for instance ['/usr/local/bin/build', '--quick']")
        self.argv = tuple(argv)
        self.name = name
        self._cwd = cwd
        self._env = dict(env or {})
        self._time_limit = time_limit
        self._slots = DeferredSemaphore(concurrency)
        self._reactor = reactor

    def add_change(self, change: Change, key: Any) -> Deferred[Any]:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        return self._slots.run(self._run, change, key)

    def _run(self, change: Change, key: Any) -> Deferred[None]:
        reactor = self._reactor
        if reactor is None:
            from twisted.internet import reactor
        fields = change.as_dict()
        if key is not None:
            fields.update(key._asdict())
        protocol = _Run(msgspec.json.encode(fields))
        environment = {**os.environ, **_environment(fields), **self._env}
        process: IReactorProcess = reactor
        process.spawnProcess(protocol, self.argv[0], self.argv, environment, self._cwd)
        return protocol.done.addTimeout(self._time_limit, reactor)


def _environment(fields: Mapping[str, Any]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for name, value in fields.items():
        if value is None:
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if len(text.encode()) <= LONGEST_VALUE:
            environment[f"CHANGE_HOOK_{name.upper()}"] = text.replace("\0", "\ufffd")
    return environment


class _Run(ProcessProtocol):
    """One run of the program."""

    transport: Any

    def __init__(self, standard_input: bytes) -> None:
        self._input = standard_input
        self._errors = b""
        self.done: Deferred[None] = Deferred(self._kill)

    def connectionMade(self) -> None:
        self.transport.write(self._input)
        self.transport.closeStdin()

    def errReceived(self, data: bytes) -> None:
        self._errors = (self._errors + data)[-ERRORS_KEPT:]

    def _kill(self, _: Deferred[None]) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")
        done, self.done = self.done, Deferred()
        done.errback(CancelledError())

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        if isinstance(ended, ProcessDone):
            self.done.callback(None)
            return
        how = f"signal {ended.signal}" if ended.exitCode is None else f"exit status {ended.exitCode}"
        said = self._errors.decode("utf-8", "replace").strip()
        self.done.errback(SinkError(f"{how}{': ' if said else ''}{said}"))
        self.done.addErrback(lambda _: None)


__all__ = ["Command"]
