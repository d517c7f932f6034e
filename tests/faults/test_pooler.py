"""A pooler in transaction mode before PostgreSQL; several hosts in one URL; a standby that does not answer."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from itertools import count, takewhile
from pathlib import Path

import psycopg

from ..support.programs import Server, configure, eventually, folder_for_others, free_port, program
from .books import assert_nothing_is_lost, stored
from .databases import PgBouncer, PostgreSQL
from .load import Load, push, www
from .recorder import Recorder


def test_two_receivers_behind_a_pooler_in_transaction_mode(
    server: Callable[..., Server],
    recorder: Recorder,
    postgresql: PostgreSQL,
    tmp_path: Path,
) -> None:
    with folder_for_others() as own, PgBouncer(postgresql, own) as pooler:
        # Whatever one client leaves behind in a connection, the next one finds there.
        with psycopg.connect(pooler.url, autocommit=True, prepare_threshold=None) as other:
            other.execute("SET search_path = nowhere")
            other.execute("SET synchronous_commit = off")
        running = server(www(recorder.url, pooler.url))
        folder = tmp_path / "second"
        folder.mkdir()
        port = free_port()
        configure(folder, www(recorder.url, pooler.url), port)
        second = Server([program("change-hooks"), "serve", "hooks.cfg"], folder, port)
        second.start()
        try:
            message = "\u00e4" * 1_500_000
            with Load([running.port, port], pause=0.01) as load:
                load.wait_for(30)
                assert push(running.port, "large", commits=2, message=message) == 202
                # Commands use it at the same time.
                for command in (["deliveries", "hooks.cfg", "--json"], ["prune", "hooks.cfg"]):
                    subprocess.run(
                        [program("change-hooks"), *command], cwd=tmp_path, check=True, capture_output=True
                    )
                load.wait_for(30)
            assert load.answers == {202}
            assert_nothing_is_lost([*load.acknowledged, "large"], pooler.url, recorder)
        finally:
            assert second.stop() == 0
        assert running.stop() == 0


def test_of_several_hosts_one_that_is_there_is_used(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{postgresql.port}"
    url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
    running = server(www(recorder.url, url))
    assert push(running.port, "one") == 202
    assert_nothing_is_lost(["one"], postgresql.url, recorder, changes=1)
    checked = subprocess.run(
        [program("change-hooks"), "check", "hooks.cfg"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"journal: postgresql://{hosts}/postgres" in checked.stdout
    assert running.stop() == 0


def test_what_no_standby_has_is_not_acknowledged(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL
) -> None:
    running = server(www(recorder.url, postgresql.url))
    assert push(running.port, "before") == 202
    postgresql.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    postgresql.execute("SELECT pg_reload_conf()")

    def cancel() -> None:
        """An administrator cancels what waits for the standby, which is a mere warning for the waiting."""
        eventually(
            lambda: postgresql.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
        )

    administrator = threading.Thread(target=cancel)
    administrator.start()
    # The server takes a moment to hear of its standby.
    names = (f"sent-{number}" for number in count())
    acknowledged = list(takewhile(lambda name: push(running.port, name) == 202, names))
    unsafe = f"sent-{len(acknowledged)}"
    administrator.join()
    eventually(lambda: "canceling wait for synchronous replication" in running.log.read_text())
    postgresql.execute("ALTER SYSTEM RESET synchronous_standby_names")
    postgresql.execute("SELECT pg_reload_conf()")
    eventually(lambda: push(running.port, unsafe) == 202)
    sent = ["before", *acknowledged, unsafe]
    assert_nothing_is_lost(sent, postgresql.url, recorder, changes=1)
    assert [each.delivery for each in stored(postgresql.url)] == sent
    assert running.stop() == 0
