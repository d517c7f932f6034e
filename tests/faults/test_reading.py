"""Who reads beside the receivers: commands that follow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..support.programs import Server, program
from .books import states
from .load import send

SLOW = """
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.task import deferLater
from change_hooks import HookHandler


class Slow(HookHandler):
    async def getChanges(self, request):
        revision = request.content.read().decode()
        while revision == "late" and not Path("answer").exists():
            await deferLater(reactor, 0.05)
        return [{"revision": revision}], "git"
"""


def test_who_follows_misses_neither_what_is_finished_late_nor_what_comes_after_a_prune(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    running = server(
        "'change_hook_dialects': {'slow': {'custom_class': __import__('slow').Slow}},"
        " 'change_hook_answer_within': 0.1, 'change_hook_keep': 0.00001"
    )
    follow = [program("change-hooks"), "changes", "hooks.cfg", "--json", "--follow"]
    with subprocess.Popen(follow, cwd=tmp_path, stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        lines = following.stdout

        def comes(revision: str) -> None:
            assert json.loads(lines.readline())["revision"] == revision

        for revision in ("1", "late", "2"):
            assert send(f"{running.url}/slow", revision.encode(), {})[0] == 202
        comes("1")
        comes("2")
        (tmp_path / "answer").touch()
        comes("late")
        prune = [program("change-hooks"), "prune", "hooks.cfg"]
        subprocess.run(prune, cwd=tmp_path, check=True, capture_output=True)
        assert len(states(tmp_path / "change-hooks.sqlite")) == 1
        assert send(f"{running.url}/slow", b"3", {})[0] == 202
        comes("3")
        following.terminate()
    assert running.stop() == 0
