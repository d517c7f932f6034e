"""Real programs, run for real pushes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.served import github, push, send, states, www

from .conftest import Server, eventually


def script(folder: Path, text: str) -> list[str]:
    (folder / "program.sh").write_text(text)
    return ["sh", str(folder / "program.sh")]


def command(folder: Path, text: str, **options: Any) -> str:
    return www({"run": {"sink": "command", "argv": script(folder, text), "cwd": str(folder), **options}})


def is_alive(folder: Path, name: str) -> bool:
    """Whether the process whose number a program wrote to a file runs."""
    number = (folder / name).read_text().strip()
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def runs(folder: Path) -> int:
    file = folder / "runs"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_the_exit_status_decides_although_a_daemon_holds_the_output_open(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    text = "echo x >>runs; sleep 1000 & echo $! >daemon; echo started >&2; exit 0"
    running = server(command(tmp_path, text))
    began = time.monotonic()
    send(running.url, "1")
    send(running.url, "2")
    eventually(lambda: states(tmp_path) == ["delivered", "delivered"])
    assert time.monotonic() - began < 60
    assert is_alive(tmp_path, "daemon")
    assert runs(tmp_path) == 2
    assert running.stop() == 0
    assert is_alive(tmp_path, "daemon")
    os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)


def test_at_its_time_limit_a_program_ends_with_all_that_it_has_started(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    text = (
        "trap '' TERM; sh -c 'trap \"\" TERM; sleep 1000' & echo $! >child; echo $$ >parent; wait; sleep 1000"
    )
    running = server(command(tmp_path, text, time_limit=0.5))
    send(running.url, "1")
    eventually(lambda: "did not end within 0.5 s" in running.log.read_text())
    assert not is_alive(tmp_path, "child")
    assert not is_alive(tmp_path, "parent")
    running.kill()


def test_when_the_server_ends_its_programs_end_with_all_that_they_have_started(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    text = "[ -e child ] && exit 0; sleep 1000 & echo $! >child; echo $$ >parent; wait"
    running = server(command(tmp_path, text))
    send(running.url, "1")
    eventually(lambda: (tmp_path / "parent").exists())
    assert running.stop() == 0
    assert not is_alive(tmp_path, "child")
    assert not is_alive(tmp_path, "parent")
    running.start()
    eventually(lambda: states(tmp_path) == ["delivered"])
    assert running.stop() == 0


def test_a_program_that_says_data_error_is_not_run_again(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    text = 'echo x >>runs; [ "$CHANGE_HOOK_REVISION" = 2 ] || { echo cannot read this; exit 65; }'
    running = server(command(tmp_path, text))
    send(running.url, "1")
    send(running.url, "2")
    eventually(lambda: sorted(states(tmp_path)) == ["delivered", "failed"])
    assert runs(tmp_path) == 2
    assert "cannot read this" in running.log.read_text()
    assert running.stop() == 0


def test_a_program_that_fails_is_run_three_times(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(command(tmp_path, "echo x >>runs; echo out of order >&2; exit 1"))
    send(running.url, "1")
    eventually(lambda: states(tmp_path) == ["failed"])
    assert runs(tmp_path) == 3
    assert running.stop() == 0


def test_a_push_of_four_commits_runs_the_program_once_with_all_of_them(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    argv = script(tmp_path, "cat >>pushes; echo built $CHANGE_HOOK_REVISION")
    running = server(github({"build": {"sink": "command", "argv": argv, "cwd": str(tmp_path)}}))
    assert push(running.url, "guid") == (202, "4 changes found\n")
    eventually(lambda: states(tmp_path) == ["delivered"])
    (line,) = (tmp_path / "pushes").read_text().splitlines()
    given = json.loads(line)
    assert (given["revision"], given["dialect"], given["delivery"]) == ("5" * 40, "github", "guid")
    assert given["ref"] == "main"
    assert [change["revision"] for change in given["changes"]] == [str(number) * 40 for number in range(2, 6)]
    assert f"build | built {'5' * 40}" in running.log.read_text()
    assert running.stop() == 0


def test_the_latest_is_run_also_when_the_server_is_killed(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    text = "[ -e go ] || exit 1; echo $CHANGE_HOOK_REVISION >>runs"
    running = server(command(tmp_path, text, latest_per=["branch"], attempts=50))
    for revision in range(1, 6):
        send(running.url, str(revision))
    running.kill()
    (tmp_path / "go").touch()
    running.start()
    eventually(lambda: states(tmp_path) == ["delivered"] * 5)
    assert (tmp_path / "runs").read_text().split() == ["5"]
    assert "superseded" in running.log.read_text()
    assert running.stop() == 0


def test_a_branch_is_built_once_it_is_quiet_also_when_the_server_is_killed(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    text = "echo $CHANGE_HOOK_REVISION $(date +%s) >>runs"
    running = server(command(tmp_path, text, quiet=6))
    began = time.time()
    for revision in range(1, 4):
        send(running.url, str(revision))
    running.kill()
    running.start()
    send(running.url, "4")
    eventually(lambda: states(tmp_path) == ["delivered"] * 4)
    ((revision, at),) = (line.split() for line in (tmp_path / "runs").read_text().splitlines())
    assert revision == "4"
    assert int(at) >= began + 5
    assert running.stop() == 0
