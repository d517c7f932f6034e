"""The admin page, over sockets."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support.programs import curl

from ..support.programs import children
from .conftest import Server, configure, eventually, free_port

#: There is an answer.
HERE = 200
BASE = "'change_hook_dialects': {'base': True}"


def test_one_of_several_workers_has_the_port_and_so_has_the_one_after_it(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    running = server(f"{BASE}, 'change_hook_admin': {{'port': {port}}}", options=("--workers", "2"))
    eventually(lambda: curl(url)[0] == HERE)
    assert curl("-H", "Host: evil.example", url)[0] == 403
    assert "cannot listen" not in running.log.read_text()
    running.signal(signal.SIGHUP)
    eventually(lambda: running.log.read_text().count("reconfigured") == 2)
    for pid in children(running):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: curl(url)[0] == HERE)
    assert running.stop() == 0
    assert curl(url)[0] == 0


def test_a_port_in_use_does_not_keep_deliveries_out(server: Callable[..., Server], tmp_path: Path) -> None:
    port = free_port()
    first = server(f"{BASE}, 'change_hook_admin': {{'port': {port}}}")
    eventually(lambda: curl(f"http://127.0.0.1:{port}/")[0] == HERE)
    folder = tmp_path / "second"
    folder.mkdir()
    own = free_port()
    configure(folder, f"{BASE}, 'change_hook_admin': {{'port': {port}}}", own)
    second = Server(first.command, folder, own)
    second.start()
    try:
        assert curl("-d", "branch=a", f"{second.url}/base")[0] == 202
        eventually(lambda: f"cannot listen on tcp:{port}" in second.log.read_text())
        first.stop()
        eventually(lambda: curl(f"http://127.0.0.1:{port}/")[0] == HERE)
    finally:
        assert second.stop() == 0
