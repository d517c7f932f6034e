"""Running the version control systems' own command lines.

Strategy: what a tool prints is bytes, and is taken apart at the tool's own separators (NUL, newline, space)
before it is decoded, for the names in it may hold every other character. Passwords never stand among a tool's
arguments, where every user of the machine can read them.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Lock
from typing import TypeVar

from change_hooks.core.change import moment

#: How long a tool may take, in seconds.
TIME_LIMIT = 300.0
#: How many of many things may fail one by one before the cause is taken to be in none of them.
MOST_FAILURES = 10

Asked = TypeVar("Asked")
Got = TypeVar("Got")


class ToolError(Exception):
    """A version control tool failed, or is not there; the message is its own."""


class Interruption:
    """Ends the tools that one piece of work runs, from another thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """Kill the tool that runs now, with all that it started; from now on none can be started."""
        with self._lock:
            self._interrupted = True
            if self._running is not None:
                _kill(self._running)

    @contextmanager
    def covers_this_thread(self) -> Iterator[None]:
        """What is run inside can be interrupted."""
        token = _INTERRUPTION.set(self)
        try:
            yield
        finally:
            _INTERRUPTION.reset(token)

    def start(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a tool.

        :raises ToolError: interrupted.
        """
        with self._lock:
            self.check()
            self._running = start()
            return self._running

    def check(self) -> None:
        """:raises ToolError: interrupted."""
        if self._interrupted:
            raise ToolError("interrupted")

    def ended(self) -> None:
        """The tool that ran is no more."""
        with self._lock:
            self._running = None


_INTERRUPTION: ContextVar[Interruption] = ContextVar("interruption")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    time_limit: float = TIME_LIMIT,
) -> bytes:
    """What a tool prints on standard output.

    It speaks English and UTF-8, and asks nobody for a password.

    :param time_limit: in seconds; then it is killed, with all that it started.
    :raises ToolError: it failed, or was interrupted (:class:`Interruption`).
    """
    environment = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        "HGPLAIN": "1",
        **(env or {}),
    }
    pipe = subprocess.PIPE

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (no shell; what is a parameter cannot be an option)
            list(command), stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
        )

    interruption = _INTERRUPTION.get(None) or Interruption()
    try:
        process = interruption.start(start)
    except OSError as error:
        raise ToolError(f"{command[0]}: {error.strerror}") from None
    with process:
        try:
            printed, said = process.communicate(stdin, timeout=time_limit)
        except BaseException as error:
            _kill(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise ToolError(f"{command[0]}: not done after {time_limit:.0f} s") from None
        finally:
            interruption.ended()
    interruption.check()
    if process.returncode:
        raise ToolError(f"{command[0]}: {_reason(text(said)) or f'status {process.returncode}'}")
    return printed


def _reason(said: str) -> str:
    """The line that says what is wrong: the first one that says so by its beginning, else the last one."""
    lines = said.strip().split("\n")
    line = next((line for line in lines if line.startswith(_WRONG)), lines[-1])
    return "".join(character if character.isprintable() else "?" for character in line)


_WRONG = ("fatal:", "error:", "abort:", "svn: E", "svnlook: E")


def text(raw: bytes) -> str:
    """Text in UTF-8; what is not valid is replaced."""
    return raw.decode("utf-8", "replace")


def lines_of(printed: bytes) -> list[bytes]:
    """The lines of what a tool prints: each ends with a newline, and with nothing else."""
    lines = printed.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def seconds(written: str) -> int | None:
    """Seconds since the epoch, as a tool prints them; None for what is no time of the years 1 to 9999."""
    try:
        number = int(written)
    except ValueError:
        return None
    return moment(number)


def each(
    asked: Sequence[Asked], ask: Callable[[Sequence[Asked]], list[Got]]
) -> tuple[list[Got], list[tuple[Asked, ToolError]]]:
    """Ask for all of them in one go; where that fails, for ever smaller parts of them, so that each one that
    is bad costs only itself.

    :param ask: gives what it got for some of them, in their order; it raises :class:`ToolError`.
    :returns: all that was got, in order; and those that failed, with the reason.
    :raises ToolError: too many of them failed: more is wrong than some of them.
    """
    got: list[Got] = []
    failed: list[tuple[Asked, ToolError]] = []
    parts = [asked] if asked else []
    while parts:
        part = parts.pop()
        try:
            got += ask(part)
        except ToolError as error:
            if len(part) > 1:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                continue
            failed.append((part[0], error))
            if len(failed) >= MOST_FAILURES:
                raise
    return got, failed


__all__ = ["Interruption", "ToolError", "each", "lines_of", "run", "seconds", "text"]
