"""The files of an embedded journal."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from change_hooks.journal import files
from change_hooks.journal.files import (
    File,
    Lost,
    NoLocks,
    Seen,
    look,
    make_private,
    refuse_another,
    refuse_changed,
    require_locks,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j.sqlite"


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_the_file_with_the_locks_is_its_owners(path: Path) -> None:
    require_locks(path)
    (made,) = path.parent.iterdir()
    assert (made.name, stat.S_IMODE(made.stat().st_mode)) == ("j.sqlite-lock", 0o600)


def test_locks_that_somebody_holds_work(path: Path) -> None:
    with Path(f"{path}-lock").open("w") as held:
        files.flock(held, files.LOCK_EX)
        require_locks(path)


def test_a_file_system_that_does_not_lock_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "flock", lambda *_: None)
    with pytest.raises(NoLocks) as caught:
        require_locks(path)
    assert caught.value.errno == errno.ENOLCK
    assert caught.value.strerror == f"{path}: its file system does not lock files; use a local one"


def test_and_so_is_one_that_cannot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(files, "lockf", fails)
    with pytest.raises(NoLocks) as caught:
        require_locks(path)
    assert caught.value.errno == errno.ENOLCK
    assert caught.value.strerror == (
        f"{path}: its file system cannot lock files (Operation not supported); use a local one"
    )


def test_all_its_files_become_its_owners(path: Path) -> None:
    for end in ("", "-wal", "-shm", "-lock", "-other"):
        Path(f"{path}{end}").touch()
        Path(f"{path}{end}").chmod(0o644)
    make_private(path)
    modes = {
        file.name.removeprefix(path.name): stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()
    }
    assert modes == {"": 0o600, "-wal": 0o600, "-shm": 0o600, "-lock": 0o600, "-other": 0o644}


def test_it_is_said_what_became_of_which_file(path: Path) -> None:
    before = Seen(File((1, 1), 100), File((1, 2), 50))
    for now, said in (
        (Seen(File((1, 3), 100), before.log), f"{path} was moved, removed or replaced while it was in use"),
        (Seen(before.database, File(None)), f"{path}-wal was moved, removed or replaced while it was in use"),
        (Seen(File((1, 1), 99), before.log), f"{path} was truncated while it was in use"),
    ):
        with pytest.raises(Lost) as caught:
            refuse_changed(path, before, now)
        assert str(caught.value) == said
    refuse_changed(path, before, Seen(File((1, 1), 101), File((1, 2), 0)))


def test_a_log_without_its_database_is_refused_by_name(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"x")
    with pytest.raises(Lost) as caught:
        refuse_another(path)
    assert str(caught.value) == (
        f"{path} is not the database that its log {path}-wal belongs to; put the database back, or move the log"
        " out of the way too"
    )
    path.write_bytes(b"x")
    refuse_another(path)
    refuse_another(path, look(path))
