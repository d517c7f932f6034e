"""The command ``change-hooks hook``, and a configuration for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.programs import PATIENCE, Server, program

SECRET = "a long enough secret"


def hook(folder: Path, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; gives its status, what it prints, and its errors."""
    command = [program("change-hooks"), "hook", words[0], "hooks.cfg", *words[1:], "--json"]
    ended = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def github(api: Server, **options: Any) -> str:
    """What a configuration says of an endpoint whose forge is at *api*."""
    written = {
        "secret": SECRET,
        "strict": True,
        "token": "t0ken",
        "github_api_endpoint": f"http://127.0.0.1:{api.port}",
        "repositories": ["o/r"],
        **options,
    }
    return f"'change_hook_dialects': {{'github': {written!r}}}"
