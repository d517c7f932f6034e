"""Changes with odd values, on their way to every kind of sink: each arrives, and so does the next one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pika
import pytest

from tests.support.programs import curl
from tests.support.served import printed

from ..support.services import AMQP, missing
from .conftest import Server, eventually, program

PROGRAM = """
import json, sys
change = json.load(sys.stdin)
print(json.dumps([change["revision"], len(change["comments"]), len(change["files"])]))
"""

#: What is sent.
POISON: dict[str, dict[str, str]] = {
    "long-branch": {"branch": "b" * 300},
    "nul": {"branch": "a\0b", "comments": "\0", "author": "\0"},
    "lines": {"branch": "a\r\nX-Injected: y", "revlink": "https://x/\r\n\r\n"},
    "empty": {"branch": "", "comments": "", "author": "", "repository": ""},
    "wide": {"branch": "\u2603 \U0001f600 %\"';|&", "author": "\u202e\x1b[31m"},
    "large": {"comments": "x" * 10_000_000},
    "files": {"files": json.dumps([f"f/{number}/\u00e9" for number in range(10_000)])},
    "numbers": {"properties": json.dumps({"n": 2**70, "deep": [[[{"a": -(10**40)}]]], "f": 1e308})},
    "property": {"properties": json.dumps({"\n=\0": "\u2028", "": None, "x" * 5000: "y" * 200_000})},
    "past": {"when_timestamp": "0"},
    "future": {"when_timestamp": "253402300799"},
}


class Recording(ThreadingHTTPServer):
    """Keeps the bodies that are posted to each path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: dict[str, list[bytes]] = {}


class Handler(BaseHTTPRequestHandler):
    server: Recording

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert "X-Injected" not in self.headers
        self.server.bodies.setdefault(self.path, []).append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def recording() -> Iterator[Recording]:
    with Recording() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def exchange() -> Iterator[str]:
    if not AMQP:
        missing("RabbitMQ, which CHANGE_HOOKS_TEST_AMQP has to name,")
    name = f"change_hooks_{uuid4().hex}"
    with pika.BlockingConnection(pika.URLParameters(AMQP)) as connection:
        channel = connection.channel()
        channel.exchange_declare(name, exchange_type="topic", durable=True)
        yield name
        channel.exchange_delete(name)


def sinks(address: str, exchange: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "program": {"sink": "command", "argv": [program("python"), "program.py"], "attempts": 1},
        "program-each": {
            "sink": "command",
            "argv": [program("python"), "program.py"],
            "attempts": 1,
            "per": "change",
        },
        "forward": {"sink": "forward", "url": f"{address}/forward", "attempts": 2},
    }
    for how in ("change", "cloudevents", "cloudevents-structured"):
        found[f"http-{how}"] = {
            "sink": "http",
            "url": f"{address}/http-{how}",
            "format": how,
            "attempts": 2,
        }
        found[f"amqp-{how}"] = {
            "sink": "amqp",
            "url": AMQP,
            "exchange": exchange,
            "format": how,
            "mandatory": False,
            "attempts": 2,
        }
    return found


def deliveries(folder: Path) -> list[dict[str, Any]]:
    return printed(folder, "deliveries", "--limit", "1000")


def test_each_arrives_and_the_next_one_follows(
    server: Callable[..., Server], recording: Recording, exchange: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    address = f"http://127.0.0.1:{recording.server_address[1]}"
    configured = sinks(address, exchange)
    running = server(f"'change_hook_dialects': {{'base': True}}, 'change_hook_sinks': {configured!r}")
    expected = []
    for name, fields in POISON.items():
        (tmp_path / "body").write_text(urlencode({"revision": name, "repository": "r", **fields}))
        answer = curl("--data-binary", f"@{tmp_path / 'body'}", f"{running.url}/base")
        assert answer == (202, "1 change found\n"), name
        assert curl("-d", f"revision=after-{name}&repository=r", f"{running.url}/base")[0] == 202
        expected += [name, f"after-{name}"]
    eventually(lambda: {each["state"] for each in deliveries(tmp_path)} == {"delivered"}, every=0.5)
    for each in deliveries(tmp_path):
        assert each["sinks"] == dict.fromkeys(configured, "taken"), each
    changes = [json.loads(body) for body in recording.bodies["/http-change"]]
    # Those with another repository have a queue of their own.
    assert [change["revision"] for change in changes if change["repository"]] == [
        name for name in expected if name != "empty"
    ]
    found = {change["revision"]: change for change in changes}
    assert set(found) == set(expected)
    assert found["nul"]["branch"] == "a\0b"
    assert found["lines"]["branch"] == "a\r\nX-Injected: y"
    assert len(found["large"]["comments"]) == 10_000_000
    assert len(found["files"]["files"]) == 10_000
    assert found["numbers"]["properties"]["n"] == 2**70
    events = [json.loads(body) for body in recording.bodies["/http-cloudevents-structured"]]
    assert {event["data"]["revision"]: event["data"] for event in events} == found
    assert len(recording.bodies["/forward"]) == len(recording.bodies["/http-cloudevents"]) == len(expected)
    assert running.stop() == 0
