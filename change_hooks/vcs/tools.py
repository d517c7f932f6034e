"""Runs the version control systems' command-line tools.

Strategy: the output of a tool is bytes, and is split at the tool's own separators (NUL, newline, space)
before it is decoded, because names may contain any other character. Passwords are never among a tool's
arguments, where every user of the machine could read them.
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
#: After how many single failures the cause is assumed not to be in the single items.
MOST_FAILURES = 10

Asked = TypeVar("Asked")
Got = TypeVar("Got")


class ToolError(Exception):
    """A version control tool failed, or is not installed; the message is the tool's own."""


class Interruption:
    """Terminates the tools that one piece of work runs, from another thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """Kill the running tool and its child processes; from now on, no tool can be started."""
        with self._lock:
            self._interrupted = True
            if self._running is not None:
                _kill(self._running)

    @contextmanager
    def covers_this_thread(self) -> Iterator[None]:
        """A context in which tools that this thread runs can be interrupted."""
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
        """The tool that was running has ended."""
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
    """Run a tool, and return its standard output.

    The tool uses English and UTF-8, and does not prompt for a password.

    :param time_limit: in seconds; then the tool and its child processes are killed.
    :raises ToolError: the tool failed, or was interrupted (:class:`Interruption`).
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
    """The line with the error: the first one that begins like an error, otherwise the last one."""
    lines = said.strip().split("\n")
    line = next((line for line in lines if line.startswith(_WRONG)), lines[-1])
    return "".join(character if character.isprintable() else "?" for character in line)


_WRONG = ("fatal:", "error:", "abort:", "svn: E", "svnlook: E")


def text(raw: bytes) -> str:
    """Decode UTF-8; invalid bytes are replaced."""
    return raw.decode("utf-8", "replace")


def lines_of(printed: bytes) -> list[bytes]:
    """The lines of a tool's output: a line ends with a newline, and with no other character."""
    lines = printed.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def seconds(written: str) -> int | None:
    """Seconds since the epoch, as a tool prints them; None if that is not in the years 1 to 9999."""
    try:
        number = int(written)
    except ValueError:
        return None
    return moment(number)


def each(
    asked: Sequence[Asked], ask: Callable[[Sequence[Asked]], list[Got]]
) -> tuple[list[Got], list[tuple[Asked, ToolError]]]:
    """Ask for all items at once; if that fails, for smaller and smaller groups of them, so that a bad item
    does not affect the others.

    :param ask: returns the results for some of the items, in their order, or raises :class:`ToolError`.
    :returns: all results, in order; and the items that failed, with the reason.
    :raises ToolError: too many items failed: the cause is not in the items.
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
