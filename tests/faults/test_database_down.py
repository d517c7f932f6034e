"""A database that goes away, crashes, or falls silent."""

from __future__ import annotations

from collections.abc import Callable

from ..support.programs import Server
from .books import assert_nothing_is_lost
from .databases import PostgreSQL
from .load import Load, push, www
from .recorder import Recorder


def test_postgresql_is_restarted_and_crashes_under_load(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    running = server(www(recorder.url, postgresql.url))
    with Load([running.port]) as load:
        for mode in ("fast", "immediate"):
            load.wait_for(20)
            postgresql.stop(mode)
            assert push(running.port, f"refused {mode}") == 503
            postgresql.start()
        load.wait_for(20)
    assert_nothing_is_lost(load.acknowledged, postgresql.url, recorder)
    assert running.stop() == 0
