"""Sinks that hang or fail, and what becomes of the others."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from ..support.programs import Server, eventually
from .books import journal_in, states
from .load import change
from .recorder import Recorder


def test_a_sink_that_hangs_does_not_stop_the_others(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sinks = {
            "hangs": {"sink": "http", "url": f"http://127.0.0.1:{silent.getsockname()[1]}/"},
            "ci": {"sink": "http", "url": recorder.url},
        }
        running = server(f"'change_hook_dialects': {{'base': True}}, 'change_hook_sinks': {sinks!r}")
        # More repositories than any sink has places.
        for number in range(40):
            change(running.port, str(number), f"org/{number}")
        eventually(lambda: len(recorder.taken) == 40)
        assert states(journal_in(tmp_path)) == ["waiting"] * 40
        running.kill()
