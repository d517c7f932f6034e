"""Receivers of two versions on one journal, as while they are upgraded one after the other."""

from __future__ import annotations

from collections.abc import Callable

from ..support.programs import Server
from .books import assert_nothing_is_lost
from .databases import PostgreSQL
from .load import Load, push, www
from .recorder import Recorder


def upgrade(postgresql: PostgreSQL, compatible: int) -> None:
    """What a newer receiver does to the tables at its start."""
    postgresql.execute(
        "ALTER TABLE change_hooks.deliveries ADD COLUMN IF NOT EXISTS newer TEXT NOT NULL DEFAULT ''"
    )
    postgresql.execute(f"UPDATE change_hooks.schema_version SET version = 99, compatible = {compatible}")


def test_an_older_receiver_goes_on_when_the_newer_tables_say_that_it_may(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    running = server(www(recorder.url, postgresql.url))
    with Load([running.port], pause=0.01) as load:
        load.wait_for(5)
        upgrade(postgresql, compatible=1)
        load.wait_for(5)
        # Also when it has to connect again.
        postgresql.stop("fast")
        postgresql.start()
        load.wait_for(5)
        assert running.stop() == 0
        running.start()
        load.wait_for(5)
    assert_nothing_is_lost(load.acknowledged, postgresql.url, recorder)
    assert running.stop() == 0


def test_an_older_receiver_leaves_tables_alone_that_it_does_not_know(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    running = server(www(recorder.url, postgresql.url))
    assert push(running.port, "before") == 202
    upgrade(postgresql, compatible=99)
    postgresql.stop("fast")
    postgresql.start()
    # The first one finds the connection broken, the next one the newer tables.
    assert [push(running.port, f"after-{number}") for number in range(3)] == [503] * 3
    assert "written by a newer version of change-hooks; upgrade" in running.log.read_text()
    assert running.stop() == 0
