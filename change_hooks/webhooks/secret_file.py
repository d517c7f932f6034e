"""The file that holds the secrets of an endpoint, one per line, newest first."""

from __future__ import annotations

import fcntl
import os
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from typing import Any

from change_hooks.core.errors import ConfigurationError
from change_hooks.core.shown import reason_of
from change_hooks.core.verification import SIGNING_KEY_PREFIX
from change_hooks.references import files_in

HOW = (
    "its secret is not in a file ({'file': PATH}). Rotate it by hand: add a new secret before the old one,"
    " 'secret': [NEW, OLD]; reload the server; run 'change-hooks hook ensure'; remove the old secret; reload"
    " the server"
)


class SecretFile:
    """A file of secrets, which is replaced atomically: a reader sees the old contents or the new.

    :param path: symbolic links are followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def read(self) -> list[str]:
        """The secrets in the file.

        :raises ConfigurationError: the file cannot be read.
        """
        try:
            return [line for line in self.path.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError([f"{self.path}: {reason_of(error)}"]) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the file against other users of this class.

        :raises ConfigurationError: somebody else holds the lock.
        """
        path = self.path.with_name(f".{self.path.name}.lock")
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError([f"{path} cannot be opened: {error.strerror or error}"]) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy = f"{self.path}: another 'change-hooks hook rotate' is running; wait until it ends"
                raise ConfigurationError([busy]) from None
            yield
        finally:
            os.close(lock)

    def exchange(self, was: list[str], secrets: list[str]) -> None:
        """Replace the secrets; owner and mode stay.

        :raises ConfigurationError: the file no longer holds *was*, or cannot be written.
        """
        self.expect(was)
        self._write(secrets)

    def expect(self, was: list[str]) -> None:
        """Check that the file still holds these secrets.

        :raises ConfigurationError: it holds others.
        """
        if self.read() != was:
            raise ConfigurationError([f"{self.path} has been changed in the meantime; check what it holds"])

    def _write(self, secrets: list[str]) -> None:
        text = "".join(f"{secret}\n" for secret in secrets)
        try:
            was = self.path.stat()
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    made = os.fstat(file.fileno())
                    if (made.st_uid, made.st_gid) != (was.st_uid, was.st_gid):
                        os.fchown(file.fileno(), was.st_uid, was.st_gid)
                    os.fchmod(file.fileno(), was.st_mode & 0o7777)
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            reason = error.strerror or str(error)
            if isinstance(error, PermissionError):
                reason += "; its owner and group must stay, so run this as its owner, or as root"
            raise ConfigurationError([f"{self.path} cannot be written: {reason}"]) from None


def file_of(endpoint: str, written: Any, base: Path) -> SecretFile:
    """The file that holds an endpoint's first secret.

    :param written: what the user wrote for ``secret``.
    :raises ConfigurationError: the secret is not in a file; the message says what to do.
    """
    first = written[0] if isinstance(written, (list, tuple)) and written else written
    files = files_in(first, base)
    if not files:
        raise ConfigurationError([f"{endpoint}: {HOW}"])
    return SecretFile(files[0])


def fresh(like: str) -> str:
    """A new secret; a signing token if the old one is a signing token."""
    if like.encode().startswith(SIGNING_KEY_PREFIX):
        return SIGNING_KEY_PREFIX.decode() + b64encode(token_bytes(32)).decode()
    return token_urlsafe(32)


__all__ = ["SecretFile", "file_of", "fresh"]
