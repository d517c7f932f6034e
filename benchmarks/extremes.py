"""Large bodies among small ones, memory after very many deliveries, very many pending changes, several workers:
python benchmarks/extremes.py [stall|memory|pending|workers] ...
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from load import Client, Sample, free_port, github, peak, push, run, serving, wait_for

LARGE = 25 * 1024 * 1024
#: Results that vary from run to run are medians of this many runs.
ROUNDS = 3
DELIVERIES = int(os.environ.get("BENCHMARK_DELIVERIES", "1000000"))


def large() -> bytes:
    """A push of 25 MiB: its messages are long."""
    one = push(2048)
    return one.replace(b"Closes #12", b"x" * ((LARGE - len(one)) // 2049))


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def mixed(port: int, every: float | None, seconds: float) -> Sample:
    """Small deliveries on 16 connections and, now and then, a large one on another."""
    small, big = push(1), large()
    head = github(big)  # Slow work here must not affect the measurement there.

    async def send_large() -> None:
        each = Client(port)
        await each.open()
        for number in range(int(seconds / (every or 1))):
            began = time.monotonic()
            await each.send(head + f"X-GitHub-Delivery: large-{number}-{began}\r\n".encode(), big)
            await asyncio.sleep(max(0.0, (every or 1) - (time.monotonic() - began)))
        each.close()

    larger = [send_large()] if every is not None else []
    latencies, *_ = await asyncio.gather(run(port, github(small), small, 16, seconds), *larger)
    return Sample(len(latencies) / seconds, latencies, 0.0, 0)


def stall() -> None:
    print(
        "\n| receiver | large bodies | per second | p50 (ms) | p99 (ms) | longest stall (ms) | peak (MiB) |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in ("minimal", "plain", "journal", "postgresql"):
        found: dict[str, list[tuple[float, ...]]] = {"none": [], "one a second": []}
        for _ in range(ROUNDS):
            for name, every in (("none", None), ("one a second", 1.0)):
                with serving(kind, "measure") as (port, pid):
                    sample = asyncio.run(mixed(port, every, 6.0))
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stall") as answer:
                        longest = float(answer.read())
                    p50, p99 = (sample.quantile(part) * 1000 for part in (0.5, 0.99))
                    found[name].append((sample.rate, p50, p99, longest * 1000, peak(pid) / 2**20))
        for name, samples in found.items():
            rate, p50, p99, stalled, most = map(statistics.median, zip(*samples, strict=True))
            print(
                f"| {kind} | {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {stalled:.0f} | {most:.0f} |",
                flush=True,
            )


def memory() -> None:
    body = push(1)
    print("\n| deliveries (SQLite journal) | resident (MiB) |\n| --- | --- |")
    with serving("journal") as (port, pid):
        done = 0
        for share in (0.001, 0.01, 0.1, 0.5, 1.0):
            while done < share * DELIVERIES:
                done += len(asyncio.run(run(port, github(body), body, 64, 2.0)))
            print(f"| {done} | {resident(pid) / 2**20:.0f} |", flush=True)


PENDING = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.web.http_headers import Headers
from change_hooks import Change, ChangeHookService, Delivery
from change_hooks.journal.sqlite import sqlite_journal

folder, count = Path(sys.argv[1]), int(sys.argv[2])
journal = sqlite_journal(folder / "change-hooks.sqlite", lambda function, *arguments: function(*arguments))
for first in range(0, count, 500):
    changes = [Change(repository=f"org/{number % 1000}", revision=str(number)) for number in range(first, first + 500)]
    received = Delivery(b"POST", b"/", Headers(), b"", id=str(first), dialect="base")
    journal.append(received, changes, ("sink",))
    journal.writer.run_group()
journal.writer.store.close()

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

taken = [0]

def sink(change):
    taken[0] += 1

before = resident()
hooks = ChangeHookService({"change_hook_dialects": {"base": True}}, sink=sink, base=folder)
hooks.startService()
most = [before]

def look():
    most[0] = max(most[0], resident())
    if taken[0] >= min(count, 100_000):
        print(f"{count} pending changes: {before:.0f} MiB before, {most[0]:.0f} MiB at most while 100,000 of them are delivered")
        reactor.stop()

LoopingCall(look).start(0.1)
reactor.run()
"""


def pending() -> None:
    print()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", PENDING, folder, str(DELIVERIES)], check=True)


def workers() -> None:
    body = push(1)
    print("\n| workers | connections | deliveries per second, SQLite |\n| --- | --- | --- |")
    for count in (1, 2):
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            dialects = {"github": {"secret": "a long secret", "strict": True}}
            www = {"port": f"tcp:{port}:interface=127.0.0.1", "change_hook_dialects": dialects}
            (Path(folder) / "hooks.cfg").write_text(f"c = {{'www': {www!r}}}")
            program = str(Path(sys.executable).with_name("change-hooks"))
            command = [program, "serve", "hooks.cfg", "--workers", str(count)]
            with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as server:
                try:
                    wait_for(port, server)
                    time.sleep(2)
                    for connections in (16, 64):
                        latencies = asyncio.run(run(port, github(body), body, connections, 5.0))
                        print(f"| {count} | {connections} | {len(latencies) / 5:.0f} |", flush=True)
                finally:
                    server.terminate()


PARTS = {"stall": stall, "memory": memory, "pending": pending, "workers": workers}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
