"""How much one client can block: python benchmarks/hold.py [unread|announced|commits] ...

unread: one client sends requests and never reads a response. announced: clients announce the largest body, send nearly
all of it, and then almost nothing. commits: pushes with as many commits as a delivery may have. Each runs against
``change-hooks serve`` in a process of its own. To measure another version, put its folder first:
PYTHONPATH=/other/version python benchmarks/hold.py
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from load import free_port, github, peak, push, wait_for
from servers import SECRET

SECONDS = float(os.environ.get("BENCHMARK_SECONDS", "60"))
LARGEST = 25 * 1024 * 1024
CLIENTS = 9
SERVE = "from change_hooks.cli import main; main()"


@contextmanager
def serve(program: str = SERVE) -> Iterator[tuple[int, int, Path]]:
    """The port, the process and the folder of a server."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        dialects = {"github": {"secret": SECRET, "strict": True}}
        www = {"port": f"tcp:{port}:interface=127.0.0.1", "change_hook_dialects": dialects}
        (Path(folder) / "hooks.cfg").write_text(f"c = {{'www': {www!r}}}")
        command = [sys.executable, "-c", program, "serve", "hooks.cfg"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(port, server)
                yield port, server.pid, Path(folder)
            finally:
                server.kill()


def deliver(port: int, body: bytes, name: str) -> str:
    """Send a signed push on a connection of its own; the status, or what happened instead."""
    head = github(body) + f"X-GitHub-Delivery: {name}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            with suppress(ConnectionError):
                connection.sendall(head + body)
            return connection.recv(12)[9:12].decode() or "closed"
    except OSError as error:
        return type(error).__name__


def unread() -> None:
    """The peak memory of a server whose responses one client does not read."""
    request = b"GET /change_hook/nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 500
    with serve() as (port, pid, _):
        before, sent, began = peak(pid), 0, time.monotonic()
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.settimeout(1)
            while time.monotonic() - began < SECONDS:
                try:
                    sent += connection.send(request)
                except TimeoutError:
                    continue
                except OSError:
                    break
        lasted, status = time.monotonic() - began, deliver(port, push(1), "after")
        grown = (peak(pid) - before) / 2**20
    print("\n| requests sent, never read | for (s) | peak grows by (MiB) | a signed push afterwards |")
    print("| --- | --- | --- | --- |")
    print(f"| {sent / 2**20:.0f} MiB | {lasted:.0f} | {grown:.0f} | {status} |", flush=True)


def hold(port: int, until: float) -> None:
    """Announce the largest body, send nearly all of it, then occasional bytes; start again when disconnected."""
    head = github(b"x")[: -len("Content-Length: 1\r\n")] + f"Content-Length: {LARGEST}\r\n\r\n".encode()
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(head + b"x" * (LARGEST - 64))
            while time.monotonic() < until:
                connection.sendall(b"x")
                time.sleep(1)


def announced() -> None:
    """The responses to signed pushes meanwhile."""
    small, large = push(1), push(2048)
    with serve() as (port, pid, _):
        until = time.monotonic() + SECONDS
        threads = [Thread(target=hold, args=(port, until), daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(5)
        outcomes: dict[str, Counter[str]] = {"small": Counter(), "large": Counter()}
        number = 0
        while time.monotonic() < until:
            for kind, body in (("small", small), ("large", large)):
                outcomes[kind][deliver(port, body, f"{kind}-{number}")] += 1
            number += 1
            time.sleep(0.5)
        most = peak(pid) / 2**20
    print(
        f"\n| signed pushes while {CLIENTS} clients hold {LARGEST >> 20} MiB each | answers |\n| --- | --- |"
    )
    for kind, counted in outcomes.items():
        size = len({"small": small, "large": large}[kind])
        print(f"| {size / 1024:.0f} KiB | {', '.join(f'{status}: {n}' for status, n in counted.items())} |")
    print(f"| peak of the server | {most:.0f} MiB |", flush=True)


def commits() -> None:
    """How long a signed push of one commit waits while one with 19,999 is processed: as documented, with a field of the
    wrong type in one commit, and with a lone surrogate in one commit.
    """
    small, plain = push(1), push(19_999)
    number = plain.index(b'"message": "', len(plain) // 2)
    wrong = plain[:number] + b'"message": 1, "x": "' + plain[number + len(b'"message": "') :]
    lone = plain[:number] + b'"message": "\\ud800' + plain[number + len(b'"message": "') :]
    print(
        "\n| 19,999 commits | answered after (ms) | longest wait of a small push (ms) |\n| --- | --- | --- |"
    )
    with serve() as (port, _, _):
        for name, body in {"as documented": plain, "a wrong type": wrong, "a lone surrogate": lone}.items():
            answers: list[tuple[str, float]] = []
            began = time.monotonic()

            def send(body: bytes = body, name: str = name, answers: list[Any] = answers) -> None:
                answers.append((deliver(port, body, name.replace(" ", "-")), time.monotonic()))

            large = Thread(target=send)
            large.start()
            longest = 0.0
            while large.is_alive():
                since = time.monotonic()
                deliver(port, small, f"small-{since}")
                longest = max(longest, time.monotonic() - since)
            ((status, ended),) = answers
            print(f"| {name}: {status} | {(ended - began) * 1000:.0f} | {longest * 1000:.0f} |", flush=True)


PARTS = {"unread": unread, "announced": announced, "commits": commits}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
