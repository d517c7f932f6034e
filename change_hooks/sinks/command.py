"""Runs a program: once for every push, unless configured otherwise."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.logger import Logger
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.options import count, seconds
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.shown import printable, reason_of
from change_hooks.core.sink_answers import SinkError, SinkOutput, SinkRefused
from change_hooks.flow import reactor_unless
from change_hooks.interfaces import IAlarmSink, IChangeSink
from change_hooks.sinks.base import read_option
from change_hooks.sinks.messages import fields_of
from change_hooks.sinks.program import Ended, Program

#: The default time limit of a run, in seconds, and how many runs there may be at once.
TIME_LIMIT = 600.0
CONCURRENCY = 4
#: The longest value that is put into the environment, in bytes: the system limits these. The JSON on standard
#: input always has the whole value.
LONGEST_VALUE = 32_000
#: How much of the end of the output is quoted in the reason of a failure, in bytes.
REASON_KEPT = 500
#: "The input data was incorrect in some way": retrying is pointless. Source: sysexits(3).
EX_DATAERR = 65

log = Logger()


@implementer(IChangeSink, IAlarmSink)
class Command:
    """Runs a program once for every push, never through a shell.

    The newest change is one JSON object on standard input: its fields, ``dialect``, ``delivery`` and ``ref``;
    and ``changes``, a list of all changes of the push. With ``per='change'`` the program runs once for every
    change, and there is ``index`` instead of ``ref`` and ``changes``. Fields that are not too long are also
    in the environment, as ``CHANGE_HOOK_BRANCH`` and so on (``files`` and ``properties`` as JSON).

    Of an alarm (``change_hook_alarms``), the fields are those of
    :class:`~change_hooks.core.receiver_alarm.ReceiverAlarm`: ``CHANGE_HOOK_EVENT`` and so on.

    Exit status 0 means that the push was accepted; 65 (``EX_DATAERR``) that it never will be; after any
    other, the program is run again. It runs in a process group of its own, which is terminated at the time
    limit and when the server ends.

    :param argv: the program and its arguments.
    :param name: what the journal calls this sink.
    :param cwd: the folder it runs in; the server's own by default.
    :param env: more variables, which take precedence over those of the change.
    :param time_limit: seconds after which the program is terminated, and has failed.
    :param concurrency: how many programs may run at once.
    :param output: where its standard output and standard error go: ``'log'``; a file, to which they are
        appended; None. In any case the last 4 KiB are kept with the attempt.
    :param base: the folder that relative paths are relative to.
    :raises TypeError: an option has the wrong type; None selects the default of every option but *output*.
    :raises ValueError: an option contains a zero byte.
    """

    per = "push"
    attempts = 3
    #: Options that are mappings themselves, and not references to a secret.
    mappings = ("env",)
    #: This sink measures its time limit itself, from the start of the program.
    time_limit = None

    def __init__(
        self,
        argv: Sequence[str],
        *,
        name: str = "command",
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        time_limit: float | None = TIME_LIMIT,
        concurrency: int | None = CONCURRENCY,
        output: str | None = "log",
        base: Path | None = None,
        reactor: Any = None,
        start: Any = Program,
    ) -> None:
        if not isinstance(argv, (list, tuple)) or not argv or not all(isinstance(word, str) for word in argv):
            raise TypeError("argv must be a list of str, for instance ['/usr/local/bin/build', '--quick']")
        self.env: dict[str, str] = read_option("env", env, _variables, default={})
        if any("\0" in word for word in [*argv, *self.env, *self.env.values()]):
            raise ValueError("argv and env must not contain zero bytes")
        if any("=" in variable or not variable for variable in self.env):
            raise ValueError("env: the name of a variable must not be empty or contain '='")
        self.argv = tuple(argv)
        self.name = name
        self.concurrency = read_option("concurrency", concurrency, count, default=CONCURRENCY)
        self.limit = read_option("time_limit", time_limit, seconds, default=TIME_LIMIT)
        self._log = output == "log"
        folder = base or Path()
        self.cwd = None if cwd is None else str(folder / read_option("cwd", cwd, _path, default=folder))
        self._file = None
        if output not in ("log", None):
            self._file = folder / read_option("output", output, _path, default=folder)
        self.reactor = reactor
        self._start_program = start
        self._closed = False
        self._waiting: deque[_Run] = deque()
        self._running: list[_Run] = []

    def add_change(self, change: Change, key: Any) -> Deferred[SinkOutput]:
        """See :meth:`change_hooks.interfaces.IChangeSink.add_change`."""
        return self._run_for(fields_of(change, key))

    def add_alarm(self, alarm: ReceiverAlarm) -> Deferred[SinkOutput]:
        """See :meth:`change_hooks.interfaces.IAlarmSink.add_alarm`."""
        return self._run_for(alarm.as_dict())

    def _run_for(self, fields: dict[str, Any]) -> Deferred[SinkOutput]:
        self.reactor = reactor_unless(self.reactor)
        run = _Run(self, fields)
        self._waiting.append(run)
        self._run_some()
        return run.done

    def _run_some(self) -> None:
        while self._waiting and (self._closed or len(self._running) < self.concurrency):
            run = self._waiting.popleft()
            if self._closed:
                run.fail(SinkError("the server is shutting down"))
            elif not run.is_cancelled:
                self._run(run)

    def _run(self, run: _Run) -> None:
        self._running.append(run)
        try:
            run.start(self._start_program, self._file, self._environment(run.fields))
        except Exception as error:
            self._running.remove(run)
            run.fail(SinkError(f"cannot run {self.argv[0]!r}: {_why(error)}"))

    def _environment(self, fields: Mapping[str, Any]) -> dict[str, str]:
        return {**os.environ, **environment_of(fields), **self.env}

    def has_ended(self, run: _Run, ended: Ended) -> None:
        """Called when the program of a run has ended."""
        self._running.remove(run)
        output = ended.output.decode("utf-8", "replace")
        if self._log:
            for line in output.splitlines():
                log.info("{sink} | {line}", sink=self.name, line=printable(line, lines=True))
        run.judge(ended, output)
        self._run_some()

    def open(self) -> None:
        """Allow programs to be run, also after :meth:`close`."""
        self._closed = False

    def close(self) -> Deferred[Any]:
        """Terminate all programs. Fires when they have ended."""
        self._closed = True
        self._run_some()
        for run in self._running:
            run.end("the server was shutting down")
        if not self._running:
            return succeed(None)
        return DeferredList([run.gone for run in self._running])


class _Run:
    """One run of the program.

    :param fields: the fields of the change.
    """

    def __init__(self, command: Command, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.is_cancelled = False
        self.done: Deferred[SinkOutput] = Deferred(self._cancel)
        self.gone: Deferred[None] = Deferred()
        self._command = command
        self._why: str | None = None
        self._program: Any = None
        self._alarm: Any = None
        self._file: FileIO | None = None

    def start(self, start: Any, file: Path | None, environment: Mapping[str, str]) -> None:
        """Start the program.

        :param file: the program's output is appended to it.
        :raises OSError: the program cannot be started.
        """
        command = self._command
        with ExitStack() as opened:
            if file is not None:
                self._file = opened.enter_context(file.open("ab", buffering=0))
            self._program = start(
                command.argv,
                stdin=msgspec.json.encode(self.fields) + b"\n",
                cwd=command.cwd,
                env=environment,
                write=self._write,
                ended=self._ended,
                reactor=command.reactor,
            )
            opened.pop_all()
        limit = command.limit
        self._alarm = command.reactor.callLater(limit, self.end, f"did not end within {limit:g} s")

    def _write(self, data: bytes) -> None:
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                log.error("the output cannot be written: {error}", error=reason_of(error))
                self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def end(self, why: str) -> None:
        """Terminate the program.

        :param why: the reason that is reported.
        """
        self._why = self._why or why
        self._program.end()

    def _cancel(self, _: object) -> None:
        self.is_cancelled = True
        if self._program is not None:
            self.end("it was no longer wanted")
        self.done.errback(CancelledError())

    def _ended(self, ended: Ended) -> None:
        self._close_file()
        if self._alarm.active():
            self._alarm.cancel()
        self._command.has_ended(self, ended)
        self.gone.callback(None)

    def judge(self, ended: Ended, output: str) -> None:
        """Turn the exit status into the outcome of the run."""
        said = output[-REASON_KEPT:].strip()
        how = self._why or (
            f"exit status {ended.status}" if ended.signal is None else f"signal {ended.signal}"
        )
        reason = f"{how}: {said}" if said else how
        if self.is_cancelled:
            return
        if self._why is not None or ended.status not in (0, EX_DATAERR):
            self.fail(SinkError(reason, output=output))
        elif ended.status == EX_DATAERR:
            self.fail(SinkRefused(reason, output=output))
        else:
            self.done.callback(SinkOutput(output))

    def fail(self, error: SinkError) -> None:
        """Report that the run has failed."""
        self.done.errback(error)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    return f"{type(error).__name__}: {error}"


def _variables(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(word, str) for pair in value.items() for word in pair
    ):
        raise TypeError("must be a dict of str and str")
    return dict(value)


def _path(value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"must be a str, not {type(value).__name__}")
    return Path(value)


def environment_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a change as environment variables, except those that are too long, and ``changes``."""
    environment: dict[str, str] = {}
    for name, value in fields.items():
        if value is None or name == "changes":
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if len(text.encode()) <= LONGEST_VALUE:
            environment[f"CHANGE_HOOK_{name.upper()}"] = text.replace("\0", "\ufffd")
    return environment


__all__ = ["Command", "environment_of"]
