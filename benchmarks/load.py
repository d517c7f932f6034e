"""Runs servers in separate processes on one core, and generates load for them on another."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from drive import drive
from servers import SECRET

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
PIECE = 128 * 1024


@dataclass
class Sample:
    """A measurement, in seconds and bytes."""

    rate: float
    latencies: list[float]
    cpu: float
    peak: int

    def quantile(self, part: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def push(commits: int) -> bytes:
    payload = json.loads((HERE.parent / "tests/recorded/github/push__one_commit.json").read_text())
    (commit,) = payload["commits"]
    payload["commits"] = [{**commit, "id": f"{number:040x}"} for number in range(1, commits + 1)]
    payload["head_commit"] = payload["commits"][-1]
    payload["after"] = payload["head_commit"]["id"]
    return json.dumps(payload, ensure_ascii=False).encode()


def github(body: bytes) -> bytes:
    """The head of a delivery, without its id."""
    sha256 = hmac.digest(SECRET.encode(), body, "sha256").hex()
    sha1 = hmac.digest(SECRET.encode(), body, "sha1").hex()
    return (
        "POST /change_hook/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={sha256}\r\nX-Hub-Signature: sha1={sha1}\r\n"
        f"Content-Length: {len(body)}\r\n"
    ).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    while True:
        if server.poll() is not None:
            raise RuntimeError("the server ended")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def apart(pid: int) -> None:
    """The server, all its threads, on the first core, the load on the second."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {0})
        os.sched_setaffinity(0, {1})


@contextmanager
def serving(kind: str, *more: str) -> Iterator[tuple[int, int]]:
    """The port and the process of a server."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, database(kind, Path(folder)):
        name, *own = kind.split("+")
        command = [sys.executable, str(HERE / "servers.py"), name, str(port), folder, *own, *more]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
            try:
                wait_for(port, server)
                apart(server.pid)
                yield port, server.pid
            finally:
                server.kill()


@contextmanager
def database(kind: str, folder: Path) -> Iterator[None]:
    if kind != "postgresql":
        yield
        return
    import psycopg

    url = os.environ.get("BENCHMARK_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS change_hooks_benchmark WITH (FORCE)")
        admin.execute("CREATE DATABASE change_hooks_benchmark")
        (folder / "url").write_text(f"{url.rpartition('/')[0]}/change_hooks_benchmark")
        yield
        admin.execute("DROP DATABASE change_hooks_benchmark WITH (FORCE)")


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


class Client:
    """One persistent connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def send(self, head: bytes, body: bytes) -> float:
        """Send a delivery, and return how long the response took."""
        began = time.monotonic()
        self._writer.write(head + b"\r\n")
        # In pieces, to measure how long the others wait for the server, not for this program.
        for start in range(0, len(body), PIECE):
            self._writer.write(body[start : start + PIECE])
            await self._writer.drain()
        answer = await self._reader.readuntil(b"\r\n\r\n")
        if answer[9:12] not in (b"202", b"200"):
            raise RuntimeError(answer.decode())
        lines = answer.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
        if length is None:
            await self._reader.readuntil(b"0\r\n\r\n")
        else:
            await self._reader.readexactly(length)
        return time.monotonic() - began

    def close(self) -> None:
        self._writer.close()


async def run(port: int, head: bytes, body: bytes, connections: int, seconds: float) -> list[float]:
    """Send as fast as the responses arrive, and return the latencies."""
    begun = time.monotonic()
    mark = f"{os.getpid()}-{begun}"

    async def client(number: int) -> list[float]:
        each = Client(port)
        await each.open()
        latencies = []
        while time.monotonic() < begun + seconds:
            name = f"X-GitHub-Delivery: {mark}-{number}-{len(latencies)}\r\n".encode()
            latencies.append(await each.send(head + name, body))
        each.close()
        return latencies

    return [each for some in await asyncio.gather(*map(client, range(connections))) for each in some]


def measure(
    kinds: Sequence[str], head: bytes, body: bytes, connections: int, *, rounds: int, seconds: float
) -> dict[str, list[Sample]]:
    """Load several servers in turn, for a number of seconds each time.

    All of them run all the time, so that the compared measurements are close in time.
    """
    samples: dict[str, list[Sample]] = {kind: [] for kind in kinds}
    with ExitStack() as servers:
        at = {kind: servers.enter_context(serving(kind)) for kind in kinds}
        for port, _ in at.values():
            drive(port, head, body, connections, seconds)
        for _ in range(rounds):
            for kind, (port, pid) in at.items():
                before, began = cpu(pid), time.monotonic()
                latencies = drive(port, head, body, connections, seconds)
                rate = len(latencies) / (time.monotonic() - began)
                samples[kind].append(Sample(rate, latencies, (cpu(pid) - before) / len(latencies), peak(pid)))
    return samples
