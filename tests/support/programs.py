"""Real programs: where they are, and what happens when one is missing; servers in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest

#: How long a real program may take for one step, in seconds, before a test fails.
PATIENCE = 90.0


def program(name: str) -> str:
    """The path of a program."""
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        missing(f"{name} is not installed")
    return path


def missing(reason: str) -> NoReturn:
    """What a test needs is not here: in CI this fails the test; elsewhere the test is skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def eventually(condition: Callable[[], object], *, every: float | None = None) -> object:
    """Wait until *condition* is true, and return what it returned.

    :param every: how many seconds pass between two looks; None: more and more, since those who wait long take the
        processor from what they wait for.
    """
    deadline = time.monotonic() + PATIENCE
    pause = every or 0.02
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(pause)
        pause = every or min(1.3 * pause, 0.25)


@contextmanager
def folder_for_others() -> Iterator[Path]:
    """A folder that other users may enter. Pytest closes its own to them, whenever it starts anywhere."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def curl(*arguments: str) -> tuple[int, str]:
    """Status and body of a request made with curl."""
    done = subprocess.run(
        [program("curl"), "-s", "-w", "\n%{http_code}", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


class Server:
    """A server in a process of its own."""

    def __init__(self, command: list[str], folder: Path, port: int) -> None:
        self.command = command
        self.folder = folder
        self.port = port
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        eventually(self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/change_hook"


def children(running: Server) -> list[int]:
    """The process ids of a server's workers."""
    assert running.process is not None
    path = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def configure(folder: Path, www: str, port: int, endpoint: str = "tcp:{port}:interface=127.0.0.1") -> None:
    """Write ``hooks.cfg``; *www* is the inside of the ``www`` dict."""
    listen = endpoint.format(port=port)
    (folder / "hooks.cfg").write_text(f"c = {{'www': {{'port': {listen!r}, {www}}}}}\n")


@contextmanager
def servers(folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts ``change-hooks serve`` with a configuration, in *folder*; what still runs at the end is killed.

    Its ``port`` is the one that it answers on, when that is not the one in the configuration.
    """
    started: list[Server] = []

    def start(
        www: str, *, command: list[str] | None = None, options: tuple[str, ...] = (), port: int = 0
    ) -> Server:
        configured = free_port()
        configure(folder, www, configured)
        serve = command or [program("change-hooks"), "serve"]
        new = Server([*serve, "hooks.cfg", *options], folder, port or configured)
        started.append(new)
        new.start()
        return new

    try:
        yield start
    finally:
        for each in started:
            if each.process is not None and each.process.poll() is None:
                each.kill()
