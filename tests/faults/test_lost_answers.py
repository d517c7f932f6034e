"""A COMMIT that PostgreSQL has done, and whose answer nobody hears."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.programs import Server, eventually, program
from .books import assert_nothing_is_lost, states, stored
from .databases import PostgreSQL, let_leases_run_out
from .load import Load, push, send, www
from .proxy import Proxy
from .recorder import Recorder

STORING = b"INSERT INTO deliveries"
FINISHING = b"UPDATE deliveries SET state"
CLAIMING = b"UPDATE queues SET owner"
RECORDING = b"DELETE FROM entries"
HOLDING = b"UPDATE deliveries SET owner"


@pytest.fixture
def proxy(postgresql: PostgreSQL) -> Iterator[Proxy]:
    with Proxy(postgresql.port) as proxy:
        yield proxy


def test_a_large_delivery_keeps_what_it_is_made_of(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL, proxy: Proxy
) -> None:
    running = server(www(recorder.url, postgresql.url_at(proxy.port)))
    message = "\u00e4" * 2_000_000
    proxy.lose_commit_answers(after=STORING)
    assert push(running.port, "large", message=message) == 503
    proxy.wait_until_lost(1)
    # The forge sends it again, and is told that it is there already.
    assert push(running.port, "large", message=message) == 202
    assert [each.duplicates for each in stored(postgresql.url)] == [1]
    assert_nothing_is_lost(["large"], postgresql.url, recorder, changes=1)
    assert [taken.change["comments"] for taken in recorder.taken] == [message]
    assert running.stop() == 0


@pytest.mark.parametrize("statement", [STORING, CLAIMING, RECORDING])
def test_nothing_is_lost_or_stuck(
    server: Callable[..., Server],
    recorder: Recorder,
    postgresql: PostgreSQL,
    proxy: Proxy,
    statement: bytes,
) -> None:
    running = server(www(recorder.url, postgresql.url_at(proxy.port)))
    with Load([running.port], senders=3, pause=0.02) as load:
        for lost in range(1, 6):
            proxy.lose_commit_answers(after=statement)
            proxy.wait_until_lost(lost)
        load.wait_for(5)
    assert_nothing_is_lost(load.acknowledged, postgresql.url, recorder)
    assert running.stop() == 0


LARGE = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from change_hooks import HookHandler


class Large(HookHandler):
    async def getChanges(self, request):
        await deferLater(reactor, 0.5)
        return [{"revision": str(number), "comments": "x" * 300_000} for number in range(10)], "git"

    def delivery_id(self, delivery):
        return delivery.header("X-Id")
"""


def test_what_is_finished_late_or_replayed_keeps_what_it_is_made_of(
    server: Callable[..., Server],
    recorder: Recorder,
    postgresql: PostgreSQL,
    proxy: Proxy,
    tmp_path: Path,
) -> None:
    (tmp_path / "large.py").write_text(LARGE)
    running = server(
        "'change_hook_dialects': {'large': {'custom_class': __import__('large').Large}},"
        f" 'change_hook_answer_within': 0.1, 'change_hook_journal': {postgresql.url_at(proxy.port)!r},"
        f" 'change_hook_sinks': {{'ci': {{'sink': 'http', 'url': {recorder.url!r}}}}}"
    )
    proxy.lose_commit_answers(after=FINISHING)
    assert send(f"{running.url}/large", b"x", {"X-Id": "1"})[0] == 202
    proxy.wait_until_lost(1)
    eventually(lambda: states(postgresql.url) == ["delivered"])
    assert sorted(map(int, recorder.revisions)) == list(range(10))
    assert {len(taken.change["comments"]) for taken in recorder.taken} == {300_000}
    # The same way, when it is replayed.
    recorder.taken.clear()
    proxy.lose_commit_answers(after=FINISHING)
    command = [program("change-hooks"), "replay", "hooks.cfg", "1", "--all-sinks"]
    replayed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert proxy.lost == 2, replayed
    # A delivery wakes the dispatcher.
    assert send(f"{running.url}/large", b"x", {"X-Id": "2"})[0] == 202
    eventually(lambda: len(recorder.taken) == 20)
    eventually(lambda: set(states(postgresql.url)) == {"delivered"})
    assert {len(taken.change["comments"]) for taken in recorder.taken} == {300_000}
    assert running.stop() == 0


SLOW = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from change_hooks import HookHandler


class Slow(HookHandler):
    async def getChanges(self, request):
        await deferLater(reactor, self.options["seconds"])
        return [{"revision": "1"}], "git"
"""


def test_a_pending_delivery_that_is_held_unheard_does_not_wait_for_its_lease(
    server: Callable[..., Server],
    recorder: Recorder,
    postgresql: PostgreSQL,
    proxy: Proxy,
    tmp_path: Path,
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    www = (
        "'change_hook_dialects': {'slow': {'custom_class': __import__('slow').Slow, 'seconds': SECONDS}},"
        f" 'change_hook_answer_within': 0.1, 'change_hook_journal': {postgresql.url_at(proxy.port)!r},"
        f" 'change_hook_sinks': {{'ci': {{'sink': 'http', 'url': {recorder.url!r}}}}}"
    )
    running = server(www.replace("SECONDS", "3600"))
    assert send(f"{running.url}/slow", b"x", {})[0] == 202
    running.kill()
    let_leases_run_out(postgresql.url)
    proxy.lose_commit_answers(after=HOLDING)
    following = server(www.replace("SECONDS", "0"))
    proxy.wait_until_lost(1)
    # A lease that does not run out while this test runs.
    postgresql.execute("UPDATE change_hooks.deliveries SET lease = lease + 1000000 WHERE state = 'pending'")
    eventually(lambda: states(postgresql.url) == ["delivered"])
    assert recorder.revisions == ["1"]
    assert following.stop() == 0
