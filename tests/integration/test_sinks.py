"""Changes on their way to real programs and servers, through the journal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.programs import curl
from tests.support.served import send, states, www

from .conftest import Server, eventually, free_port, program

BUILD = """
import json, os, pathlib, sys
change = json.load(sys.stdin)
assert change["branch"] == os.environ["CHANGE_HOOK_BRANCH"]
if pathlib.Path("broken").exists():
    sys.exit("out of order")
with open("built", "a") as file:
    file.write(change["revision"] + "\\n")
"""


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
    assert states(tmp_path) == ["waiting"]
    receiver = Server([program("python"), "receiver.py", str(port)], tmp_path, port)
    receiver.start()
    try:
        eventually(lambda: states(tmp_path) == ["delivered"])
    finally:
        receiver.kill()
    (line,) = (tmp_path / "received").read_text().splitlines()
    assert json.loads(line)["revision"] == "1"
    assert running.stop() == 0


CLOSING = """
import socket, sys

def more(connection):
    data = connection.recv(65536)
    if not data:
        raise EOFError
    return data

def request(connection):
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        data += more(connection)
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    length = int(head.lower().split(b"content-length:")[1].split()[0])
    while len(body) < length:
        body += more(connection)
    with open("received", "ab") as file:
        file.write(body + b"\\n")

listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
number = 0
while True:
    connection, _ = listening.accept()
    number += 1
    try:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        request(connection)  # And it closes, without a word.
    except Exception:
        pass
    connection.close()
"""


def test_a_server_that_closes_kept_connections_without_a_word_is_asked_again_at_once(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "receiver.py").write_text(CLOSING)
    port = free_port()
    running = server(www({"ci": {"sink": "http", "url": f"http://127.0.0.1:{port}/", "attempts": 1}}))
    receiver = subprocess.Popen([program("python"), "receiver.py", str(port)], cwd=tmp_path)
    try:
        eventually(lambda: curl("-d", "x", f"http://127.0.0.1:{port}/")[0])
        (tmp_path / "received").unlink()
        for revision in ("1", "2", "3"):
            send(running.url, revision)
            eventually(lambda: "waiting" not in states(tmp_path))
        assert states(tmp_path) == ["delivered"] * 3  # Although one failure would be the end.
    finally:
        receiver.kill()
        receiver.wait()
    revisions = [json.loads(line)["revision"] for line in (tmp_path / "received").read_text().splitlines()]
    assert list(dict.fromkeys(revisions)) == ["1", "2", "3"]
    assert len(revisions) > 3  # What got no answer came twice.
    assert running.stop() == 0
