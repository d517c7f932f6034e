"""What the supervisor of workers does with signals, with orphans, and with a worker that stands still."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.programs import children
from .conftest import Server, configure, eventually, free_port, program

BASE = "'change_hook_dialects': {'base': True}"


def listening(running: Server, workers: int) -> bool:
    return running.log.read_text().count("] ready") >= workers


@pytest.mark.parametrize(
    ("number", "started"),
    [(signal.SIGTERM, 0), (signal.SIGTERM, 1), (signal.SIGTERM, 2), (signal.SIGINT, 1), (signal.SIGINT, 2)],
)
def test_a_signal_while_workers_start_ends_it(tmp_path: Path, number: int, started: int) -> None:
    port = free_port()
    configure(tmp_path, BASE, port)
    running = Server([program("change-hooks"), "serve", "hooks.cfg", "--workers", "3"], tmp_path, port)
    with running.log.open("ab") as log:
        running.process = subprocess.Popen(running.command, cwd=tmp_path, stdout=log, stderr=log)
    # Others (a measurement of coverage) handle SIGTERM too; SIGHUP comes last, and from us alone.
    eventually(lambda: handles(running, signal.SIGHUP) and len(children(running)) >= started)
    running.signal(number)
    running.signal(signal.SIGHUP)
    assert running.wait() == 0
    assert "Traceback" not in running.log.read_text()


def handles(running: Server, number: int) -> bool:
    """A process has a handler of its own for a signal."""
    assert running.process is not None
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    found = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)


def test_reconfigurations_while_workers_start_lose_none(server: Callable[..., Server]) -> None:
    running = server(BASE, options=("--workers", "2"))
    eventually(lambda: len(children(running)) == 2)
    for _ in range(5):
        running.signal(signal.SIGHUP)
    eventually(lambda: listening(running, 2))
    first = set(children(running))
    assert len(first) == 2
    for _ in range(5):
        running.signal(signal.SIGHUP)
    killed = first.pop()
    os.kill(killed, signal.SIGKILL)
    running.signal(signal.SIGHUP)
    eventually(lambda: len(children(running)) == 2 and killed not in children(running))
    assert first <= set(children(running))
    assert running.stop() == 0


def test_while_it_drains_the_next_server_can_listen(server: Callable[..., Server], tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    program_text = f"trap : TERM; echo > {begun}; while :; do sleep 1; done"
    sinks = f"'change_hook_sinks': {{'run': {{'sink': 'command', 'argv': ['sh', '-c', {program_text!r}]}}}}"
    running = server(f"{BASE}, {sinks}", options=("--workers", "2"))
    eventually(lambda: listening(running, 2))
    command = [program("curl"), "-s", "-d", "branch=main", f"{running.url}/base"]
    assert b"1 change found" in subprocess.run(command, check=True, capture_output=True).stdout
    eventually(begun.exists)
    running.signal(signal.SIGTERM)
    eventually(lambda: refused(running.port))
    assert len(children(running)) >= 1
    socket.create_server(("127.0.0.1", running.port)).close()
    assert running.wait() == 0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_worker_that_stands_still_is_killed_and_started_again(server: Callable[..., Server]) -> None:
    running = server(BASE, options=("--workers", "2"))
    eventually(lambda: listening(running, 2))
    running.signal(signal.SIGHUP)
    eventually(lambda: running.log.read_text().count("reconfigured") == 2)
    stopped = children(running)[0]
    os.kill(stopped, signal.SIGSTOP)
    eventually(lambda: len(children(running)) == 2 and stopped not in children(running))
    assert re.search(r"worker \d is not responding; killing it", running.log.read_text())
    assert running.stop() == 0


ADOPTS = """
import ctypes, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans become this process's children
sys.argv = ["change-hooks", "serve", "hooks.cfg", "--workers", "2"]
from change_hooks.cli import main
main()
"""
ORPHAN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', ''])"


def test_an_orphan_that_ends_takes_nothing_down(server: Callable[..., Server], tmp_path: Path) -> None:
    """As process 1 of a container it is given the orphans of its workers."""
    config = f"'change_hook_sinks': {{'run': {{'sink': 'command', 'argv': [{sys.executable!r}, '-c', {ORPHAN!r}]}}}}"
    running = server(f"{BASE}, {config}", command=[sys.executable, "-c", ADOPTS])
    eventually(lambda: listening(running, 2))
    workers = set(children(running))
    command = [program("curl"), "-s", "-d", "branch=main", f"{running.url}/base"]
    assert b"1 change found" in subprocess.run(command, check=True, capture_output=True).stdout
    eventually(lambda: "taken" in running.log.read_text() or "accepted" in running.log.read_text())
    eventually(lambda: set(children(running)) == workers)
    assert running.stop() == 0
