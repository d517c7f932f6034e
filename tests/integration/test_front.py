"""The HTTP front with real programs on the other side."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import curl
from tests.support.served import BASE, printed, stored

from .conftest import PATIENCE, Server, configure, eventually, free_port, program

REQUEST = b"POST /change_hook/base HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}
    {frontend}
    default_backend hooks
backend hooks
    server hooks 127.0.0.1:{to} {server}
"""


def clients(folder: Path) -> list[str]:
    """The senders of all deliveries, the latest first."""
    return [line["client"] for line in printed(folder, "deliveries")]


@contextmanager
def serving(folder: Path, endpoint: str, www: str = BASE) -> Iterator[Server]:
    port = free_port()
    configure(folder, www, port, endpoint)
    running = Server([program("change-hooks"), "serve", "hooks.cfg"], folder, port)
    running.start()
    try:
        yield running
    finally:
        assert running.stop() == 0


@contextmanager
def haproxy(folder: Path, to: int, *, frontend: str = "", server: str = "") -> Iterator[str]:
    port = free_port()
    (folder / "haproxy.cfg").write_text(HAPROXY.format(port=port, to=to, frontend=frontend, server=server))
    with subprocess.Popen([program("haproxy"), "-f", "haproxy.cfg"], cwd=folder) as running:
        try:
            url = f"http://127.0.0.1:{port}/change_hook"
            eventually(lambda: curl(url)[0])
            yield url
        finally:
            running.terminate()


def answer(port: int, *sent: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        for each in sent:
            connection.sendall(each)
        while data := connection.recv(65536):
            received += data
    return received


V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 127, 0, 0, 1]) + b"\x1f\x90\0\x50"


@pytest.mark.parametrize(
    ("header", "client"),
    [(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", "192.0.2.7"), (V2, "192.0.2.7")],
)
def test_an_endpoint_speaks_proxy_protocol(header: bytes, client: str, tmp_path: Path) -> None:
    with serving(tmp_path, "haproxy:tcp:{port}:interface=127.0.0.1") as running:
        assert answer(running.port, header, REQUEST.replace(b"base", b"base?revision=1")).startswith(
            b"HTTP/1.1 202"
        )
        assert answer(running.port, header + REQUEST.replace(b"base", b"base?revision=2")).startswith(
            b"HTTP/1.1 202"
        )
        assert answer(running.port, REQUEST) == b""
        eventually(lambda: running.log.read_text().count(f"from {client}: 202") == 2)
    assert clients(tmp_path) == [client, client]


def test_behind_a_real_haproxy_with_proxy_protocol(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "haproxy:tcp:{port}:interface=127.0.0.1") as running,
        haproxy(tmp_path, running.port, server="send-proxy-v2") as url,
    ):
        assert curl("-d", "revision=1", f"{url}/base")[0] == 202
    assert clients(tmp_path)[0] == "127.0.0.1"


def test_behind_a_real_haproxy_with_a_header(tmp_path: Path) -> None:
    www = BASE + ", 'change_hook_trusted_proxies': ['127.0.0.1']"
    with (
        serving(tmp_path, "tcp:{port}:interface=127.0.0.1", www) as running,
        haproxy(tmp_path, running.port, frontend="http-request add-header X-Forwarded-For 192.0.2.7") as url,
    ):
        forged = ["-H", "X-Forwarded-For: 198.51.100.1"]
        assert curl("-d", "revision=1", *forged, f"{url}/base")[0] == 202
    assert clients(tmp_path)[0] == "192.0.2.7"


def test_the_target_in_absolute_form_and_doubled_slashes(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(BASE)
    url = f"http://127.0.0.1:{running.port}"
    # Through a proxy, curl sends the target in absolute form.
    through = ["--proxy", url, "-d", "revision=1", "http://ci.example.com/change_hook/base"]
    assert curl(*through)[0] == 202
    assert curl("-d", "revision=2", "--path-as-is", f"{url}//change_hook//base")[0] == 202
    assert [change["revision"] for change in stored(tmp_path)] == ["1", "2"]


def test_a_header_over_16_kb_is_431_and_a_line_in_the_log(server: Callable[..., Server]) -> None:
    running = server(BASE)
    status, text = curl("-d", "revision=1", "-H", "X-Long: " + "x" * 17_000, f"{running.url}/base")
    assert (status, text) == (431, "the request line and headers are over 16384 bytes\n")
    # The line is written after the answer.
    eventually(lambda: re.search(r"base - from 127.0.0.1: 431 ", running.log.read_text()))


def test_a_large_body_is_taken_in_chunks_and_with_an_upgrade(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(BASE)
    large = tmp_path / "large"
    large.write_text("revision=1&comments=" + "x" * 5_000_000)
    form = ["-H", "Content-Type: application/x-www-form-urlencoded", "--data-binary", f"@{large}"]
    for more in ([], ["-H", "Transfer-Encoding: chunked"], ["--http2"], ["--http1.0"]):
        assert curl(*form, *more, f"{running.url}/base")[0] == 202
    assert len(stored(tmp_path)) == 4


def test_what_is_refused_before_its_body_is_read_by_a_client_that_sends_on(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    github: dict[str, Any] = {"github": {"secret": "a long enough secret", "strict": True}}
    running = server(f"'change_hook_dialects': {github}")
    large = tmp_path / "large"
    large.write_bytes(b"x" * 20_000_000)
    for path, status in (("github", 403), ("nothing", 404)):
        assert curl("--data-binary", f"@{large}", "-H", "Expect:", f"{running.url}/{path}")[0] == status


def test_a_client_that_never_reads_is_not_read(server: Callable[..., Server]) -> None:
    running = server(BASE)
    # Of larger ones, not so many come at once that the connection is closed behind them.
    request = b"POST /change_hook/nothing HTTP/1.1\r\nHost: x\r\nX-Filler: %b\r\n\r\n" % (b"x" * 5000)
    sent = 0
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(3)
        with pytest.raises((TimeoutError, ConnectionError)):
            while sent < 400_000_000:
                sent += connection.send(request * 100)
        assert curl("-d", "revision=1", f"{running.url}/base")[0] == 202
    assert 0 < sent < 200_000_000
