"""``change-hooks hook rotate``: a new secret while deliveries come all the time, and none is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from change_hooks.core.verification import sign_hmac

from ..support.forge_process import forge_process
from ..support.programs import curl
from .conftest import PATIENCE, Server, eventually, program

SECRET = "a long enough secret"
OPTIONS = {
    "secret": {"file": "hook.secret"},
    "strict": True,
    "token": "t0ken",
    "repositories": ["o/r"],
}


def configured(api: Server, **options: Any) -> str:
    github = {**OPTIONS, "github_api_endpoint": f"http://127.0.0.1:{api.port}", **options}
    return f"'change_hook_dialects': {{'github': {github!r}}}"


def hook(folder: Path, *words: str) -> tuple[int, str, str]:
    command = [program("change-hooks"), "hook", words[0], "hooks.cfg", *words[1:]]
    ended = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    return ended.returncode, ended.stdout, ended.stderr


def log_of(api: Server) -> list[dict[str, Any]]:
    """What became of the deliveries."""
    found: list[dict[str, Any]] = []
    for page in range(1, 100):
        url = f"http://127.0.0.1:{api.port}/repos/o/r/hooks/5/deliveries?per_page=100&page={page}"
        with urlopen(Request(url, headers={"Authorization": "token t0ken"})) as answer:
            items = json.load(answer)
        found += items
        if len(items) < 100:
            break
    return found


def secrets(folder: Path) -> list[str]:
    return (folder / "hook.secret").read_text().splitlines()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_delivery_is_refused_while_the_secret_changes(
    server: Callable[..., Server], tmp_path: Path, workers: str
) -> None:
    (tmp_path / "hook.secret").write_text(f"{SECRET}\n")
    (tmp_path / "hook.secret").chmod(0o600)
    with forge_process(tmp_path, "busy(FakeGitHubWebhooks('token t0ken', send=send))") as api:
        running = server(configured(api), options=("--workers", workers))
        assert hook(tmp_path, "ensure", "--url", running.url)[0] == 0
        eventually(lambda: len(log_of(api)) > 20)
        before = len(log_of(api))
        status, said, errors = hook(tmp_path, "rotate", "--url", running.url, "--grace", "1")
        assert (status, errors) == (0, ""), errors
        assert [line.rpartition(": ")[2] for line in said.splitlines() if "secret" in line][-1] == (
            "removed the old secret"
        )
        (new,) = secrets(tmp_path)
        assert new != SECRET
        assert (tmp_path / "hook.secret").stat().st_mode & 0o777 == 0o600
        eventually(lambda: len(log_of(api)) > before + 40)
        answered = [item for item in log_of(api) if item["status"] != "pending"]
        assert {item["status_code"] for item in answered} == {202}
        # What is signed with the old one is refused from now on, without a signal to the server.
        body = json.dumps({"zen": "Keep it simple."})
        sent = ("-H", "Content-Type: application/json", "-H", "X-GitHub-Event: ping", "--data-binary", body)
        for secret, expected in ((SECRET, 403), (new, 202)):
            signature = f"X-Hub-Signature-256: {sign_hmac(body.encode(), secret.encode())}"
            assert curl(*sent, "-H", signature, f"{running.url}/github")[0] == expected
        assert hook(tmp_path, "check", "--url", running.url)[0] == 0


def test_a_receiver_that_reads_another_file_is_noticed_before_anything_changes(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "hook.secret").write_text(f"{SECRET}\n")
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(configured(api))
        assert hook(tmp_path, "ensure", "--url", running.url)[0] == 0
        (tmp_path / "other.secret").write_text(f"{SECRET}\n")
        config = tmp_path / "hooks.cfg"
        config.write_text(config.read_text().replace("hook.secret", "other.secret"))
        status, _, errors = hook(tmp_path, "rotate", "--url", running.url, "--grace", "0")
        assert status == 1
        assert "does not accept the new secret" in errors
        assert (tmp_path / "other.secret").read_text() == f"{SECRET}\n"


def test_a_rotation_that_is_broken_off_leaves_both_and_goes_on(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "hook.secret").write_text(f"{SECRET}\n")
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(configured(api))
        assert hook(tmp_path, "ensure", "--url", running.url)[0] == 0
        away = ("rotate", "--url", "http://127.0.0.1:9", "--grace", "0", "--wait", "1")
        status, _, errors = hook(tmp_path, *away)
        assert status == 1
        assert "0 webhooks lead to this address" in errors
        assert secrets(tmp_path) == [SECRET]
        (tmp_path / "hook.secret").write_text(f"a new and long secret\n{SECRET}\n")
        status, _, errors = hook(tmp_path, "rotate", "--url", running.url)
        assert status == 1
        assert "holds 2 secrets" in errors
        status, _, errors = hook(tmp_path, "rotate", "--url", running.url, "--grace", "0", "--resume")
        assert (status, errors) == (0, "")
        assert secrets(tmp_path) == ["a new and long secret"]


def test_a_secret_that_is_not_in_a_file_is_changed_by_hand(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    with forge_process(tmp_path, "FakeGitHubWebhooks('token t0ken', send=send)") as api:
        running = server(configured(api, secret=SECRET))
        status, _, errors = hook(tmp_path, "rotate", "--url", running.url)
        assert status == 1
        assert "Rotate it by hand: add a new secret before the old one" in errors
