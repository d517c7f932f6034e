"""What tests send to a served receiver, and what they see of it with the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from change_hooks.cli import main
from change_hooks.core.verification import sign_hmac
from tests.support.programs import curl

BASE = "'change_hook_dialects': {'base': True}"


PUSH = {
    "ref": "refs/heads/main",
    "before": "1" * 40,
    "after": "5" * 40,
    "repository": {"full_name": "octo/api", "html_url": "https://github.com/octo/api", "name": "api"},
    "commits": [
        {
            "id": str(number) * 40,
            "message": f"Commit {number}",
            "timestamp": "2026-01-01T00:00:00Z",
            "url": f"https://github.com/octo/api/commit/{number}",
            "author": {"name": "Ann", "email": "ann@example.com"},
            "added": [f"{number}.txt"],
            "removed": [],
            "modified": [],
        }
        for number in range(2, 6)
    ],
}


def printed(folder: Path, command: str, *options: str) -> list[dict[str, Any]]:
    """What a command prints about ``hooks.cfg`` with ``--json``. It runs in this process: tests that wait call it
    many times.
    """
    done = CliRunner().invoke(main, [command, str(folder / "hooks.cfg"), "--json", *options])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.output.split("\n") if line]


def stored(folder: Path) -> list[dict[str, Any]]:
    """The changes in the journal, oldest first."""
    return printed(folder, "changes")


def states(folder: Path) -> list[str]:
    """The states of the deliveries in the journal, newest first."""
    return [line["state"] for line in printed(folder, "deliveries")]


def www(sinks: dict[str, Any]) -> str:
    return f"'change_hook_dialects': {{'base': True}}, 'change_hook_sinks': {sinks!r}"


def send(url: str, revision: str) -> None:
    sent = ["--data-urlencode", "branch=a b; touch x", "-d", f"revision={revision}"]
    assert curl(*sent, f"{url}/base") == (202, "1 change found\n")


def github(sinks: dict[str, Any]) -> str:
    dialects = {"github": {"secret": "s3cret", "strict": True}}
    return f"'change_hook_dialects': {dialects!r}, 'change_hook_sinks': {sinks!r}"


def push(url: str, delivery: str, payload: dict[str, Any] = PUSH) -> tuple[int, str]:
    body = json.dumps(payload)
    return curl(
        *("-H", "Content-Type: application/json", "-H", "X-GitHub-Event: push"),
        *("-H", f"X-GitHub-Delivery: {delivery}", "--data-binary", body),
        *("-H", f"X-Hub-Signature-256: {sign_hmac(body.encode(), b's3cret')}", f"{url}/github"),
    )
