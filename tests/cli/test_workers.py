from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import change_hooks.cli as cli
from change_hooks.cli.workers import VARIABLE, Place, open_socket, place
from change_hooks.core.errors import ConfigurationError


def test_sockets_are_opened_for_endpoints(tmp_path: Path) -> None:
    with open_socket("tcp:0:interface=127.0.0.1") as opened:
        assert opened.family == socket.AF_INET
        (_, port) = opened.getsockname()
        with pytest.raises(ConfigurationError, match=f"cannot listen on tcp:{port}"):
            open_socket(f"tcp:{port}:interface=127.0.0.1")
    path = tmp_path / "hooks.sock"
    with open_socket(f"unix:{path}:mode=600") as opened:
        assert opened.family == socket.AF_UNIX
        assert path.stat().st_mode & 0o777 == 0o600


def test_an_endpoint_that_cannot_be_shared_is_named() -> None:
    with pytest.raises(ConfigurationError, match="cannot be shared"):
        open_socket("systemd:domain=INET:index=0")


def test_a_worker_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert place() is None
    monkeypatch.setenv(VARIABLE, "1:7:42")
    assert place() == Place(number=1, descriptor=7, beat=42)


def serve(tmp_path: Path, www: str) -> Any:
    config = tmp_path / "hooks.cfg"
    config.write_text(f"c = {{'www': {{{www}}}}}")
    return CliRunner().invoke(cli.main, ["serve", str(config), "--workers", "2"])


def test_workers_need_a_journal_and_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    result = serve(tmp_path, "'change_hook_journal': None")
    assert (result.exit_code, "--workers needs a journal" in result.stderr) == (1, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serve(tmp_path, f"'port': 'tcp:{port}:interface=127.0.0.1'")
    assert (result.exit_code, "cannot listen on" in result.stderr) == (1, True)
