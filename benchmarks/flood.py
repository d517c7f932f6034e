"""The cost of the traces of a flood: python benchmarks/flood.py

A client sends 10,000 forged requests while others send signed pushes, to ``change-hooks serve`` with its SQLite
journal: once as it is, and once without traces of refused requests. The CPU time for the same requests shows what the
traces cost accepted deliveries, whatever else the machine does.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import time
from contextlib import closing, suppress
from pathlib import Path

from hold import SERVE, serve
from load import cpu, github, push

from change_hooks.journal.traces import GATHER

FORGED, FLOODING = 10_000, 4
ACCEPTED, PUSHING = 4_000, 16
ROUNDS = int(os.environ.get("BENCHMARK_ROUNDS", "5"))
BODY = push(1)
NOTHING_KEPT = (
    f"from change_hooks.journal.traces import Traces; Traces.add = lambda self, trace: None; {SERVE}"
)


async def send(port: int, name: str, head: bytes, *, times: int, status: bytes) -> None:
    """Send a push a number of times on one connection; each must get *status*."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(times):
        writer.write(head + f"X-GitHub-Delivery: {name}-{number}\r\n\r\n".encode() + BODY)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        assert lines[0][9:12] == status, lines[0]
        await reader.readexactly(
            next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        )
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def flood(port: int, mark: str) -> None:
    signed = github(BODY)
    forged = signed.replace(signed.partition(b"sha256=")[2][:64], b"0" * 64)
    bad = [
        send(port, f"{mark}-forged-{number}", forged, times=FORGED // FLOODING, status=b"403")
        for number in range(FLOODING)
    ]
    good = [
        send(port, f"{mark}-{number}", signed, times=ACCEPTED // PUSHING, status=b"202")
        for number in range(PUSHING)
    ]
    await asyncio.gather(*bad, *good)


def refused(journal: Path) -> int:
    """How many rows of refused requests there are."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM deliveries WHERE state = 'refused'").fetchone()
    return int(number)


def main() -> None:
    spent: dict[str, list[float]] = {"kept": [], "nothing kept": []}
    rows: dict[str, int] = {}
    for turn in range(ROUNDS):
        for name, program in (("kept", SERVE), ("nothing kept", NOTHING_KEPT)):
            with serve(program) as (port, pid, folder):
                before = cpu(pid)
                asyncio.run(flood(port, str(turn)))
                spent[name].append(cpu(pid) - before)
                # Traces of refused requests are stored a second later.
                time.sleep(2 * GATHER)
                rows[name] = refused(folder / "change-hooks.sqlite")
    kept, nothing = (statistics.median(each) for each in spent.values())
    print("\n| traces | processor for all (s) | rows of refused requests |\n| --- | --- | --- |")
    for name, seconds in spent.items():
        print(f"| {name} | {statistics.median(seconds):.2f} | {rows[name]} |")
    print(f"\nThroughput with traces, of that without: {nothing / kept:.3f}", flush=True)


if __name__ == "__main__":
    main()
