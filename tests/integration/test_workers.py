"""Several processes that serve one socket."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from .conftest import Server, configure, eventually
from .test_faults import Load, Receiver, assert_nothing_is_lost, push, receiver, www
from .test_serve import curl

__all__ = ["receiver"]


def children(running: Server) -> list[int]:
    assert running.process is not None
    path = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def test_workers_share_a_socket_and_a_journal_and_one_is_killed(
    server: Callable[..., Server], receiver: Receiver, tmp_path: Path
) -> None:
    running = server(www(receiver), options=("--workers", "2"))
    eventually(lambda: len(children(running)) == 2)
    with Load([running.port], senders=3) as load:
        load.wait_for(40)
        killed, other = children(running)
        os.kill(killed, signal.SIGKILL)
        load.wait_for(40)
        eventually(lambda: set(children(running)) > {other} and killed not in children(running))
        load.wait_for(20)
    assert push(running.port, load.acknowledged[0], "org/0", commits=2) == 202
    # What the killed one had in its hands is free when its leases have run out, or when all are gone.
    assert running.stop() == 0
    running.start()
    assert_nothing_is_lost(load, receiver, tmp_path)
    lines = running.log.read_text()
    assert re.search(r"worker \d ended with status -9", lines)


def test_workers_end_when_their_parent_is_killed(server: Callable[..., Server]) -> None:
    running = server("'change_hook_dialects': {'base': True}", options=("--workers", "2"))
    eventually(lambda: running.log.read_text().count("listening on") == 2)
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
    eventually(lambda: running.log.read_text().count("listening on") == 2)
    configure(tmp_path, "'change_hook_dialects': {'base': {'secret': 's3cret'}}", running.port)
    running.signal(signal.SIGHUP)
    eventually(lambda: running.log.read_text().count("reconfigured") == 2)
    assert [curl("-d", "branch=a", f"{running.url}/base")[0] for _ in range(8)] == [403] * 8
    assert running.stop() == 0
