"""Who reads beside the receivers: commands that follow, and pollers that look at the same time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..support.programs import Server, configure, eventually, free_port, program
from .books import states, stored
from .databases import PostgreSQL
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


def test_two_pollers_that_look_at_the_same_time_report_each_commit_once(
    server: Callable[..., Server], postgresql: PostgreSQL, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        subprocess.run(
            [program("git"), "-C", str(repository), *who, *arguments], check=True, capture_output=True
        )

    repository.mkdir()
    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "before")
    source = (
        "from change_hooks.pollers import *\n"
        f"c['change_source'] = GitPoller({str(repository)!r}, branches=['main'], pollInterval=0.2,"
        " pollAtLaunch=True)\n"
    )
    text = f"'change_hook_dialects': {{'base': True}}, 'change_hook_journal': {postgresql.url!r}"
    receivers = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        port = free_port()
        configure(folder, text, port)
        config = folder / "hooks.cfg"
        config.write_text(config.read_text() + source)
        receivers.append(Server([program("change-hooks"), "serve", "hooks.cfg"], folder, port))
        receivers[-1].start()
    try:
        eventually(
            lambda: postgresql.execute("SELECT 1 FROM change_hooks.memory WHERE name NOT LIKE 'lease %'")
        )
        for number in range(12):
            git("commit", "-q", "--allow-empty", "-m", str(number))
            if number % 4 == 3:
                eventually(lambda number=number: len(stored(postgresql.url)) > number)
        git("commit", "-q", "--allow-empty", "-m", "last")
        eventually(lambda: sum(each.changes for each in stored(postgresql.url)) >= 13)
        assert sum(each.changes for each in stored(postgresql.url)) == 13
    finally:
        for receiver in receivers:
            receiver.kill()
