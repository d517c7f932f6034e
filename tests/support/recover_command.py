"""``change-hooks recover``, and a fake of a forge in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.programs import Server, free_port, program


def fake_api(folder: Path, forge: str = "github", **settings: Any) -> Server:
    """A small forge of 300 pushes, none of which came.

    :param settings: see :class:`tests.support.api_server.Settings`.
    """
    folder = folder / "api"
    folder.mkdir()
    settings = {"forge": forge, "port": free_port(), **settings}
    root = str(Path(__file__).parents[2])
    start = f"import sys; sys.path.insert(0, {root!r}); from tests.support.api_server import main; main()"
    running = Server([program("python"), "-c", start, json.dumps(settings)], folder, settings["port"])
    running.start()
    return running


def recover(folder: Path, *more: str) -> tuple[int, list[dict[str, Any]], str]:
    command = [program("change-hooks"), "recover", "hooks.cfg", "--json", *more]
    ended = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=120)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr
