"""A disk of a test's own, which it may fill."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

from ..support.services import missing


class Disk:
    """A file system in memory.

    :param folder: where it is mounted; made.
    :param size: as ``mount`` takes it.
    """

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self._size = size
        self._filler = folder / "filler"

    def __enter__(self) -> Disk:
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            missing("a file system that can be mounted")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def fill(self) -> None:
        """Leave no room."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()
