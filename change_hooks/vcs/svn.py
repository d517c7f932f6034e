"""Subversion repositories.

Source: Subversion book, "svn log", "svnlook".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree

import msgspec

from change_hooks.vcs import Commit, ToolError, run, text


class Credentials(msgspec.Struct, frozen=True):
    """How to log in."""

    user: str | None = None
    password: str | None = None


def _svn(*arguments: str, credentials: Credentials) -> bytes:
    login: list[str] = []
    stdin = b""
    if credentials.user is not None:
        login += ["--username", credentials.user]
    if credentials.password is not None:
        login.append("--password-from-stdin")
        stdin = credentials.password.encode()
    return run(["svn", "--non-interactive", "--no-auth-cache", *login, *arguments], stdin=stdin)


def root(url: str, credentials: Credentials) -> str:
    """The address of the repository that *url* is in.

    :raises ToolError: it cannot be asked.
    """
    found = _tree(_svn("info", "--xml", "--", _pegged(url), credentials=credentials)).findtext(
        "entry/repository/root"
    )
    if not found:
        raise ToolError("svn: the repository has no address")
    return found


def log(url: str, first: int | None, credentials: Credentials, limit: int) -> list[Commit]:
    """Revisions that touch *url*, oldest first; the paths in them are those in the repository.

    :param first: at most *limit* revisions from this one on; None: the newest one alone.
    """
    revisions = ["-r", f"{first}:HEAD", "-l", str(limit)] if first is not None else ["-l", "1"]
    try:
        printed = _svn("log", "--xml", "-v", *revisions, "--", _pegged(url), credentials=credentials)
    except ToolError as error:
        if "E160006" in str(error):  # No such revision: there is none yet after the last one.
            return []
        raise
    return [_entry(entry) for entry in _tree(printed).iter("logentry")]


def _pegged(url: str) -> str:
    """*url* with a mark that its own ``@`` signs are part of the path."""
    return f"{url}@"


def _tree(printed: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(printed)  # noqa: S314 (svn's own output)


def _entry(entry: ElementTree.Element) -> Commit:
    author = entry.findtext("author") or ""
    return Commit(
        id=entry.attrib["revision"],
        author=author,
        committer="",
        when=_when(entry.findtext("date") or ""),
        message=entry.findtext("msg") or "",
        files=[_path(path) for path in entry.iter("path")],
    )


def _path(path: ElementTree.Element) -> str:
    name = (path.text or "").lstrip("/")
    return f"{name}/" if path.get("kind") == "dir" and name else name


def _when(date: str) -> int:
    """Seconds since the epoch; 0 for a revision without a date."""
    try:
        return int(datetime.fromisoformat(date[:19]).replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return 0


def look(repository: str, revision: str) -> Commit:
    """A revision of a repository on this machine."""

    def svnlook(command: str) -> str:
        return text(run(["svnlook", command, "-r", revision, "--", repository]))

    author, date, _, message = svnlook("info").split("\n", 3)
    return Commit(
        id=revision,
        author=author,
        committer="",
        when=_looked_when(date),
        message=message.rstrip("\n"),
        files=[line[4:] for line in svnlook("changed").splitlines()],
    )


def _looked_when(date: str) -> int:
    try:
        return int(datetime.strptime(date[:25], "%Y-%m-%d %H:%M:%S %z").timestamp())
    except ValueError:
        return 0


# Branches ------------------------------------------------------------------------------------------


def split_file_alwaystrunk(path: str) -> tuple[str | None, str] | None:
    """Everything is on one branch, that has no name."""
    return None, path


def split_file_branches(path: str) -> tuple[str | None, str] | None:
    """``trunk/``, and ``branches/NAME/``; what is elsewhere is not wanted.

    :returns: the branch (None for the trunk, else ``branches/NAME``) and the path in it; None: not wanted.
    """
    pieces = path.split("/")
    if len(pieces) > 1 and pieces[0] == "trunk":
        return None, "/".join(pieces[1:])
    if len(pieces) > 2 and pieces[0] == "branches":
        return "/".join(pieces[:2]), "/".join(pieces[2:])
    return None


def by_branch(paths: Iterable[str], split_file: Callable[[str], Any]) -> dict[str | None, list[str]]:
    """The branches that paths are on, and the paths in them.

    :param split_file: like :func:`split_file_branches`; it may also return a mapping with ``branch`` and
        ``path``.
    """
    branches: dict[str | None, list[str]] = {}
    for path in paths:
        split = split_file(path)
        if split is None:
            continue
        branch, inside = (split.get("branch"), split["path"]) if isinstance(split, Mapping) else split
        files = branches.setdefault(branch, [])
        if inside:
            files.append(inside)
    return branches


__all__ = [
    "Credentials",
    "by_branch",
    "log",
    "look",
    "root",
    "split_file_alwaystrunk",
    "split_file_branches",
]
