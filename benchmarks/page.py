"""The response time of the admin page with a million deliveries in the journal.

python benchmarks/page.py [DELIVERIES]
"""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from change_hooks.journal.compression import packed
from change_hooks.journal.sqlite import connect

BODY = 1500
PATHS = (
    "",
    "?before=500000",
    "?state=failed",
    "?state=ignored",
    "?repository=acme/repo-7",
    "?repository=acme/rare",
    "?endpoint=gitlab",
    "?repository=acme/*nowhere",
    "?branch=nowhere",
    "?text=nowhere",
    "?sink=build",
    "deliveries/500000",
)


def fill(path: Path, count: int) -> None:
    """Store deliveries: most delivered, some failed, some waiting, some traces."""
    random.seed(1)
    body, changes = packed(random.randbytes(BODY)), packed(b"[]")
    states = ["delivered"] * 95 + ["ignored"] * 3 + ["refused", "failed"]
    with connect(path) as database:
        database.execute("BEGIN")
        for number in range(1, count + 1):
            state = random.choice(states)
            repository = "acme/rare" if number == 17 else f"acme/repo-{number % 300}"
            trace = state in ("ignored", "refused")
            row = (
                "gitlab" if number % 5000 == 0 else "github", str(number), 1.7e9 + number, state, 202, "push",
                repository, "main", "Ann <ann@example.com>", "127.0.0.1", "" if trace else '{"build":1}',
                BODY, 0 if trace else 1, b"" if trace else b"x", b"" if trace else body.data, changes.data,
            )  # fmt: skip
            database.execute(
                "INSERT INTO deliveries (dialect, id, received, state, status, event, repository, branch, author,"
                " client, sinks, size, count, head, body, changes)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        for seq in range(count - 50_000, count, 1):
            database.execute("INSERT INTO entries (sink, repository, seq) VALUES ('slow', 'q', ?)", (seq,))
        database.execute(
            "INSERT INTO queues (sink, repository, attempts, error) VALUES ('slow', 'q', 3, 'no')"
        )
        database.execute("COMMIT")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> tuple[float, int]:
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            size = len(answer.read())
    except urllib.error.HTTPError as error:
        size = -error.code
    return (time.perf_counter() - began) * 1000, size


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with TemporaryDirectory() as folder:
        path = Path(folder, "j.sqlite")
        fill(path, count)
        print(f"{count:,} deliveries, {path.stat().st_size / 2**20:.0f} MiB")
        ports = free_port(), free_port()
        Path(folder, "hooks.cfg").write_text(
            f"c = {{'www': {{'port': 'tcp:{ports[0]}:interface=127.0.0.1', 'change_hook_admin': {{'port': {ports[1]}}},"
            " 'change_hook_journal': 'sqlite:///j.sqlite', 'change_hook_keep': None, 'change_hook_keep_trace': 10000,"
            " 'change_hook_dialects': {'github': {'secret': 'a long enough secret'}},"
            " 'change_hook_sinks': {'build': {'sink': 'command', 'argv': ['/bin/true']}}}}\n"
        )
        server = subprocess.Popen(
            [sys.executable, "-c", "from change_hooks.cli import main; main()", "serve", "hooks.cfg"],
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{ports[1]}/"
            while True:
                try:
                    first = get(f"{url}static/page.css")
                    break
                except OSError:
                    time.sleep(0.1)
            del first
            print(f"{'':28} {'first':>9} {'median of 9':>12}")
            for path_ in PATHS:
                first, *rest = (get(url + path_)[0] for _ in range(10))
                print(f"/{path_:27} {first:6.0f} ms {sorted(rest)[4]:9.0f} ms")
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()
