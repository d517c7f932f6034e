"""Real programs, without a real reactor: what is read of them, and when they have ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from change_hooks.core.sink_answers import OUTPUT_KEPT
from change_hooks.sinks.program import GRACE, Ended, Program


class Reactor(Clock):
    """Watches nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeWriter(self, writer: Any) -> None:
        """Nothing is written to it."""

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)


class ShellProgram:
    """A program of the shell."""

    def __init__(self, script: str, stdin: bytes = b"", cwd: str | None = None) -> None:
        self.clock = Reactor()
        self.written = b""
        self.ended: list[Ended] = []
        self.program = Program(
            ["/bin/sh", "-c", script],
            stdin=stdin,
            cwd=cwd,
            env={"X": "y", "PATH": os.environ["PATH"]},
            write=self._write,
            ended=self.ended.append,
            reactor=self.clock,
        )

    def _write(self, data: bytes) -> None:
        self.written += data

    def pid(self) -> int:
        """Of the program, once it has ended; it is not reaped."""
        (pid,) = (child for child in children() if child not in BEFORE)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return pid

    def wait(self) -> Ended:
        """Wait until it has ended, and say so as Twisted does."""
        self.pid()
        self.clock.advance(0)
        self.program.reapProcess()
        for reader in [*self.clock.readers]:
            reader.connectionLost()
        (ended,) = self.ended
        return ended


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]


BEFORE: list[int] = []


@pytest.fixture(autouse=True)
def no_others() -> None:
    BEFORE[:] = children()


def test_its_input_its_environment_and_its_status() -> None:
    shell = ShellProgram('cat; echo "$X" >&2; exit 3', b"in\n")
    assert shell.wait() == Ended(3, None, b"in\ny\n")
    assert shell.written == b"in\ny\n"


def test_a_signal_that_ends_it_is_no_status() -> None:
    assert ShellProgram("kill -9 $$").wait() == Ended(None, signal.SIGKILL, b"")


def test_of_much_output_the_end_is_kept(tmp_path: Path) -> None:
    shell = ShellProgram(f"head -c {OUTPUT_KEPT * 3} /dev/zero; echo end", cwd=str(tmp_path))
    output = shell.wait().output
    assert (len(output), output[-4:]) == (OUTPUT_KEPT, b"end\n")
    assert len(shell.written) == 3 * OUTPUT_KEPT + 4


def test_it_has_ended_once(tmp_path: Path) -> None:
    shell = ShellProgram("true")
    shell.wait()
    shell.program.reapProcess()
    shell.program.end()
    assert len(shell.ended) == 1
    assert not shell.clock.getDelayedCalls()


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A program writes to it when a signal may come; whoever reads it waits for that."""
    os.mkfifo(tmp_path / "ready")
    return tmp_path / "ready"


def test_one_that_is_asked_to_end_is_killed_when_it_does_not(ready: Path) -> None:
    shell = ShellProgram(f"trap '' TERM; echo > {ready}; exec sleep 3600")
    ready.read_text()
    shell.program.end()
    shell.program.end()
    shell.program.reapProcess()
    assert shell.ended == []
    shell.clock.advance(GRACE)
    assert shell.wait().signal == signal.SIGKILL


def test_one_that_ends_when_it_is_asked_to_is_not_killed_later(ready: Path) -> None:
    shell = ShellProgram(f"trap 'exit 7' TERM; sleep 3600 & echo > {ready}; wait")
    ready.read_text()
    shell.program.end()
    assert shell.wait().status == 7
    assert not shell.clock.getDelayedCalls()


def test_what_it_writes_is_read_while_it_runs_and_the_end_of_it_looks_whether_it_has_ended(
    ready: Path,
) -> None:
    shell = ShellProgram(f"echo one; echo > {ready}; exec sleep 3600")
    ready.read_text()
    (reader,) = shell.clock.readers
    assert reader.fileno() > 2
    reader.doRead()
    assert shell.written == b"one\n"
    shell.clock.advance(0)
    shell.program.end()
    shell.pid()
    assert shell.ended == []
    reader.connectionLost()
    assert shell.ended == [Ended(None, signal.SIGTERM, b"one\n")]


def test_one_whose_output_ends_before_it_is_watched_has_ended_all_the_same() -> None:
    shell = ShellProgram("true")
    shell.pid()
    (reader,) = shell.clock.readers
    reader.connectionLost()
    assert shell.ended == []
    shell.clock.advance(0)
    assert shell.ended == [Ended(0, None, b"")]


def test_a_status_that_somebody_else_has_learnt_is_a_failure() -> None:
    shell = ShellProgram("true")
    os.waitpid(shell.pid(), 0)
    shell.clock.advance(0)
    shell.program.reapProcess()
    assert [ended.status for ended in shell.ended] == [255]
    for reader in [*shell.clock.readers]:
        reader.connectionLost()


def test_one_that_cannot_be_started_leaves_nothing_open() -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(FileNotFoundError):
        ShellProgram("true", cwd="/does/not/exist")
    assert len([*Path("/proc/self/fd").iterdir()]) == before
