"""What real servers tell a service manager, over a datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.programs import curl

from ..support.programs import Server, children, eventually, free_port, program

CONFIG = """
import time
from pathlib import Path

def block(change):
    Path("blocking").touch()
    time.sleep(4)
    Path("blocked").touch()

c = {"www": {
    "port": "tcp:PORT:interface=127.0.0.1",
    "change_hook_dialects": {"base": True},
    "change_hook_sinks": {"block": block},
}}
"""


class Managed:
    """A server, and what its manager hears."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "hooks.cfg").write_text(CONFIG.replace("PORT", str(self.port)))
        address = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self._heard: list[str] = []
        command = [
            *("env", f"NOTIFY_SOCKET={address}", "WATCHDOG_USEC=1000000"),
            *(program("change-hooks"), "serve", "hooks.cfg", *options),
        ]
        self.server = Server(command, folder, self.port)

    def wait_for(self, state: str) -> str:
        """Wait for a message; those before it are forgotten."""
        self._socket.settimeout(60)
        while True:
            message = self._socket.recv(4096).decode()
            if message.startswith(state):
                return message

    def hears_nothing_for(self, seconds: float) -> bool:
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        return False

    def forget(self) -> None:
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        if self.server.process is not None and self.server.process.poll() is None:
            self.server.kill()
        self._socket.close()


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Callable[..., Managed]]:
    made: list[Managed] = []

    def make(*options: str) -> Managed:
        made.append(Managed(tmp_path, *options))
        made[-1].server.start()
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_ready_reloading_stopping(managed: Callable[..., Managed], options: tuple[str, ...]) -> None:
    running = managed(*options)
    running.wait_for("READY=1")
    assert curl(f"{running.server.url}/nothing")[0] == 404
    running.server.signal(signal.SIGHUP)
    assert "\nMONOTONIC_USEC=" in running.wait_for("RELOADING=1")
    running.wait_for("READY=1")
    running.wait_for("WATCHDOG=1")
    running.server.signal(signal.SIGTERM)
    running.wait_for("STOPPING=1")
    assert running.server.stop() == 0


def test_nobody_is_alive_while_the_reactor_stands(managed: Callable[..., Managed]) -> None:
    running = managed()
    running.wait_for("WATCHDOG=1")
    curl("-d", "revision=1", f"{running.server.url}/base")
    eventually((running.folder / "blocking").exists)
    running.forget()
    assert running.hears_nothing_for(2)
    eventually((running.folder / "blocked").exists)
    running.wait_for("WATCHDOG=1")


def test_of_workers_all_must_be_alive(managed: Callable[..., Managed]) -> None:
    running = managed("--workers", "2")
    running.wait_for("WATCHDOG=1")
    stopped = children(running.server)[0]
    os.kill(stopped, signal.SIGSTOP)
    eventually(lambda: running.hears_nothing_for(2))
    os.kill(stopped, signal.SIGCONT)
    running.wait_for("WATCHDOG=1")


def test_programs_that_a_server_starts_do_not_speak_for_it(tmp_path: Path) -> None:
    running = Managed(tmp_path)
    config = (tmp_path / "hooks.cfg").read_text()
    code = "import os, pathlib; pathlib.Path('environment').write_text(repr(sorted(os.environ)))"
    sink = {"sink": "command", "argv": [sys.executable, "-c", code]}
    (tmp_path / "hooks.cfg").write_text(config.replace('"block": block', f'"block": {sink!r}'))
    running.server.start()
    try:
        curl("-d", "revision=1", f"{running.server.url}/base")
        eventually((tmp_path / "environment").exists)
        eventually(lambda: "PATH" in (tmp_path / "environment").read_text())
        assert "NOTIFY_SOCKET" not in (tmp_path / "environment").read_text()
    finally:
        running.close()
