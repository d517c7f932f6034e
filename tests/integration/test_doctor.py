"""``change-hooks doctor``: all of it, over real sockets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..support.forge_process import forge_process
from ..support.hook_command import SECRET, github, hook
from .conftest import PATIENCE, Server, program


def doctor(folder: Path, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    command = [program("change-hooks"), "doctor", "hooks.cfg", "--json", *words]
    ended = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def verdicts(lines: list[dict[str, Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in lines:
        found.setdefault(line["topic"], set()).add(line["verdict"])
    return found


def test_everything_that_works_is_said_and_what_does_not(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(github(api))
        assert hook(tmp_path, "ensure", "--url", running.url)[0] == 0
        status, lines, errors = doctor(tmp_path, "--url", running.url)
        assert (status, errors) == (0, ""), lines
        found = verdicts(lines)
        assert found["reach"] == found["clock"] == found["webhook"] == found["journal"] == {"good"}
        assert found.keys() == {"configuration", "journal", "disk", "webhook", "reach", "clock"}
        assert SECRET not in json.dumps(lines)

        running.stop()
        status, lines, _ = doctor(tmp_path, "--url", "http://127.0.0.1:9")
        assert status == 1
        found = verdicts(lines)
        assert found["webhook"] == {"problem"}
        assert found["reach"] == {"warning"}


def test_a_certificate_that_nobody_trusts_is_a_problem(server: Callable[..., Server], tmp_path: Path) -> None:
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(github(api))
        config = tmp_path / "hooks.cfg"
        secure = f"ssl:{running.port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1"
        config.write_text(config.read_text().replace(f"tcp:{running.port}:interface=127.0.0.1", secure))
        running.stop()
        running.start()
        status, lines, _ = doctor(tmp_path, "--url", f"https://localhost:{running.port}")
        assert status == 1
        said = [line["said"] for line in lines if line["topic"] == "certificate"]
        assert len(said) == 2
        assert "cert.pem: the certificate is valid until" in said[0]
        assert "forges refuse to send there" in said[1]


def test_a_wrong_configuration_is_said(tmp_path: Path) -> None:
    (tmp_path / "hooks.cfg").write_text("c = {'www': {'change_hook_dialects': {'githb': {'secret': 'x'}}}}\n")
    status, lines, errors = doctor(tmp_path)
    assert (status, lines) == (1, [])
    assert "no dialect of this name" in errors
