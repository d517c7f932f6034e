"""The file that holds the secrets of an endpoint, one a line, the newest first."""

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
from change_hooks.core.verification import SIGNING_KEY_PREFIX
from change_hooks.references import files_in

HOW = (
    "its secret is not in a file ({'file': PATH}). Do it by hand: put a new secret before the old one,"
    " 'secret': [NEW, OLD]; reload the server; 'change-hooks hook ensure'; take the old one away; reload the"
    " server"
)


class SecretFile:
    """It is exchanged as a whole: whoever reads it finds what was there, or what is.

    :param path: a link is followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def read(self) -> list[str]:
        """The secrets.

        :raises ConfigurationError: it cannot be read.
        """
        try:
            return [line for line in self.path.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError([f"{self.path}: {error}"]) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes it by this class meanwhile.

        :raises ConfigurationError: somebody else is at it.
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
                busy = f"{self.path}: another 'change-hooks hook rotate' is changing it; wait for that"
                raise ConfigurationError([busy]) from None
            yield
        finally:
            os.close(lock)

    def exchange(self, was: list[str], secrets: list[str]) -> None:
        """Put these in the place of what was there; owner and mode stay.

        :raises ConfigurationError: something else is there by now, or it cannot be written.
        """
        self.expect(was)
        self._write(secrets)

    def expect(self, was: list[str]) -> None:
        """See that these are still there.

        :raises ConfigurationError: something else is.
        """
        if self.read() != was:
            raise ConfigurationError([f"{self.path} has been changed meanwhile; look at what it holds"])

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
    """The file of an endpoint's first secret.

    :param written: what the user wrote for ``secret``.
    :raises ConfigurationError: it is not in a file; says what to do.
    """
    first = written[0] if isinstance(written, (list, tuple)) and written else written
    files = files_in(first, base)
    if not files:
        raise ConfigurationError([f"{endpoint}: {HOW}"])
    return SecretFile(files[0])


def fresh(like: str) -> str:
    """A new secret; a signing token where the old one is that."""
    if like.encode().startswith(SIGNING_KEY_PREFIX):
        return SIGNING_KEY_PREFIX.decode() + b64encode(token_bytes(32)).decode()
    return token_urlsafe(32)


__all__ = ["SecretFile", "file_of", "fresh"]
