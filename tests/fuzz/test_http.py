"""Raw HTTP against a real server: every request is answered or cut off, none breaks anything."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.programs import Server, servers

from .targets import RUNS, SEED, mutated

WWW = """
    'change_hook_dialects': {'base': {'allow_get': True}, 'github': {'secret': 'a long enough secret'}},
    'change_hook_max_body': 100000,
"""
REQUESTS = (
    b"POST /change_hook/base HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16\r\n"
    b'Connection: close\r\n\r\n{"revision":"1"}',
    b"POST /change_hook/github?project=x HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nTransfer-Encoding: chunked\r\n"
    b"Connection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"GET /change_hook/base?revision=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"POST /change_hook/base HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: 67\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="revision"\r\n\r\n1\r\n--x--\r\n',
)
#: What readers of HTTP disagree about.
MARKS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b"\xff",
        b" ",
        b"\t",
        b":",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
    ),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Host: y\r\n",
        b"0\r\n\r\n",
    ),
    *(
        b"ffffffffffffffff\r\n",
        b"5;x=y\r\n",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"http://u:p@x/",
        b"//",
        b"%2e%2e",
        b"*",
    ),
    *(b"A: " + b"a" * 20000 + b"\r\n", b"Content-Encoding: gzip\r\n", b"Expect: x\r\n", b"Upgrade: h2c\r\n"),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    with servers(tmp_path) as start:
        yield start


def exchanged(port: int, request: bytes, cut: int, patience: float = 0.2) -> bytes:
    """What is answered to a request that is sent in two parts.

    :param patience: how long to wait for an answer, in seconds; a request may lack its end.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.settimeout(patience)
        try:
            connection.sendall(request[:cut])
            connection.sendall(request[cut:])
            while part := connection.recv(65536):
                answer += part
        except (ConnectionError, TimeoutError):
            pass
    return answer


def test_no_request_breaks_a_server(server: Callable[..., Server]) -> None:
    running = server(WWW)
    random = Random(SEED)
    for _ in range(RUNS // 6):
        request = random.choice(REQUESTS)
        for _ in range(random.choice((1, 1, 2))):
            place = random.randrange(len(request))
            request = request[:place] + random.choice(MARKS) + request[place + random.choice((0, 0, 1, 8)) :]
        if random.random() < 0.3:
            request = mutated(random, request)
        answer = exchanged(running.port, request, random.randrange(len(request) + 1))
        for line in answer.split(b"\r\n"):
            assert not line.startswith(b"HTTP/1.1 5"), (request, answer)
    assert exchanged(running.port, REQUESTS[0], 10, patience=10).startswith(b"HTTP/1.1 202")
    assert running.stop() == 0
    log = running.log.read_text()
    assert "Traceback" not in log
    assert "incident" not in log
    assert "Unhandled" not in log
