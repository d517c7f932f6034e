"""The files of an embedded journal, and checks that they are intact while they are in use.

Strategy: SQLite holds its files open, and continues to use them even if they are moved. So after each
transaction, before it is acknowledged, this module checks that the files are where the next process will look
for them. It never opens them: closing any descriptor of the database would drop all locks that this process
has on it (POSIX).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock, lockf
from pathlib import Path
from typing import NamedTuple


class Lost(OSError):
    """The journal's files have been replaced, or are incomplete."""


class NoLocks(OSError):
    """The file system cannot lock files."""


class File(NamedTuple):
    """The state of a file.

    :param place: its device and inode numbers; None: it does not exist.
    :param size: in bytes.
    """

    place: tuple[int, int] | None
    size: int = 0


class Seen(NamedTuple):
    """The state of a journal's files: the database, and its write-ahead log."""

    database: File
    log: File


def look(path: Path) -> Seen:
    """The current state of the files."""
    return Seen(_file(path), _file(log_of(path)))


def _file(path: Path | str) -> File:
    try:
        found = os.stat(path)  # noqa: PTH116 (a Path takes three times as long)
    except FileNotFoundError:
        return File(None)
    return File((found.st_dev, found.st_ino), found.st_size)


def log_of(path: Path) -> str:
    """The path of a database's write-ahead log."""
    return f"{path}-wal"


def refuse_another(path: Path, before: Seen | None = None) -> None:
    """Refuse to open a database next to the log of another one: SQLite would delete the log, or apply it.

    :param before: the files when they were last in use.
    :raises Lost: the log belongs to another database.
    """
    now = look(path)
    if not now.log.size:
        return
    is_another = before is not None and before.database.place != now.database.place
    if not now.database.size or (is_another and before is not None and before.log.place == now.log.place):
        raise Lost(
            f"{path} is not the database that its log {log_of(path)} belongs to; put the database back, or"
            " move the log out of the way too"
        )


def refuse_changed(path: Path, before: Seen, now: Seen) -> None:
    """Refuse to continue with other files.

    :raises Lost: the files were moved, removed or replaced, or the database was truncated.
    """
    for file, was, there in zip((path, log_of(path)), before, now, strict=True):
        if was.place != there.place:
            raise Lost(f"{file} was moved, removed or replaced while it was in use")
    if now.database.size < before.database.size:
        raise Lost(f"{path} was truncated while it was in use")


def make_private(path: Path) -> None:
    """Restrict a world-accessible journal to its owner. Access for a group alone is deliberate, and kept."""
    for end in ("", "-wal", "-shm", "-lock"):
        file = Path(f"{path}{end}")
        with suppress(OSError):
            if file.stat().st_mode & stat.S_IRWXO:
                file.chmod(0o600)


def require_locks(path: Path) -> None:
    """Check that file locks work in a journal's folder.

    :raises NoLocks: they do not.
    """
    flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
    first, second = os.open(f"{path}-lock", flags, 0o600), os.open(f"{path}-lock", flags, 0o600)
    try:
        lockf(first, LOCK_EX | LOCK_NB)
        lockf(first, LOCK_UN)
        # If somebody holds the lock already, locks work.
        with suppress(BlockingIOError):
            flock(first, LOCK_EX | LOCK_NB)
            flock(second, LOCK_EX | LOCK_NB)
            raise NoLocks(errno.ENOLCK, f"{path}: its file system does not lock files; use a local one")
    except NoLocks:
        raise
    except OSError as error:
        raise NoLocks(
            errno.ENOLCK, f"{path}: its file system cannot lock files ({error.strerror}); use a local one"
        ) from error
    finally:
        os.close(second)
        os.close(first)


__all__ = [
    "File",
    "Lost",
    "NoLocks",
    "Seen",
    "log_of",
    "look",
    "make_private",
    "refuse_another",
    "refuse_changed",
    "require_locks",
]
