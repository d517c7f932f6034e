"""Secrets that stand elsewhere: ``{'env': NAME}``, ``{'file': PATH}``, ``{'credential': NAME}``.

They are read when a configuration is, so a new one is taken by reloading it. A secret that is missing is an
error that names it, and never an empty secret.

Source: systemd.exec(5), "LoadCredential="; the convention of secrets mounted as files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KINDS = ("env", "file", "credential")


def is_reference(value: object) -> bool:
    """True for a mapping that names a secret."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in KINDS


def resolved(value: Any, base: Path | None = None) -> Any:
    """*value* with every reference in it, at any depth of lists and mappings, replaced by the secret it
    names.

    :param base: the folder that relative paths start from; the current one by default.
    :raises ValueError: there is no such secret, or it is empty; the message follows an option's name.
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
            found = path.read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"refers to {path}, which cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"refers to {path}, which is not text in UTF-8") from None
    if not found.strip():
        raise ValueError(f"refers to {kind} {name}, which is empty")
    return found


__all__ = ["is_reference", "resolved"]
