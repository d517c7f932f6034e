"""Several processes that serve one socket."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

from tests.support.programs import curl

from .conftest import Server, configure, eventually


def test_workers_end_when_their_parent_is_killed(server: Callable[..., Server]) -> None:
    running = server("'change_hook_dialects': {'base': True}", options=("--workers", "2"))
    eventually(lambda: running.log.read_text().count("] ready") == 2)
    running.kill()

    def refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", running.port), 1).close()
        except OSError:
            return True
        return False

    eventually(refused)


def test_a_reconfiguration_reaches_every_worker(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server("'change_hook_dialects': {'base': True}", options=("--workers", "2"))
    eventually(lambda: running.log.read_text().count("] ready") == 2)
    configure(tmp_path, "'change_hook_dialects': {'base': {'secret': 's3cret'}}", running.port)
    running.signal(signal.SIGHUP)
    eventually(lambda: running.log.read_text().count("reconfigured") == 2)
    assert [curl("-d", "branch=a", f"{running.url}/base")[0] for _ in range(8)] == [403] * 8
    assert running.stop() == 0
