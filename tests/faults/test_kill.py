"""kill -9 at any moment, of a receiver alone and of one of several."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path

from ..support.programs import Server, children, configure, eventually, free_port, program
from ..support.services import database
from .books import Books, assert_nothing_is_lost, journal_in, states, wait_until_delivered
from .databases import let_leases_run_out
from .load import Load, push, send, www
from .recorder import Recorder


def test_killed_again_and_again_under_load_nothing_acknowledged_is_lost(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    running = server(www(recorder.url))
    with Load([running.port]) as load:
        for _ in range(4):
            load.wait_for(random.randrange(1, 40))
            running.kill()
            running.start()
        load.wait_for(5)
    assert_nothing_is_lost(load.acknowledged, journal_in(tmp_path), recorder)
    assert running.stop() == 0


def test_killed_under_large_deliveries_each_is_stored_whole_or_not_at_all(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    running = server(www(recorder.url))
    message = "\u00e4" * 2_000_000
    with Load([running.port], senders=2, message=message) as load:
        for _ in range(2):
            load.wait_for(random.randrange(1, 4))
            running.kill()
            running.start()
        load.wait_for(1)
    assert_nothing_is_lost(load.acknowledged, journal_in(tmp_path), recorder)
    assert {taken.change["comments"] for taken in recorder.taken} == {message}
    assert running.stop() == 0


def second_receiver(folder: Path, text: str) -> Server:
    port = free_port()
    other = folder / "other"
    other.mkdir()
    configure(other, text, port)
    second = Server([program("change-hooks"), "serve", "hooks.cfg"], other, port)
    second.start()
    return second


def test_two_receivers_on_one_journal_and_one_of_them_is_killed(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    with database() as url:
        first = server(www(recorder.url, url))
        second = second_receiver(tmp_path, www(recorder.url, url))
        try:
            with Load([first.port, second.port]) as load:
                load.wait_for(40)
                # The first one dies with changes in its hands.
                recorder.free.clear()
                recorder.wait_until_asked()
                first.kill()
                recorder.free.set()
                load.wait_for(20)
            let_leases_run_out(url)
            # A delivery wakes the dispatcher.
            assert push(second.port, "last", commits=2) == 202
            wait_until_delivered(url)
            books = Books([*load.acknowledged, "last"], url, recorder)
            books.assert_right()
            assert second.stop() == 0
        finally:
            if second.process is not None and second.process.poll() is None:
                second.kill()


def test_workers_share_a_socket_and_a_journal_and_one_is_killed(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    running = server(www(recorder.url), options=("--workers", "2"))
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
    assert_nothing_is_lost(load.acknowledged, journal_in(tmp_path), recorder)
    lines = running.log.read_text()
    assert re.search(r"worker \d ended with status -9", lines)


SLOW = """
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.task import deferLater
from change_hooks import HookHandler


class Slow(HookHandler):
    async def getChanges(self, request):
        while not Path("answer").exists():
            await deferLater(reactor, 0.05)
        return [{"revision": request.content.read().decode()}], "git"

    def delivery_id(self, delivery):
        return delivery.header("X-Id")
"""


def test_what_a_killed_process_had_answered_before_it_was_done_the_next_one_finishes(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    sinks = {"ci": {"sink": "http", "url": recorder.url}}
    running = server(
        "'change_hook_dialects': {'slow': {'custom_class': __import__('slow').Slow}},"
        f" 'change_hook_answer_within': 0.1, 'change_hook_sinks': {sinks!r}"
    )

    def post(name: str) -> tuple[int, str]:
        return send(f"{running.url}/slow", name.encode(), {"X-Id": name})

    assert post("1") == (202, "accepted; its changes are still being looked up\n")
    assert states(journal_in(tmp_path)) == ["pending"]
    status, text = post("1")
    assert (status, text.partition(",")[0]) == (202, "duplicate of 1")
    running.kill()
    running.start()
    assert post("2")[0] == 202
    (tmp_path / "answer").touch()
    eventually(lambda: states(journal_in(tmp_path)) == ["delivered", "delivered"])
    assert sorted(recorder.revisions) == ["1", "2"]
    assert running.stop() == 0
