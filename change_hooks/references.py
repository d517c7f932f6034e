"""References to secrets: ``{'env': NAME}``, ``{'file': PATH}``, ``{'credential': NAME}``.

Secrets are read together with the configuration, so a new secret takes effect when the configuration is
reloaded. Secret files named by an endpoint's option ``secret`` are also read when they change. A missing
secret is an error that names it, never an empty secret.

Source: systemd.exec(5), "LoadCredential="; the convention of secrets mounted as files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any, NamedTuple

from twisted.logger import Logger

from change_hooks.core.verification import ChangingSecrets, as_secrets

log = Logger()

#: After how long a file whose last line has no line break is used as it is, in seconds.
SETTLED = 5.0

KINDS = ("env", "file", "credential")


def is_reference(value: object) -> bool:
    """Whether *value* is a mapping that names a secret."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in KINDS


def resolved(value: Any, base: Path | None = None) -> Any:
    """*value* with every reference in it, at any depth of lists and mappings, replaced by its secret.

    :param base: the folder for relative paths; the current one by default.
    :raises ValueError: a secret is missing or empty; the message continues a sentence that begins with the
        option's name.
    """
    if is_reference(value):
        ((kind, name),) = value.items()
        return _read(kind, name, base or Path.cwd())
    if isinstance(value, list):
        return [resolved(item, base) for item in value]
    if type(value) is tuple:
        return tuple(resolved(item, base) for item in value)
    if isinstance(value, Mapping):
        return {key: resolved(item, base) for key, item in value.items()}
    return value


def resolved_secrets(value: Any, base: Path | None = None) -> Any:
    """The same for the option ``secret``: if a reference leads to several lines, each line is a secret.

    :raises ValueError: see :func:`resolved`.
    """
    if is_reference(value):
        lines = [line for line in resolved(value, base).splitlines() if line.strip()]
        return lines[0] if len(lines) == 1 else lines
    if isinstance(value, (list, tuple)):
        return [resolved_secrets(item, base) for item in value]
    return resolved(value, base)


def files_in(value: Any, base: Path) -> list[Path]:
    """The files named by references in the option ``secret``."""
    if isinstance(value, (list, tuple)):
        return [path for item in value for path in files_in(item, base)]
    return [base / str(value["file"])] if is_reference(value) and "file" in value else []


class State(NamedTuple):
    """The state of a file, which shows whether it has changed.

    :param written: the time of the last modification, in nanoseconds since the epoch.
    :param changed: the time of the last change, of permissions too.
    """

    inode: int
    written: int
    changed: int
    size: int


class FileSecrets(ChangingSecrets):
    """Secrets, some of which are in files.

    Strategy: every delivery checks whether a file's state has changed. So every process accepts a new secret
    as soon as it is in the file, and refuses an old one as soon as it is gone.

    :param written: the option ``secret`` as the user wrote it.
    :param base: the folder for relative paths.
    :raises ValueError: a secret cannot be read.
    """

    def __init__(self, written: Any, base: Path) -> None:
        self._written = written
        self._base = base
        self._files = files_in(written, base)
        self._state = self._now()
        self._failed: list[State | None] | None = None
        self._secrets = self._read()

    def now(self) -> list[bytes]:
        """See :meth:`ChangingSecrets.now`. If a file cannot be read, the secrets stay as they are."""
        state = self._now()
        if state == self._state or self._is_being_written(state):
            return self._secrets
        try:
            self._secrets = self._read()
        except (TypeError, ValueError) as error:
            if state != self._failed:
                log.error("the current secrets stay in use: the option 'secret' {error}", error=str(error))
            self._failed = state
        else:
            self._state = state
            log.info("the secrets in {files} have changed", files=", ".join(map(str, self._files)))
        return self._secrets

    def _is_being_written(self, state: list[State | None]) -> bool:
        """Whether a file has just been written in place and does not end in a line break: more may follow. A
        file that was replaced by another is complete.
        """
        return any(
            now is not None
            and (before is None or now.inode == before.inode)
            and abs(time() - now.written / 1e9) < SETTLED
            and not _held_by(path).endswith(b"\n")
            for path, before, now in zip(self._files, self._state, state, strict=True)
        )

    def _read(self) -> list[bytes]:
        return as_secrets(resolved_secrets(self._written, self._base))

    def _now(self) -> list[State | None]:
        return [_state_of(path) for path in self._files]


def _held_by(path: Path) -> bytes:
    """The contents of a file; an empty line if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b"\n"


def _state_of(path: Path) -> State | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return State(found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def _read(kind: str, name: object, base: Path) -> str:
    if not isinstance(name, (str, os.PathLike)) or not str(name):
        raise ValueError(f"names no secret: {{{kind!r}: ...}} needs a name")
    if kind == "env":
        found = os.environ.get(str(name))
        if found is None:
            raise ValueError(f"refers to the environment variable {name}, which is not set")
    else:
        path = base / str(name)
        if kind == "credential":
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if folder is None:
                raise ValueError(f"refers to the credential {name}, but $CREDENTIALS_DIRECTORY is not set")
            path = Path(folder) / str(name)
        try:
            # Windows editors put a byte order mark at the beginning.
            found = path.read_text("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"refers to {path}, which cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"refers to {path}, which is not text in UTF-8") from None
    if not found.strip():
        raise ValueError(f"refers to {kind} {name}, which is empty")
    return found


__all__ = ["SETTLED", "FileSecrets", "files_in", "is_reference", "resolved", "resolved_secrets"]
