"""What is promised when things break: real processes, killed; real servers, restarted; a real disk, full."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from change_hooks.core.verification import sign_hmac

from .conftest import Server, configure, eventually, free_port, program
from .services import database, missing
from .test_serve import curl
from .test_sinks import send, states

DUPLICATE = "duplicate of 1, which was accepted before; 'change-hooks replay' processes it again\n"
SECRET = "a long secret"
COMMIT = {"id": "c0ffee", "message": "a", "timestamp": "2026-11-24T12:00:00Z", "added": ["a"]}


class Receiver:
    """A server that takes changes, and remembers them."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refuses = False
        self.busy = threading.Event()
        self.free = threading.Event()
        self.free.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.busy.set()
                receiver.free.wait()
                if not receiver.refuses:
                    receiver.taken.append(json.loads(body))
                self.send_response(503 if receiver.refuses else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def counted(self) -> Counter[tuple[str, str, int]]:
        return Counter((each["dialect"], each["delivery"], each["index"]) for each in self.taken)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.free.set()
    receiver.server.shutdown()
    receiver.server.server_close()


def www(receiver: Receiver | None, journal: str = "sqlite:///change-hooks.sqlite") -> str:
    sinks = {} if receiver is None else {"ci": {"sink": "http", "url": receiver.url}}
    return (
        f"'change_hook_dialects': {{'github': {{'secret': {SECRET!r}, 'strict': True}}, 'base': True}},"
        f" 'change_hook_journal': {journal!r}, 'change_hook_sinks': {sinks!r}"
    )


def push(
    port: int, name: str, repository: str = "octo-org/api", commits: int = 1, message: str = "a"
) -> int | None:
    """Send a signed push; the status, or None when there was no answer."""
    payload = {
        "ref": "refs/heads/main",
        "after": "c0ffee",
        "repository": {"full_name": repository, "html_url": f"https://github.com/{repository}"},
        "commits": [{**COMMIT, "message": message}] * commits,
    }
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": name,
        "X-Hub-Signature-256": sign_hmac(body, SECRET.encode()),
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/change_hook/github", body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class Load:
    """Senders that go on until each delivery is acknowledged, as forges do, and then send the next one.

    :param ports: where to; each attempt goes to one of them.
    :param message: of each commit.
    """

    def __init__(self, ports: list[int], senders: int = 4, message: str = "a") -> None:
        self.acknowledged: list[str] = []
        self._ports = ports
        self._message = message
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(senders)]

    def _send(self, sender: int) -> None:
        number = 0
        while not self._ends.is_set():
            name = f"{sender}-{number}"
            port, repository = random.choice(self._ports), f"org/{number % 3}"
            if push(port, name, repository, commits=2, message=self._message) == 202:
                self.acknowledged.append(name)
                number += 1

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        eventually(lambda: len(self.acknowledged) >= wanted)


def listed(folder: Path, config: str = "hooks.cfg") -> list[dict[str, Any]]:
    """The deliveries that were accepted."""
    done = subprocess.run(
        [program("change-hooks"), "deliveries", config, "--json"],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [each for each in found if each["state"] not in ("ignored", "refused")]


def wait_for_deliveries(folder: Path, config: str = "hooks.cfg") -> None:
    """Wait as long as there is progress, until all is delivered."""

    def states() -> Counter[str]:
        return Counter(each["state"] for each in listed(folder, config))

    before = states()
    while set(before) != {"delivered"}:
        eventually(lambda seen=before: states() != seen)
        before = states()


def assert_nothing_is_lost(load: Load, receiver: Receiver, folder: Path, config: str = "hooks.cfg") -> None:
    wait_for_deliveries(folder, config)
    stored = Counter(each["delivery"] for each in listed(folder, config))
    assert set(load.acknowledged) <= set(stored)
    assert set(stored.values()) == {1}
    keys = {("github", name, index) for name in stored for index in (0, 1)}
    assert set(receiver.counted()) == keys


def test_killed_again_and_again_under_load_nothing_acknowledged_is_lost(
    server: Callable[..., Server], receiver: Receiver, tmp_path: Path
) -> None:
    running = server(www(receiver))
    with Load([running.port]) as load:
        for _ in range(6):
            load.wait_for(random.randrange(1, 40))
            running.kill()
            running.start()
        load.wait_for(5)
    assert_nothing_is_lost(load, receiver, tmp_path)
    assert running.stop() == 0


def test_killed_under_large_deliveries_each_is_stored_whole_or_not_at_all(
    server: Callable[..., Server], receiver: Receiver, tmp_path: Path
) -> None:
    running = server(www(receiver))
    message = "\u00e4" * 2_000_000
    with Load([running.port], senders=2, message=message) as load:
        for _ in range(3):
            load.wait_for(random.randrange(1, 4))
            running.kill()
            running.start()
        load.wait_for(1)
    assert_nothing_is_lost(load, receiver, tmp_path)
    assert {each["comments"] for each in receiver.taken} == {message}
    assert running.stop() == 0


def second_receiver(first: Server, folder: Path, text: str) -> Server:
    port = free_port()
    other = folder / "other"
    other.mkdir()
    configure(other, text, port)
    second = Server([program("change-hooks"), "serve", "hooks.cfg"], other, port)
    second.start()
    return second


def let_leases_run_out(url: str) -> None:
    """As if half a minute had passed."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE change_hooks.queues SET lease = 0")


def test_two_receivers_on_one_journal_and_one_of_them_is_killed(
    server: Callable[..., Server], receiver: Receiver, tmp_path: Path
) -> None:
    with database() as url:
        first = server(www(receiver, url))
        second = second_receiver(first, tmp_path, www(receiver, url))
        try:
            with Load([first.port, second.port]) as load:
                load.wait_for(40)
                # The first one dies with changes in its hands.
                receiver.busy.clear()
                receiver.free.clear()
                eventually(receiver.busy.is_set)
                first.kill()
                receiver.free.set()
                load.wait_for(20)
            let_leases_run_out(url)
            # A delivery wakes the dispatcher.
            assert push(second.port, "last") == 202
            load.acknowledged.append("last")

            wait_for_deliveries(tmp_path)
            stored = Counter(each["delivery"] for each in listed(tmp_path))
            assert set(load.acknowledged) <= set(stored)
            assert set(stored.values()) == {1}
            assert {key[1] for key in receiver.counted()} == set(stored)
            assert second.stop() == 0
        finally:
            second.kill() if second.process and second.process.poll() is None else None


class PostgreSQL:
    """A PostgreSQL server of the test's own, which it may restart."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        pg_ctl = str(found[-1]) if found else shutil.which("pg_ctl")
        if pg_ctl is None:
            missing("PostgreSQL's pg_ctl")
        self.pg_ctl = pg_ctl
        self.port = free_port()
        self.folder = folder
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        # It refuses to run as root.
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self.user is not None:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
            for parent in folder.parents[:3]:
                parent.chmod(parent.stat().st_mode | 0o011)
        self.run("init", "-o", "-A trust -U postgres --no-sync")

    def run(self, *arguments: str) -> None:
        user = {} if self.user is None else {"user": self.user.pw_uid, "group": self.user.pw_gid}
        subprocess.run(
            [self.pg_ctl, "-s", "-w", "-D", str(self.folder / "data"), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            **user,
        )

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self.run("-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str) -> None:
        self.run("-m", mode, "stop")


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    server = PostgreSQL(tmp_path_factory.mktemp("postgresql"))
    server.start()
    yield server
    server.stop("immediate")


def test_postgresql_is_restarted_and_crashes_under_load(
    server: Callable[..., Server], receiver: Receiver, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    running = server(www(receiver, postgresql.url))
    with Load([running.port]) as load:
        for mode in ("fast", "immediate"):
            load.wait_for(20)
            postgresql.stop(mode)
            assert push(running.port, f"refused {mode}") == 503
            postgresql.start()
        load.wait_for(20)
    assert_nothing_is_lost(load, receiver, tmp_path)
    assert running.stop() == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        missing("a file system that can be mounted")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_503_until_there_is_room_and_nothing_is_lost(
    server: Callable[..., Server], receiver: Receiver, small_disk: Path, tmp_path: Path
) -> None:
    running = server(www(receiver, f"sqlite:///{small_disk}/journal.sqlite"))
    assert push(running.port, "first") == 202
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    acknowledged = ["first"]
    refused: list[str] = []
    for number in range(200):
        status = push(running.port, str(number), commits=200)
        assert status in (202, 503)
        (acknowledged if status == 202 else refused).append(str(number))
    assert refused
    filler.unlink()
    for name in refused[:2]:
        assert push(running.port, name, commits=200) == 202
        acknowledged.append(name)
    eventually(lambda: {each["state"] for each in listed(tmp_path)} == {"delivered"})
    assert sorted(each["delivery"] for each in listed(tmp_path)) == sorted(acknowledged)
    assert {name for _, name, _ in receiver.counted()} == set(acknowledged)
    assert running.stop() == 0


def test_a_clock_that_is_set_back_and_forth_delays_nothing(
    server: Callable[..., Server], receiver: Receiver, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    command = [
        "env",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_NO_CACHE=1",
        "DONT_FAKE_MONOTONIC=1",
        program("faketime"),
        "-f",
        "+0",
        program("change-hooks"),
        "serve",
    ]
    receiver.refuses = True
    running = server(www(receiver), command=command)
    for number, jump in enumerate(("-30d", "+30d", "+0")):
        receiver.busy.clear()
        send(running.url, str(number))
        eventually(receiver.busy.is_set)
        clock.write_text(jump)
    receiver.refuses = False
    # What failed is tried again after a second or a few, not after thirty days.
    eventually(lambda: states(tmp_path) == ["delivered"] * 3)
    assert [each["revision"] for each in receiver.taken] == ["0", "1", "2"]
    # And after a restart, with another idea of the time.
    receiver.refuses = True
    clock.write_text("+30d")
    receiver.busy.clear()
    send(running.url, "3")
    eventually(receiver.busy.is_set)
    running.signal(signal.SIGTERM)
    running.wait()
    clock.write_text("-30d")
    receiver.refuses = False
    running.start()
    eventually(lambda: states(tmp_path) == ["delivered"] * 4)


def test_a_sink_that_hangs_does_not_stop_the_others(
    server: Callable[..., Server], receiver: Receiver, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sinks = {
            "hangs": {"sink": "http", "url": f"http://127.0.0.1:{silent.getsockname()[1]}/"},
            "ci": {"sink": "http", "url": receiver.url},
        }
        running = server(f"'change_hook_dialects': {{'base': True}}, 'change_hook_sinks': {sinks!r}")
        for number in range(3):
            send(running.url, str(number))
        eventually(lambda: len(receiver.taken) == 3)
        assert states(tmp_path) == ["waiting"] * 3
        # A shutdown does not wait for it either, longer than the sink's own time limit.
        running.kill()


SLOW = """
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.task import deferLater
from change_hooks import HookHandler


class Slow(HookHandler):
    async def getChanges(self, request):
        pass
        while not Path("answer").exists():
            await deferLater(reactor, 0.05)
        return [{"revision": request.content.read().decode()}], "git"

    def delivery_id(self, delivery):
        return delivery.header("X-Id")
"""


def test_what_a_killed_process_had_answered_before_it_was_done_the_next_one_finishes(
    server: Callable[..., Server], receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    sinks = {"ci": {"sink": "http", "url": receiver.url}}
    running = server(
        "'change_hook_dialects': {'slow': {'custom_class': __import__('slow').Slow}},"
        f" 'change_hook_answer_within': 0.1, 'change_hook_sinks': {sinks!r}"
    )

    def post(name: str) -> tuple[int, str]:
        return curl("-d", name, "-H", f"X-Id: {name}", f"{running.url}/slow")

    assert post("1") == (202, "accepted; its changes are still being looked up\n")
    assert states(tmp_path) == ["pending"]
    assert post("1") == (202, DUPLICATE)
    running.kill()
    running.start()
    assert post("2")[0] == 202
    (tmp_path / "answer").touch()
    eventually(lambda: states(tmp_path) == ["delivered", "delivered"])
    assert sorted(each["revision"] for each in receiver.taken) == ["1", "2"]
    assert running.stop() == 0
