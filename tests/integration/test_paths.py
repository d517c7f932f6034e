"""Relative paths of a configuration: wherever they stand, and from wherever the server is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .conftest import PATIENCE, eventually, free_port, program

CONFIGURATION = """
from twisted.cred import strcred

c = {{"www": {{
    "port": "ssl:{port}:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem",
    "change_hook_dialects": {{"base": {{"secret": None}}}},
    "change_hook_auth": [strcred.makeChecker("file:changehook.passwd")],
    "change_hook_sinks": {{
        "run": {{"sink": "command", "argv": ["./run.sh"], "output": "run.log"}},
    }},
}}}}
"""


def test_a_server_started_elsewhere_finds_everything_beside_its_file(tmp_path: Path) -> None:
    etc, state, elsewhere = (tmp_path / name for name in ("etc", "state", "elsewhere"))
    for folder in (etc, state, elsewhere):
        folder.mkdir()
    port = free_port()
    (etc / "hooks.cfg").write_text(CONFIGURATION.format(port=port))
    (etc / "changehook.passwd").write_text("ann:hunter2\n")
    (etc / "changehook.passwd").chmod(0o600)
    (etc / "run.sh").write_text("#!/bin/sh\necho ran in $(pwd)\n")
    (etc / "run.sh").chmod(0o755)
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(etc / "key.pem"), "-out", str(etc / "cert.pem"), "-subj", "/CN=localhost"),
        ],
        check=True,
        capture_output=True,
    )
    environment = {**os.environ, "STATE_DIRECTORY": str(state)}
    command = [program("change-hooks"), "check", "../etc/hooks.cfg"]
    checked = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert (checked.returncode, "the configuration is good" in checked.stdout) == (0, True), checked.stderr
    server = subprocess.Popen(
        [program("change-hooks"), "serve", "../etc/hooks.cfg"],
        cwd=elsewhere,
        env=environment,
        stderr=subprocess.PIPE,
    )
    try:
        url = f"https://127.0.0.1:{port}/change_hook/base"
        curl = [program("curl"), "-sk", "-u", "ann:hunter2", "-d", "revision=1c9f", url]

        def answer() -> bool:
            done = subprocess.run(curl, capture_output=True, text=True, check=False, timeout=PATIENCE)
            return done.stdout == "1 change found\n"

        eventually(answer)
        eventually(lambda: (etc / "run.log").exists() and f"ran in {etc}" in (etc / "run.log").read_text())
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)
    assert (state / "change-hooks.sqlite").exists()
    assert sorted(path.name for path in etc.iterdir() if path.suffix in (".sqlite", ".lock")) == []
    assert list(elsewhere.iterdir()) == []
