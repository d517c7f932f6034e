"""A disk that is full."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.programs import Server
from ..support.services import missing
from .books import stored, wait_until_delivered
from .load import push, www
from .recorder import Recorder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        missing("a file system that can be mounted")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_503_until_there_is_room_and_nothing_is_lost(
    server: Callable[..., Server], recorder: Recorder, small_disk: Path
) -> None:
    journal = small_disk / "journal.sqlite"
    running = server(www(recorder.url, f"sqlite:///{journal}"))
    assert push(running.port, "first") == 202
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    acknowledged = ["first"]
    refused: list[str] = []
    for number in range(100):
        status = push(running.port, str(number), commits=400)
        assert status in (202, 503)
        (acknowledged if status == 202 else refused).append(str(number))
    assert refused
    filler.unlink()
    for name in refused[:2]:
        assert push(running.port, name, commits=400) == 202
        acknowledged.append(name)
    wait_until_delivered(journal)
    assert sorted(each.delivery for each in stored(journal)) == sorted(acknowledged)
    assert {taken.key.delivery for taken in recorder.taken} == set(acknowledged)
    assert running.stop() == 0
