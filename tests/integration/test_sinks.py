"""Changes on their way to real programs and servers, through the journal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import Server, eventually, free_port, program
from .test_serve import curl

BUILD = """
import json, os, pathlib, sys
change = json.load(sys.stdin)
assert change["branch"] == os.environ["CHANGE_HOOK_BRANCH"]
if pathlib.Path("broken").exists():
    sys.exit("out of order")
with open("built", "a") as file:
    file.write(change["revision"] + "\\n")
"""


def send(url: str, revision: str) -> None:
    sent = ["--data-urlencode", "branch=a b; touch x", "-d", f"revision={revision}"]
    assert curl(*sent, f"{url}/base") == (202, "1 change found\n")


def states(folder: Path) -> list[str]:
    done = subprocess.run(
        [program("change-hooks"), "deliveries", "hooks.cfg", "--json"],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    )
    return [json.loads(line)["state"] for line in done.stdout.splitlines()]


def www(sinks: dict[str, Any]) -> str:
    return f"'change_hook_dialects': {{'base': True}}, 'change_hook_sinks': {sinks!r}"


def test_a_program_for_every_change_and_one_that_fails_is_run_again(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "build.py").write_text(BUILD)
    sink = {"sink": "command", "argv": [program("python"), "build.py"], "cwd": str(tmp_path)}
    running = server(www({"build": sink}))
    (tmp_path / "broken").touch()
    send(running.url, "1")
    send(running.url, "2")
    running.kill()
    (tmp_path / "broken").unlink()
    running.start()
    eventually(lambda: states(tmp_path) == ["delivered", "delivered"])
    # A run that the killed server had begun may have ended well, unrecorded: at least once, in order.
    assert list(dict.fromkeys((tmp_path / "built").read_text().split())) == ["1", "2"]
    assert not (tmp_path / "x").exists()
    assert running.stop() == 0


RECEIVER = """
import sys
from twisted.internet import reactor
from twisted.web import resource, server

class Receiver(resource.Resource):
    isLeaf = True

    def render_POST(self, request):
        with open("received", "ab") as file:
            file.write(request.content.read() + b"\\n")
        return b""

reactor.listenTCP(int(sys.argv[1]), server.Site(Receiver()), interface="127.0.0.1")
reactor.run()
"""


def test_a_server_that_is_down_gets_the_changes_when_it_is_back(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "receiver.py").write_text(RECEIVER)
    port = free_port()
    running = server(www({"ci": {"sink": "http", "url": f"http://127.0.0.1:{port}/", "secret": "s3cret"}}))
    send(running.url, "1")
    assert states(tmp_path) == ["accepted"]
    receiver = Server([program("python"), "receiver.py", str(port)], tmp_path, port)
    receiver.start()
    try:
        eventually(lambda: states(tmp_path) == ["delivered"])
    finally:
        receiver.kill()
    (line,) = (tmp_path / "received").read_text().splitlines()
    assert json.loads(line)["revision"] == "1"
    assert running.stop() == 0
