"""``change-hooks recover`` from small forges over real sockets that do what real ones do."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.recover_command import fake_api, recover
from tests.support.served import stored

from .conftest import Server, configure, eventually, program

#: Of each forge: where to recover from, the path of its log, and how its pushes come.
FORGES = {
    "github": ("o/r", "/deliveries", "api-replay"),
    "gitlab": ("g/sub/p", "/events", "api-replay"),
    "azuredevops": ("acme/p/r", "/notificationsquery", "api-replay"),
    "gitea": ("o/r", "/feeds", "push-log"),
    "bitbucketserver": ("PRJ/r", "/ref-change-activities", "push-log"),
}
COUNT = 104
Start = Callable[..., Server]


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Start]:
    """Starts a fake."""
    started: list[Server] = []

    def start(name: str, **settings: Any) -> Server:
        started.append(fake_api(tmp_path, name, **{"count": COUNT, **settings}))
        return started[-1]

    yield start
    for running in started:
        running.kill()


def options(name: str, api: Server, token: str = "t0ken") -> str:
    address = {"github": "github_api_endpoint"}.get(name, "api")
    written = {
        "secret": "a long enough secret",
        "strict": True,
        "token": token,
        address: f"http://127.0.0.1:{api.port}",
        "recover": {"from": [FORGES[name][0]]},
    }
    return f"'change_hook_dialects': {{{name!r}: {written!r}}}"


def journal(server: Callable[..., Server], www: str) -> None:
    """Make a journal: the server starts when there is nothing to recover from, and ends."""
    running = server("'change_hook_dialects': {'base': True}")
    assert running.stop() == 0
    configure(running.folder, www, running.port)


def revisions(folder: Path) -> list[str]:
    return [change["revision"] for change in stored(folder)]


def in_journal(folder: Path) -> int:
    """How many deliveries are stored."""
    (file,) = folder.glob("*.sqlite")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
        return int(opened.execute("SELECT count(*) FROM deliveries").fetchone()[0])


def expected(count: int) -> list[str]:
    return [f"{number:040x}" for number in range(1, count + 1)]


@pytest.mark.parametrize("name", FORGES)
def test_what_never_came_is_recovered_once_and_in_order(
    forge: Start, server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    """With a token that is good; one that has expired is said, and nothing is passed over."""
    api = forge(name)
    journal(server, options(name, api, "expired-t0ken"))
    status, lines, said = recover(tmp_path)
    assert (status, lines) == (1, [])
    assert "401" in said and "option 'token'" in said and "expired-t0ken" not in said

    configure(tmp_path, options(name, api), 0)
    status, lines, said = recover(tmp_path)
    assert (status, said) == (0, "")
    assert {(line["way"], line["outcome"]) for line in lines} == {(FORGES[name][2], "recovered")}
    changes = stored(tmp_path)
    assert [change["revision"] for change in changes] == expected(COUNT)
    assert all(change["author"] and change["comments"].startswith("commit ") for change in changes)
    assert recover(tmp_path) == (0, [], "")


@pytest.mark.parametrize("name", FORGES)
def test_a_log_that_grows_while_it_is_read_by_a_forge_that_fails_and_has_a_limit(
    forge: Start, server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    """Its pages move. Nothing is lost of what was there, and nothing comes twice."""
    path = FORGES[name][1]
    faults = [
        {"path": path, "say": {"status": 502}, "after": 1},
        {"path": path, "say": {"status": 429, "headers": {"Retry-After": "30"}}, "after": 2},
        {"path": path, "after": 1, "times": 3},
    ]
    journal(server, options(name, forge(name, faults=faults)))
    said = []
    while said[-1:] != [(0, [], "")] and len(said) < 6:
        said.append(recover(tmp_path))
    assert any("rate limit" in error for _, _, error in said)
    assert said[-1] == (0, [], "")
    found = revisions(tmp_path)
    assert found[:COUNT] == expected(COUNT)
    assert found == expected(COUNT + 3)


def test_a_next_page_elsewhere_is_not_fetched(
    forge: Start, server: Callable[..., Server], tmp_path: Path
) -> None:
    journal(server, options("github", forge("github", links="http://127.0.0.1:1")))
    status, lines, said = recover(tmp_path)
    assert (status, lines) == (1, [])
    assert "not at the configured address" in said


@pytest.mark.parametrize("name", FORGES)
def test_a_recovery_that_is_killed_in_the_middle_is_repeated(
    forge: Start, server: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    """Nothing comes twice, and nothing is skipped."""
    journal(server, options(name, forge(name, pause=0.02)))
    command = [program("change-hooks"), "recover", "hooks.cfg", "--json"]
    with (tmp_path / "recover.log").open("wb") as log:
        running = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    eventually(lambda: running.poll() is not None or in_journal(tmp_path) >= 5)
    running.kill()
    running.wait()
    assert revisions(tmp_path) == expected(len(revisions(tmp_path)))
    # What the process had leased is free when it has not renewed that for a while.
    eventually(lambda: recover(tmp_path)[0] == 0, every=1.0)
    assert revisions(tmp_path) == expected(COUNT)
