"""The files that the documentation has for servers: each used for what it is for."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.programs import folder_for_others
from tests.support.served import printed

from .conftest import PATIENCE, eventually, free_port, program

DEPLOY = Path(__file__).parents[2] / "docs" / "examples" / "deploy"
WWW = "'change_hook_dialects': {'base': {'secret': None}}, 'change_hook_trusted_proxies': ['127.0.0.1']"


def curl(*arguments: str) -> tuple[int, str]:
    """Status and text of an answer."""
    command = [program("curl"), "-sk", "--max-time", "60", "-w", "\n%{http_code}", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


@contextmanager
def running(command: list[str], folder: Path, port: int, **more: object) -> Iterator[None]:
    """A program, from when it listens."""
    with (folder / "program.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **more)  # type: ignore[call-overload]
        try:
            eventually(lambda: _listens(process, port, folder))
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _listens(process: subprocess.Popen[bytes], port: int, folder: Path) -> bool:
    assert process.poll() is None, (folder / "program.log").read_text()
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[int]:
    """A receiver that trusts what is before it; its port."""
    folder, port = tmp_path / "receiver", free_port()
    folder.mkdir()
    (folder / "hooks.cfg").write_text(f"c = {{'www': {{'port': 'tcp:{port}:interface=127.0.0.1', {WWW}}}}}")
    with running([program("change-hooks"), "serve", "hooks.cfg"], folder, port):
        yield port


def clients(folder: Path) -> list[tuple[str, int]]:
    """Who sent the deliveries, and how large they were, oldest first."""
    return [(line["client"], line["bytes"]) for line in reversed(printed(folder / "receiver", "deliveries"))]


def send_all(folder: Path, url: str) -> None:
    """Send a small body and a large one, with and without the prefix; from an address that we make up."""
    large = folder / "large"
    large.write_text(f"revision=2&comments={'x' * 3_000_000}")
    made_up = ["--interface", "127.0.0.2", "-H", "X-Forwarded-For: 192.0.2.1", "-H", "Host: ci.example.com"]
    for prefix in ("change_hook", "hooks"):
        sent = [*made_up, "-d", "revision=1", f"{url}/{prefix}/base"]
        assert curl(*sent) == (202, "1 change found\n")
    sent = [*made_up, "--data-binary", f"@{large}", f"{url}/change_hook/base"]
    assert curl(*sent) == (202, "1 change found\n")
    assert curl(*made_up, "-d", "x", f"{url}/change_hook/missing")[0] == 404
    too_large = folder / "too_large"
    too_large.write_bytes(b"x" * (26 * 1024 * 1024))
    assert curl(*made_up, "--data-binary", f"@{too_large}", f"{url}/change_hook/base")[0] == 413
    kept = [line for line in clients(folder) if line[1] != 1]
    # What the proxy has seen, whatever the request says.
    assert kept[:3] == [("127.0.0.2", 10), ("127.0.0.2", 10), ("127.0.0.2", large.stat().st_size)]


def test_behind_nginx(tmp_path: Path, receiver: int) -> None:
    port = free_port()
    locations = (DEPLOY / "nginx.conf").read_text().replace("8010", str(receiver))
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; user root; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;\n"
        f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"server {{ listen 127.0.0.1:{port};\n{locations}\n}} }}\n"
    )
    command = [program("nginx"), "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    with running(command, tmp_path, port):
        send_all(tmp_path, f"http://127.0.0.1:{port}")


def test_behind_caddy(tmp_path: Path, receiver: int) -> None:
    port = free_port()
    text = (DEPLOY / "Caddyfile").read_text().replace("8010", str(receiver))
    text = text.replace("ci.example.com {", f"http://ci.example.com:{port} {{")
    (tmp_path / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}")
    command = [program("caddy"), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    home = {**os.environ, "HOME": str(tmp_path)}
    with running(command, tmp_path, port, env=home):
        send_all(tmp_path, f"http://127.0.0.1:{port}")


def unit() -> dict[str, list[str]]:
    """The settings of the unit, by name."""
    settings: dict[str, list[str]] = {}
    for line in (DEPLOY / "change-hooks.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(name, []).append(value)
    return settings


def test_the_unit_is_what_systemd_takes(tmp_path: Path) -> None:
    path = tmp_path / "change-hooks.service"
    text = (DEPLOY / "change-hooks.service").read_text()
    text = text.replace("/opt/change-hooks/bin/change-hooks", program("change-hooks"))
    path.write_text(text.replace("User=change-hooks", "User=daemon"))
    done = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    said = [line for line in done.stderr.splitlines() if "change-hooks" in line]
    assert (done.returncode, said) == (0, [])


@pytest.fixture
def others() -> Iterator[Path]:
    with folder_for_others() as folder:
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as another user")
def test_another_user_runs_what_init_wrote(others: Path) -> None:
    nobody = 65534
    etc, state = others / "etc", others / "state"
    for folder in (etc, state):
        folder.mkdir()
        os.chown(folder, nobody, nobody)
    # Python itself may be in somebody's home folder.
    reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    user = [program("setpriv"), f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups", *reading]
    environment = {**os.environ, "STATE_DIRECTORY": str(state), "HOME": "/nonexistent"}
    subprocess.run(
        [*user, program("change-hooks"), "init", "hooks.cfg"], cwd=etc, env=environment, check=True
    )
    secret = etc / "hooks.secret"
    assert (secret.stat().st_uid, secret.stat().st_mode & 0o777) == (nobody, 0o600)
    port, admin = free_port(), free_port()
    config = etc / "hooks.cfg"
    config.write_text(config.read_text().replace("8010", str(port)).replace("8011", str(admin)))
    (start,) = unit()["ExecStart"]
    command = [program("change-hooks"), *shlex.split(start)[1:-1], str(config)]
    assert shlex.split(start)[-1] == "/etc/change-hooks/hooks.cfg"
    with running([*user, *command], others, port, env=environment):
        simulated = [program("change-hooks"), "simulate", "github", str(config), "--repo", "."]
        repository = others / "repository"
        shutil.copytree(_repository(others), repository)
        done = subprocess.run(simulated, cwd=repository, check=False, capture_output=True, text=True)
        assert "1 change found" in done.stdout, done.stderr
    (journal,) = state.glob("*.sqlite")
    assert (journal.stat().st_uid, journal.stat().st_mode & 0o077) == (nobody, 0)


def _repository(folder: Path) -> Path:
    made = folder / "made"
    git = [program("git"), "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    subprocess.run([*git, "init", "-q", "-b", "main", str(made)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Fix it"], cwd=made, check=True)
    return made


def test_the_container_starts_what_is_there() -> None:
    lines = [line for line in (DEPLOY / "Containerfile").read_text().splitlines() if line[:1].isupper()]
    instructions = [line.partition(" ")[::2] for line in lines]
    assert instructions[0][0] == "FROM"
    entry = dict(instructions)
    command = [*json.loads(entry["ENTRYPOINT"]), *json.loads(entry["CMD"])]
    assert command[0] == "change-hooks"
    helped = subprocess.run(
        [program(command[0]), command[1], "--help"], check=True, capture_output=True, text=True
    )
    for word in command:
        assert not word.startswith("--") or word in helped.stdout
    assert entry["USER"] == "change-hooks"
    assert entry["EXPOSE"] == "8010"
    assert entry["ENV"] == "STATE_DIRECTORY=/var/lib/change-hooks"
