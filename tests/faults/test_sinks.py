"""Sinks that hang or fail, and what becomes of the others."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from change_hooks.journal import sqlite

from ..support.programs import Server, configure, eventually, free_port, program
from .books import Books, journal_in, states, wait_until_delivered
from .databases import PostgreSQL, let_leases_run_out
from .load import Load, change, push, www
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


def test_under_load_every_repository_has_its_turn(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    recorder.delay = 0.02
    sinks = {"ci": {"sink": "http", "url": recorder.url, "concurrency": 1}}
    running = server(www(sinks=sinks))
    seen: set[str] = set()
    with Load([running.port], senders=4, repositories=8):
        # More comes than can be handed over, and the last of the alphabet comes all the same.
        def all_seen() -> bool:
            seen.update(taken.repository for taken in recorder.taken)
            return len(seen) == 8

        eventually(all_seen)
    running.kill()


def test_a_restart_repeats_only_what_was_just_handed_over(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    recorder.delay = 0.05
    running = server(www(recorder.url))
    commits = 100
    assert push(running.port, "long", commits=commits) == 202
    for _ in range(2):
        done = len(recorder.taken)
        eventually(lambda done=done: len(recorder.taken) >= done + 15)
        running.kill()
        running.start()
    # And an end waits for no more than the change that is being handed over.
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 8
    recorder.delay = 0.0
    running.start()
    wait_until_delivered(journal_in(tmp_path))
    books = Books(["long"], journal_in(tmp_path), recorder, commits)
    # What is handed over within a second or so, and the one in hand.
    books.assert_right(repeated=2 * 30)
    assert max(books.repeated.values(), default=0) <= 3
    assert running.stop() == 0


def test_a_receiver_that_stood_still_neither_goes_on_nor_undoes_what_another_has_done(
    server: Callable[..., Server], recorder: Recorder, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    once = {"ci": {"sink": "http", "url": recorder.url, "attempts": 1}}
    running = server(www(journal=postgresql.url, sinks=once))
    recorder.free.clear()
    assert push(running.port, "long", commits=30) == 202
    assert push(running.port, "short", "octo-org/web") == 202
    eventually(lambda: len(recorder.asked) == 2)
    running.signal(signal.SIGSTOP)
    # What it was handing over will have failed, when it looks again: a dead letter, at the first attempt.
    recorder.refuses = True
    recorder.free.set()
    time.sleep(1)
    recorder.refuses = False
    let_leases_run_out(postgresql.url)
    folder = tmp_path / "second"
    folder.mkdir()
    port = free_port()
    configure(folder, www(journal=postgresql.url, sinks=once), port)
    second = Server([program("change-hooks"), "serve", "hooks.cfg"], folder, port)
    second.start()
    wait_until_delivered(postgresql.url)
    before = len(recorder.asked)
    running.signal(signal.SIGCONT)
    eventually(lambda: running.log.read_text().count("failed in") == 2)
    assert running.stop() == 0
    assert states(postgresql.url) == ["delivered"] * 2
    assert len(recorder.asked) == before
    assert len({taken.key for taken in recorder.taken}) == len(recorder.taken) == 31
    assert second.stop() == 0


def test_a_delivery_that_cannot_be_read_is_a_dead_letter_and_the_others_go_on(
    server: Callable[..., Server], recorder: Recorder, tmp_path: Path
) -> None:
    recorder.refuses = True
    running = server(www(recorder.url))
    for number in range(3):
        assert push(running.port, str(number), f"org/{number}") == 202
    assert push(running.port, "3", "org/1") == 202
    eventually(lambda: len(recorder.asked) >= 3)
    running.kill()
    with closing(sqlite.connect(journal_in(tmp_path))) as connection:
        connection.execute("UPDATE deliveries SET changes = x'00ff' WHERE id = '1'")
    recorder.refuses = False
    running.start()
    eventually(lambda: states(journal_in(tmp_path)) == ["delivered", "failed", "delivered", "delivered"])
    assert {taken.key.delivery for taken in recorder.taken} == {"0", "2", "3"}
    assert "the journal cannot be written" not in running.log.read_text()
    assert push(running.port, "4", "org/1") == 202
    assert running.stop() == 0


LEAVES_A_CHILD = """#!/bin/sh
sleep 120 >&2 &
echo "$$" >> runs
"""


def test_a_program_that_leaves_a_child_behind_is_run_once(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    script = tmp_path / "leaves_a_child"
    script.write_text(LEAVES_A_CHILD)
    script.chmod(0o755)
    running = server(www(sinks={"ci": {"sink": "command", "argv": [str(script)]}}))
    assert push(running.port, "one") == 202
    wait_until_delivered(journal_in(tmp_path))
    assert running.stop() == 0
    assert len((tmp_path / "runs").read_text().splitlines()) == 1


def test_an_answer_without_end_is_not_read_to_its_end(server: Callable[..., Server], tmp_path: Path) -> None:
    sent = 0

    def answer(listening: socket.socket) -> None:
        nonlocal sent
        client, _ = listening.accept()
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            while sent < 500_000_000:
                sent += client.send(b"x" * 65536)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        running = server(www(f"http://127.0.0.1:{listening.getsockname()[1]}/"))
        assert push(running.port, "one") == 202
        wait_until_delivered(journal_in(tmp_path))
        assert sent < 50_000_000
        assert running.stop() == 0
