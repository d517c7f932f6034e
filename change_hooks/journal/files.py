"""The files of an embedded journal, and what may become of them while they are in use.

Strategy: SQLite holds its files open, and goes on with them wherever they are. So after each transaction, and
before anybody is told that it is done, they are looked for where the next process will look. They are never
opened here: closing any descriptor of the database would drop all locks that this process has on it (POSIX).
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
    """The journal's files are not what they were, or not whole."""


class NoLocks(OSError):
    """The file system cannot lock files."""


class File(NamedTuple):
    """A file at one moment.

    :param place: its device and its number; None: it is not there.
    :param size: in bytes.
    """

    place: tuple[int, int] | None
    size: int = 0


class Seen(NamedTuple):
    """A journal's files at one moment: the database, and its write-ahead log."""

    database: File
    log: File


def look(path: Path) -> Seen:
    """The files as they are now."""
    return Seen(_file(path), _file(log_of(path)))


def _file(path: Path | str) -> File:
    try:
        found = os.stat(path)  # noqa: PTH116 (a Path takes three times as long)
    except FileNotFoundError:
        return File(None)
    return File((found.st_dev, found.st_ino), found.st_size)


def log_of(path: Path) -> str:
    """Where the write-ahead log of a database is."""
    return f"{path}-wal"


def refuse_another(path: Path, before: Seen | None = None) -> None:
    """Open no database beside the log of another one: SQLite would delete the log, or apply it.

    :param before: the files when they were last in use.
    :raises Lost: that is what is there.
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
    """Go on with the same files only.

    :raises Lost: they were moved, removed or replaced, or the database is smaller than it was.
    """
    for file, was, there in zip((path, log_of(path)), before, now, strict=True):
        if was.place != there.place:
            raise Lost(f"{file} was moved, removed or replaced while it was in use")
    if now.database.size < before.database.size:
        raise Lost(f"{path} was truncated while it was in use")


def make_private(path: Path) -> None:
    """Let only its owner use a journal that anybody could. What is open to a group alone is meant to be."""
    for end in ("", "-wal", "-shm", "-lock"):
        file = Path(f"{path}{end}")
        with suppress(OSError):
            if file.stat().st_mode & stat.S_IRWXO:
                file.chmod(0o600)


def require_locks(path: Path) -> None:
    """Make sure that what is locked beside a journal is locked for others.

    :raises NoLocks: it is not.
    """
    flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
    first, second = os.open(f"{path}-lock", flags, 0o600), os.open(f"{path}-lock", flags, 0o600)
    try:
        lockf(first, LOCK_EX | LOCK_NB)
        lockf(first, LOCK_UN)
        # When somebody holds it already, locks work.
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
