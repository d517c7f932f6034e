"""Version control tools, by their own command lines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from change_hooks.core.change import Change

#: How long a tool may take, in seconds.
TIME_LIMIT = 300.0


class ToolError(Exception):
    """A version control tool failed, or is not there; the message is its own."""


class Commit(msgspec.Struct, frozen=True):
    """One commit, as every tool can tell it.

    :param id: its name in the version control system.
    :param when: seconds since the epoch.
    :param branch: None when it belongs to none by itself.
    """

    id: str
    author: str
    committer: str
    when: int
    message: str
    files: list[str]
    branch: str | None = None


def as_change(commit: Commit, src: str, **more: Any) -> Change:
    """The change of a commit.

    :param src: the version control system.
    :param more: other fields, and those that are not the commit's own after all.
    """
    fields: dict[str, Any] = {
        "author": commit.author,
        "committer": commit.committer or None,
        "files": commit.files,
        "comments": commit.message,
        "revision": commit.id,
        "when_timestamp": commit.when,
        "branch": commit.branch,
        "src": src,
    }
    return Change(**{**fields, **more})


def run(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    time_limit: float = TIME_LIMIT,
) -> bytes:
    """What a tool prints on standard output.

    It speaks English and UTF-8, and asks nobody for a password.

    :raises ToolError: it failed.
    """
    environment = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        "HGPLAIN": "1",
        **(env or {}),
    }
    try:
        done = subprocess.run(  # noqa: S603 (no shell; what is a parameter cannot be an option)
            list(command), input=stdin, capture_output=True, check=False, env=environment, timeout=time_limit
        )
    except OSError as error:
        raise ToolError(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{command[0]}: not done after {time_limit:.0f} s") from None
    if done.returncode:
        raise ToolError(f"{command[0]}: {_reason(text(done.stderr)) or f'status {done.returncode}'}")
    return done.stdout


def _reason(said: str) -> str:
    """The line that says what is wrong: the first one that says so by its beginning, else the last one."""
    lines = said.strip().splitlines() or [""]
    line = next((line for line in lines if line.startswith(_WRONG)), lines[-1])
    return "".join(character if character.isprintable() else "?" for character in line)


_WRONG = ("fatal:", "error:", "abort:", "svn: E", "svnlook: E")


def text(raw: bytes) -> str:
    """Text in UTF-8; what is none is replaced."""
    return raw.decode("utf-8", "replace")


__all__ = ["Commit", "ToolError", "as_change", "run", "text"]
