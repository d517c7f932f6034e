"""The server as its operators run it: a process, real sockets, signals."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from change_hooks.core.verification import sign_hmac
from tests.support.served import BASE, PUSH, stored

from ..support.programs import curl
from .conftest import PATIENCE, Server, configure, eventually, free_port, program

SECRET = "a long enough secret"
COUNTING = """
import gc
from change_hooks import HookHandler


class Counting(HookHandler):
    def getChanges(self, request):
        return [{"revision": str(gc.get_freeze_count())}], None
"""


def test_what_is_there_at_the_start_is_not_looked_through_again(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    running = server("'change_hook_dialects': {'x': {'custom_class': __import__('counting').Counting}}")
    assert curl("-d", "x", f"{running.url}/x")[0] == 202
    assert int(stored(tmp_path)[0]["revision"]) > 10_000


def test_a_change_sent_with_curl_is_printed_and_survives_kill_9(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(BASE)
    sent = [
        "-d",
        "revision=1c9f",
        "--data-urlencode",
        "author=\u00c4nn <ann@example.com>",
        "-d",
        'files=["a.c"]',
    ]
    assert curl(*sent, f"{running.url}/base") == (202, "1 change found\n")
    running.kill()
    (change,) = stored(tmp_path)
    assert (change["revision"], change["author"], change["files"]) == (
        "1c9f",
        "\u00c4nn <ann@example.com>",
        ["a.c"],
    )
    running.start()
    assert curl("-F", "revision=2", f"{running.url}/base") == (202, "1 change found\n")
    assert [change["revision"] for change in stored(tmp_path)] == ["1c9f", "2"]
    assert running.stop() == 0


def test_sigterm_answers_what_is_in_flight(server: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "from pathlib import Path\n"
        "from twisted.internet import reactor\n"
        "from twisted.internet.task import deferLater\n"
        "from change_hooks import HookHandler\n"
        "class Slow(HookHandler):\n"
        "    async def getChanges(self, request):\n"
        "        Path('started').touch()\n"
        "        while not Path('go').exists():\n"
        "            await deferLater(reactor, 0.01)\n"
        "        return [{'revision': 'slow'}], None\n"
    )
    running = server("'change_hook_dialects': {'slow': {'custom_class': __import__('slow').Slow}}")
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as connection:
        connection.sendall(b"POST /change_hook/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        eventually((tmp_path / "started").exists)
        running.signal(signal.SIGTERM)
        eventually(lambda: "stopped listening" in running.log.read_text())
        (tmp_path / "go").touch()
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 Accepted")
    assert running.wait() == 0
    assert [change["revision"] for change in stored(tmp_path)] == ["slow"]


def signed(secret: str, url: str) -> int:
    header = "X-Hub-Signature-256: " + sign_hmac(b"revision=1", secret.encode())
    return curl("-d", "revision=1", "-H", header, f"{url}/base")[0]


def test_sighup_reads_the_configuration_again(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server("'change_hook_dialects': {'base': {'secret': 'old'}}")
    assert signed("old", running.url) == 202
    configure(tmp_path, "'change_hook_dialects': {'base': {'secret': 'new'}}", running.port)
    running.signal(signal.SIGHUP)
    eventually(lambda: "reconfigured" in running.log.read_text())
    assert (signed("old", running.url), signed("new", running.url)) == (403, 202)
    (tmp_path / "hooks.cfg").write_text("c = nonsense")
    running.signal(signal.SIGHUP)
    eventually(lambda: "not reconfigured" in running.log.read_text())
    assert signed("new", running.url) == 202


def test_a_body_over_the_cap_is_refused_while_it_is_sent(server: Callable[..., Server]) -> None:
    running = server(BASE + ", 'change_hook_max_body': 1000")
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as connection:
        connection.sendall(b"POST /change_hook/base HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        answer = b""
        while received := connection.recv(1000):
            answer += received
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert curl("-d", "revision=1", f"{running.url}/base")[0] == 202


def test_a_large_delivery_that_a_thread_works_on_is_finished_when_the_server_ends(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "secret.py").write_text(
        "from pathlib import Path\n"
        "def secret(delivery):\n"
        "    Path('started').touch()\n"
        f"    return {SECRET!r}\n"
    )
    running = server(
        "'change_hook_dialects': {'github': {'secret': __import__('secret').secret, 'strict': True}}"
    )
    commit = {**PUSH["commits"][0], "message": "x" * 500}
    commits = [{**commit, "id": f"{number:040x}"} for number in range(19_000)]
    body = json.dumps({**PUSH, "after": commits[-1]["id"], "commits": commits}).encode()
    head = (
        "POST /change_hook/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "X-GitHub-Event: push\r\nX-GitHub-Delivery: large\r\n"
        f"X-Hub-Signature-256: {sign_hmac(body, SECRET.encode())}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as connection:
        connection.sendall(head.encode() + body)
        # It has been received, and is verified, decoded and turned into changes from now on.
        eventually((tmp_path / "started").exists, every=0.001)
        running.signal(signal.SIGTERM)
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 Accepted")
    assert running.wait() == 0
    assert "Traceback" not in running.log.read_text()
    assert len(stored(tmp_path)) == len(commits)


def test_the_log_has_one_line_per_delivery_as_json(server: Callable[..., Server]) -> None:
    running = server(BASE, options=("--log-format", "json"))
    curl("-d", "revision=1&comments=sentinel", f"{running.url}/base?project=sentinel")
    assert running.stop() == 0
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    (line,) = [line for line in lines if "status" in line]
    assert (line["dialect"], line["status"], line["changes"], line["client"]) == ("base", 202, 1, "127.0.0.1")
    assert "sentinel" not in running.log.read_text()


def test_the_twisted_plugin_is_the_same_server(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(BASE, command=[program("twist"), "change-hooks"])
    assert curl("-d", "revision=1", f"{running.url}/base")[0] == 202
    # twist ends itself with the signal that it was sent, once all is done.
    assert running.stop() in (0, -signal.SIGTERM)
    assert len(stored(tmp_path)) == 1


def test_a_wrong_configuration_is_said_by_both(tmp_path: Path) -> None:
    (tmp_path / "hooks.cfg").write_text("c = {'www': {'change_hook_dialects': {'bas': True}}}")
    for command in ([program("change-hooks"), "serve"], [program("twist"), "change-hooks"]):
        done = subprocess.run(
            [*command, "hooks.cfg"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode != 0
        assert "did you mean 'base'" in done.stderr + done.stdout


@pytest.mark.parametrize("command", [["change-hooks", "serve"], ["twist", "change-hooks"]])
def test_a_port_that_is_taken_ends_it(command: list[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        configure(tmp_path, BASE, taken.getsockname()[1])
        done = subprocess.run(
            [program(command[0]), *command[1:], "hooks.cfg"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert "Address already in use" in done.stderr + done.stdout
    if command[0] == "change-hooks":
        assert done.returncode == 1


def test_it_serves_tls(server: Callable[..., Server], tmp_path: Path) -> None:
    subprocess.run(
        [
            program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2",
        ],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    configure(tmp_path, BASE, port, "ssl:{port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1")
    running = Server([program("change-hooks"), "serve", "hooks.cfg"], tmp_path, port)
    running.start()
    try:
        url = f"https://127.0.0.1:{port}/change_hook/base"
        assert curl("--cacert", str(tmp_path / "cert.pem"), "-d", "revision=1", url) == (
            202,
            "1 change found\n",
        )
        too_large = tmp_path / "large"
        too_large.write_bytes(b"x" * 30_000_000)
        arguments = ["--cacert", str(tmp_path / "cert.pem"), "--data-binary", f"@{too_large}", url]
        assert curl(*arguments)[0] == 413
    finally:
        assert running.stop() == 0


def test_changes_follows(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(BASE)
    curl("-d", "revision=1", f"{running.url}/base")
    with subprocess.Popen(
        [program("change-hooks"), "changes", "hooks.cfg", "--json", "--follow"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    ) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["revision"] == "1"
        curl("-d", "revision=2", f"{running.url}/base")
        assert json.loads(following.stdout.readline())["revision"] == "2"
        following.terminate()


def test_importing_it_installs_no_reactor() -> None:
    check = "import sys, change_hooks; assert 'twisted.internet.reactor' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
