"""A disk that is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.programs import Server
from .books import stored, wait_until_delivered
from .disks import Disk
from .load import push, www
from .recorder import Recorder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    # With room for the log of SQLite: on a slow machine it grows to some MiB before it is written back.
    with Disk(tmp_path / "disk", "16m") as disk:
        yield disk


def test_a_full_disk_is_503_until_there_is_room_and_nothing_is_lost(
    server: Callable[..., Server], recorder: Recorder, small_disk: Disk
) -> None:
    journal = small_disk.folder / "journal.sqlite"
    running = server(www(recorder.url, f"sqlite:///{journal}"))
    assert push(running.port, "first") == 202
    small_disk.fill()
    acknowledged = ["first"]
    refused: list[str] = []
    for number in range(100):
        status = push(running.port, str(number), commits=400)
        assert status in (202, 503)
        (acknowledged if status == 202 else refused).append(str(number))
    assert refused
    small_disk.free()
    for name in refused[:2]:
        assert push(running.port, name, commits=400) == 202
        acknowledged.append(name)
    wait_until_delivered(journal)
    assert sorted(each.delivery for each in stored(journal)) == sorted(acknowledged)
    assert {taken.key.delivery for taken in recorder.taken} == set(acknowledged)
    assert running.stop() == 0
