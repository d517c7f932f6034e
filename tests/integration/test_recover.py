"""``change-hooks recover``: from the log of a small GitHub, over a real socket, to the sink."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import curl
from tests.support.recover_command import fake_api, recover
from tests.support.served import printed, stored

from .conftest import Server, configure, eventually, program

ALL = [f"{number:040x}" for number in range(1, 301)]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Server]:
    running = fake_api(tmp_path)
    yield running
    running.kill()


def options(api: Server, token: str = "t0ken", **recover: Any) -> str:
    github: dict[str, Any] = {
        "secret": "a long enough secret",
        "strict": True,
        "token": token,
        "github_api_endpoint": f"http://127.0.0.1:{api.port}",
        "recover": {"from": ["o/r"], **recover},
    }
    return f"'change_hook_dialects': {{'github': {github!r}}}"


def with_sink(options: str) -> str:
    """And a sink that writes down the revisions of what it gets."""
    take = """sed -n 's/.*"revision": *"\\([^"]*\\)".*/\\1/p' >>taken"""
    sink = {"sink": "command", "argv": ["sh", "-c", take], "per": "change"}
    return f"{options}, 'change_hook_sinks': {{'taken': {sink!r}}}"


def taken(folder: Path) -> list[str]:
    file = folder / "taken"
    return file.read_text().split() if file.exists() else []


def recovered(folder: Path) -> list[tuple[str, str]]:
    """The revisions that are stored, and how each came."""
    found = [
        (change["revision"], change["properties"].get("change_hook_recovered")) for change in stored(folder)
    ]
    return sorted(found)


def test_all_pushes_of_an_outage_are_recovered_once_and_in_order(
    api: Server, server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(options(api))
    assert running.stop() == 0

    status, missing, said = recover(tmp_path, "--dry-run")
    assert (status, said) == (0, "")
    assert {line["outcome"] for line in missing} == {"missing"}
    assert stored(tmp_path) == []

    status, recovered, said = recover(tmp_path)
    assert (status, said) == (0, "")
    assert [line["delivery"] for line in recovered] == [f"guid-{number}" for number in range(1, 301)]
    assert {(line["endpoint"], line["event"], line["way"], line["outcome"]) for line in recovered} == {
        ("github", "push", "api-replay", "recovered")
    }
    assert recover(tmp_path) == (0, [], "")

    changes = stored(tmp_path)
    assert [change["revision"] for change in changes] == [f"{number:040x}" for number in range(1, 301)]
    assert {change["properties"]["change_hook_recovered"] for change in changes} == {"api-replay"}


def test_a_program_that_has_the_sinks_hands_over_what_the_command_has_recovered(
    api: Server, server: Callable[..., Server], tmp_path: Path
) -> None:
    """The command knows of no sink, as with those of an embedding program or a Buildbot master."""
    running = server(options(api))
    assert running.stop() == 0
    status, _, said = recover(tmp_path)
    assert (status, said, len(stored(tmp_path))) == (0, "", 300)
    configure(tmp_path, with_sink(options(api)), running.port)
    running.start()
    eventually(lambda: len(taken(tmp_path)) >= 300)
    assert running.stop() == 0
    assert taken(tmp_path) == ALL


def test_what_only_claimed_to_be_it_or_was_answered_503_is_recovered(
    api: Server, server: Callable[..., Server], tmp_path: Path
) -> None:
    """A trace of a request is not a delivery: neither a forged one nor one that could not be stored."""
    running = server(options(api))
    body = json.dumps({"ref": "refs/heads/main"})
    event = ("-H", "Content-Type: application/json", "-H", "X-GitHub-Event: push")
    forged = ("-H", "X-Hub-Signature-256: sha256=" + "0" * 64, "-H", "X-GitHub-Delivery: guid-7")
    assert curl(*event, *forged, "--data-binary", body, f"{running.url}/github")[0] == 403
    assert running.stop() == 0
    (traced,) = printed(tmp_path, "deliveries")
    assert traced["delivery"] == "guid-7"
    status, recovered, _ = recover(tmp_path)
    assert status == 0
    assert "guid-7" in [line["delivery"] for line in recovered]


def test_a_token_that_is_not_good_is_said(api: Server, server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(options(api))
    assert running.stop() == 0
    configure(tmp_path, options(api, "another"), running.port)
    status, lines, said = recover(tmp_path)
    assert (status, lines) == (1, [])
    assert said.startswith("error: github, o/r: ")
    assert "another" not in said


def test_an_endpoint_without_the_option_is_said(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server("'change_hook_dialects': {'base': True}")
    assert running.stop() == 0
    status, _, said = recover(tmp_path)
    assert status == 2
    assert "the option 'recover'" in said


# By itself ----------------------------------------------------------------------------------------


def test_a_server_that_was_down_gets_all_pushes_by_itself_once_and_in_order(
    api: Server, server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server(with_sink(options(api)))
    eventually(lambda: len(taken(tmp_path)) >= 300)
    assert taken(tmp_path) == ALL
    assert running.stop() == 0
    running.start()
    assert curl(f"{running.url}/nothing")[0] == 404
    assert running.stop() == 0
    assert recovered(tmp_path) == [(revision, "api-replay") for revision in ALL]
    assert taken(tmp_path) == ALL


def test_a_server_killed_in_the_middle_of_a_recovery_goes_on(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    api = fake_api(tmp_path, pause=0.01)
    running = server(options(api))
    for least in (20, 120):
        eventually(lambda: len(stored(tmp_path)) >= least)  # noqa: B023
        running.kill()
        assert len(stored(tmp_path)) < 300
        running.start()
    eventually(lambda: len(stored(tmp_path)) >= 300)
    assert running.stop() == 0
    assert [change["revision"] for change in stored(tmp_path)] == ALL
    api.kill()


def test_a_server_ends_while_it_recovers(server: Callable[..., Server], tmp_path: Path) -> None:
    api = fake_api(tmp_path, pause=0.1)
    running = server(options(api))
    eventually(lambda: stored(tmp_path))
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()
    assert 0 < len(stored(tmp_path)) < 300
    api.kill()


def test_what_the_forge_sends_again_is_verified_like_every_other(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    running = server("'change_hook_dialects': {'base': True}")
    assert running.stop() == 0
    api = fake_api(tmp_path, target=f"{running.url}/github")
    configure(tmp_path, options(api, via="redeliver", every=10), running.port)
    running.start()
    eventually(lambda: len(stored(tmp_path)) >= 300)
    assert running.stop() == 0
    assert recovered(tmp_path) == [(revision, "redelivered") for revision in ALL]
    assert {line["verification"] for line in printed(tmp_path, "deliveries")} == {"signature"}
    api.kill()


def test_workers_recover_once(api: Server, server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(options(api, every=10), options=("--workers", "3"))
    eventually(lambda: len(stored(tmp_path)) >= 300)
    assert running.stop() == 0
    assert [change["revision"] for change in stored(tmp_path)] == ALL


def test_a_receiver_without_an_open_port(api: Server, tmp_path: Path) -> None:
    """It listens on a socket in the folder alone, and gets what was pushed while it runs, too."""
    configure(tmp_path, with_sink(options(api, every=10)), 0, endpoint="unix:hooks.sock")
    with (tmp_path / "server.log").open("wb") as log:
        running = subprocess.Popen(
            [program("change-hooks"), "serve", "hooks.cfg"], cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        eventually(lambda: len(taken(tmp_path)) >= 300)
        opened = subprocess.run(
            ["ls", "-l", f"/proc/{running.pid}/fd"], check=True, capture_output=True, text=True
        )
        inodes = set(re.findall(r"socket:\[(\d+)\]", opened.stdout))
        listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert not [fields for fields in listening if fields[3] == "0A" and fields[9] in inodes]
        curl("-X", "POST", "-H", "Authorization: token t0ken", f"http://127.0.0.1:{api.port}/push")
        eventually(lambda: len(taken(tmp_path)) > 300)
        assert taken(tmp_path) == [*ALL, f"{301:040x}"]
    finally:
        running.terminate()
        assert running.wait(30) == 0


# By where branches are ----------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        [program("git"), *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, text: str) -> str:
    git(folder, "commit", "--quiet", "--allow-empty", "-m", text)
    return git(folder, "rev-parse", "HEAD")


def test_where_branches_are_is_enough_for_a_forge_without_a_log(
    server: Callable[..., Server], tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet", "-b", "main")
    commit(repository, "first")
    recover_from = {"from": [f"file://{repository}"], "every": 10}
    dialect = {"secret": "a long enough secret", "allow_sha1": True, "recover": recover_from}
    www = f"'change_hook_dialects': {{'launchpad': {dialect!r}}}"
    running = server(www)
    eventually(lambda: "recovery launchpad" in memory(tmp_path))
    assert running.stop() == 0
    expected = [commit(repository, "second")]
    git(repository, "tag", "v1")
    git(repository, "branch", "topic")
    status, missing, said = recover(tmp_path, "--dry-run")
    assert (status, said) == (0, "") and {line["way"] for line in missing} == {"heads"}
    status, missing, said = recover(tmp_path)
    assert (status, said) == (0, "") and {line["outcome"] for line in missing} == {"recovered"}
    assert len(stored(tmp_path)) == 3
    running.start()
    expected.append(commit(repository, "third"))
    eventually(lambda: len(stored(tmp_path)) >= 4)
    assert running.stop() == 0
    found = stored(tmp_path)
    assert {change["properties"]["change_hook_recovered"] for change in found} == {"heads"}
    assert [change["revision"] for change in found] == [expected[0]] * 3 + [expected[1]]


def memory(folder: Path) -> str:
    """What the journal remembers, by name."""
    found = list(folder.glob("*.sqlite"))
    if not found:
        return ""
    with closing(sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True)) as journal:
        try:
            return " ".join(
                name
                for (name,) in journal.execute("SELECT name FROM memory WHERE name LIKE 'recovery %heads'")
            )
        except sqlite3.OperationalError:
            return ""
