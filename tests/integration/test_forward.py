"""Deliveries sent on to a second receiver, which verifies the forge's own signature."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.served import github, push, states

from .conftest import Server, configure, eventually, free_port, program

SECOND = "'change_hook_dialects': {'github': {'secret': SECRET, 'strict': True}}"


@pytest.fixture
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Another ``serve``, with a secret for GitHub; not started yet."""
    folder = tmp_path_factory.mktemp("second")
    made: list[Server] = []

    def make(secret: str) -> Server:
        port = free_port()
        configure(folder, SECOND.replace("SECRET", repr(secret)), port)
        made.append(Server([program("change-hooks"), "serve", "hooks.cfg"], folder, port))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None and each.process.poll() is None:
            each.kill()
    shutil.rmtree(folder)


def test_a_second_receiver_verifies_the_forges_signature_when_it_is_back(
    server: Callable[..., Server], second: Callable[[str], Server], tmp_path: Path
) -> None:
    behind = second("s3cret")
    running = server(github({"tool": {"sink": "forward", "url": f"{behind.url}/github"}}))
    assert push(running.url, "guid") == (202, "4 changes found\n")
    eventually(lambda: "attempt 1" in running.log.read_text())
    behind.start()
    eventually(lambda: states(tmp_path) == ["delivered"])
    eventually(lambda: states(behind.folder) == ["stored"])
    before, after = delivery_of(tmp_path), delivery_of(behind.folder)
    assert before["changes"] == after["changes"]
    assert before["payload"] == after["payload"]
    assert after["delivery"] == "guid"
    assert running.stop() == 0
    assert behind.stop() == 0


@pytest.mark.parametrize(("secret", "outcome"), [("another", "delivered"), (None, "failed")])
def test_a_receiver_with_another_secret_accepts_what_is_signed_with_it(
    server: Callable[..., Server],
    second: Callable[[str], Server],
    tmp_path: Path,
    secret: str | None,
    outcome: str,
) -> None:
    behind = second("another")
    behind.start()
    sink = {"sink": "forward", "url": f"{behind.url}/github", "secret": secret, "attempts": 1}
    running = server(github({"tool": sink}))
    assert push(running.url, "guid")[0] == 202
    eventually(lambda: states(tmp_path) == [outcome])
    assert running.stop() == 0
    assert behind.stop() == 0


def delivery_of(folder: Path) -> dict[str, object]:
    import subprocess

    shown = subprocess.run(
        [program("change-hooks"), "show", "hooks.cfg", "guid", "--json"],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, object] = json.loads(shown.stdout)
    return found
