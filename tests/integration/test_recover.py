"""``change-hooks recover``: from the log of a small GitHub, over a real socket, to the sink."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Server, configure, free_port, program
from .test_serve import curl, stored

API = """
import sys, time
from twisted.internet import endpoints, reactor
from twisted.web import server
from tests.support.fake_github_hooks import FakeGitHubHooks

api = FakeGitHubHooks("token t0ken", base=f"http://127.0.0.1:{sys.argv[1]}")
for number in range(1, 301):
    api.attempt(f"guid-{number}", time.time() - 3600 + number)
endpoints.serverFromString(reactor, f"tcp:{sys.argv[1]}:interface=127.0.0.1").listen(server.Site(api))
reactor.run()
"""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "api"
    folder.mkdir()
    (folder / "api.py").write_text(API)
    port = free_port()
    root = Path(__file__).parents[2]
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(root)!r}); runpy.run_path('api.py', run_name='__main__')"
    )
    running = Server([program("python"), "-c", start, str(port)], folder, port)
    running.start()
    yield running
    running.kill()


def options(api: Server, token: str = "t0ken") -> str:
    github: dict[str, Any] = {
        "secret": "a long enough secret",
        "strict": True,
        "token": token,
        "github_api_endpoint": f"http://127.0.0.1:{api.port}",
        "recover": {"from": ["o/r"]},
    }
    return f"'change_hook_dialects': {{'github': {github!r}}}"


def recover(folder: Path, *more: str) -> tuple[int, list[dict[str, Any]], str]:
    command = [program("change-hooks"), "recover", "hooks.cfg", "--json", *more]
    ended = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=120)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


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
    traced = subprocess.run(
        [program("change-hooks"), "deliveries", "hooks.cfg", "--json"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert json.loads(traced.stdout)["delivery"] == "guid-7"
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
