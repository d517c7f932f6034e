"""Requests to a forge's API over a real socket, with TLS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from change_hooks.core.verification import sign_hmac
from tests.support.payloads import GITHUB_PULL_REQUEST
from tests.support.programs import curl
from tests.support.served import stored

from .conftest import Server, free_port, program

API = """
import json, sys
from twisted.internet import endpoints, reactor
from twisted.web import resource, server

class Api(resource.Resource):
    isLeaf = True

    def render_GET(self, request):
        if b"/commits/" in request.path:
            return json.dumps({"commit": {"message": "hello"}}).encode()
        assert request.getHeader(b"authorization") == b"token t0ken"
        return json.dumps([{"filename": "a.c"}]).encode()

endpoints.serverFromString(reactor, sys.argv[1]).listen(server.Site(Api()))
reactor.run()
"""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Server]:
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (tmp_path / "api.py").write_text(API)
    port = free_port()
    endpoint = f"ssl:{port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1"
    running = Server([program("python"), "api.py", endpoint], tmp_path, port)
    running.start()
    yield running
    running.kill()


@pytest.mark.parametrize(("verify", "files"), [(False, ["a.c"]), (True, [])])
def test_a_certificate_is_looked_at_unless_verify_is_false(
    api: Server, server: Callable[..., Server], tmp_path: Path, verify: bool, files: list[str]
) -> None:
    options: dict[str, Any] = {
        "secret": "s3cret",
        "strict": True,
        "token": "t0ken",
        "verify": verify,
        "github_api_endpoint": f"https://localhost:{api.port}",
    }
    running = server(f"'change_hook_dialects': {{'github': {options!r}}}")
    body = json.dumps(GITHUB_PULL_REQUEST)
    assert curl(
        *("-H", "Content-Type: application/json", "-H", "X-GitHub-Event: pull_request"),
        *("-H", f"X-Hub-Signature-256: {sign_hmac(body.encode(), b's3cret')}"),
        *("--data-binary", body, f"{running.url}/github"),
    ) == (202, "1 change found\n")
    assert running.stop() == 0
    (change,) = stored(tmp_path)
    assert change["files"] == files
    assert change["properties"].get("change_hook_missing", []) == ([] if files else ["files"])
