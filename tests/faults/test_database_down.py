"""A database that goes away, crashes, or falls silent."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..support.programs import Server, eventually
from .books import assert_nothing_is_lost
from .databases import PostgreSQL, let_leases_run_out
from .load import Load, push, www
from .proxy import Proxy
from .recorder import Recorder

#: Within how long every request is answered, in seconds: the five that are promised, and room for a machine
#: that has much else to do. Forges give up after ten.
AT_LATEST = 8.0
#: Within how long a server ends, in seconds, when nothing it waits for comes.
ENDS = 25.0


def test_postgresql_is_restarted_and_crashes_under_load(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    running = server(www(recorder.url, postgresql.url))
    with Load([running.port]) as load:
        for mode in ("fast", "immediate"):
            load.wait_for(20)
            postgresql.stop(mode)
            assert push(running.port, f"refused-{mode}") == 503
            postgresql.start()
        load.wait_for(20)
    assert_nothing_is_lost(load.acknowledged, postgresql.url, recorder)
    assert running.stop() == 0


def refused_in_time(running: Server, name: str, commits: int) -> None:
    """It may be stored all the same, as soon as the server goes on."""
    began = time.monotonic()
    assert push(running.port, name, commits=commits) == 503
    assert time.monotonic() - began < AT_LATEST


def test_a_postgresql_that_falls_silent_is_503_in_time_until_it_goes_on(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    running = server(www(recorder.url, postgresql.url))
    with Load([running.port], pause=0.01) as load:
        load.wait_for(20)
        postgresql.freeze()
        for number in range(3):
            refused_in_time(running, f"silent-{number}", 2)
        # The connection is given up; those that follow are not accepted either.
        eventually(lambda: "has not responded for" in running.log.read_text())
        refused_in_time(running, "silent-for-long", 2)
        postgresql.thaw()
        load.wait_for(20)
    assert load.answers <= {202, 503}
    assert load.slowest < AT_LATEST
    assert_nothing_is_lost(load.acknowledged, postgresql.url, recorder)
    assert running.stop() == 0


def test_a_server_ends_although_its_database_says_nothing(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    with Proxy(postgresql.port) as proxy:
        running = server(www(recorder.url, postgresql.url_at(proxy.port)))
        recorder.free.clear()
        assert push(running.port, "in-hand") == 202
        recorder.wait_until_asked()
        proxy.freeze()
        refused_in_time(running, "silent", 1)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < ENDS
        proxy.thaw()
        recorder.free.set()
        # As if it had been away long enough.
        let_leases_run_out(postgresql.url)
        running.start()
        assert push(running.port, "silent") == 202
        assert_nothing_is_lost(["in-hand", "silent"], postgresql.url, recorder, changes=1)
