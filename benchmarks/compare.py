"""Deliveries per second, as ratios to a minimal receiver: python benchmarks/compare.py

Each receiver runs in a process of its own on one core, the load on another, in turn, several rounds.
Every delivery has an id of its own and is signed with SHA-256.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = ("minimal", "plain", "journal")
COMMITS = (1, 20, 2048)
CONNECTIONS = (16, 64)
ROUNDS = 3
SECONDS = 1.5
SECRET = b"a long secret"
HERE = Path(__file__).parent


def push(commits: int) -> bytes:
    payload = json.loads((HERE.parent / "docs/examples/payloads/github.json").read_text())
    (commit,) = payload["commits"]
    payload["commits"] = [{**commit, "id": f"{number:040x}"} for number in range(commits)]
    return json.dumps(payload, ensure_ascii=False).encode()


async def client(port: int, head: bytes, body: bytes, name: str, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    while time.monotonic() < end:
        writer.write(head + f"X-GitHub-Delivery: {name}-{done}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(answer.decode())
        lines = answer.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        done += 1
    writer.close()
    return done


async def load(port: int, body: bytes, connections: int) -> float:
    signature = hmac.digest(SECRET, body, "sha256").hex()
    head = (
        "POST /change_hook/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\n"
    ).encode()
    begin = time.monotonic()
    end = begin + SECONDS
    run = f"{os.getpid()}-{begin}"
    clients = [client(port, head, body, f"{run}-{number}", end) for number in range(connections)]
    done = await asyncio.gather(*clients)
    return sum(done) / (time.monotonic() - begin)


def measure(kind: str, body: bytes, connections: int) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "servers.py"), kind, str(port), folder]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
            if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
                os.sched_setaffinity(server.pid, {0})
                os.sched_setaffinity(0, {1})
            try:
                wait_for(port)
                return asyncio.run(load(port, body, connections))
            finally:
                server.kill()


def wait_for(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def main() -> None:
    print("| commits | connections | minimal, per second | without journal | with the SQLite journal |")
    print("| --- | --- | --- | --- | --- |")
    for commits in COMMITS:
        body = push(commits)
        for connections in CONNECTIONS:
            rounds = [{kind: measure(kind, body, connections) for kind in KINDS} for _ in range(ROUNDS)]
            ratios = [
                statistics.median(each[kind] / each["minimal"] for each in rounds) for kind in KINDS[1:]
            ]
            minimal = statistics.median(each["minimal"] for each in rounds)
            row = [str(commits), str(connections), f"{minimal:.0f}", *(f"{ratio:.2f}" for ratio in ratios)]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
