"""Subversion repositories.

Source: Subversion book, "svn info", "svn log", "svnlook".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import msgspec

from change_hooks.vcs import Commit
from change_hooks.vcs.tools import ToolError, lines_of, run, seconds, text


class Credentials(msgspec.Struct, frozen=True):
    """The user name and password for logging in."""

    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"


class Info(msgspec.Struct, frozen=True):
    """Information about a folder of a repository.

    :param path: its path in the repository, without slashes around it; not encoded.
    :param newest: the repository's newest revision.
    """

    path: str
    newest: int


def _svn(*arguments: str, credentials: Credentials) -> bytes:
    login: list[str] = []
    stdin = b""
    if credentials.user is not None:
        login += ["--username", credentials.user]
    if credentials.password is not None:
        login.append("--password-from-stdin")
        stdin = credentials.password.encode()
    return run(["svn", "--non-interactive", "--no-auth-cache", *login, *arguments], stdin=stdin)


def info(url: str, credentials: Credentials) -> Info:
    """Get information about *url*.

    :raises ToolError: the repository cannot be read, or *url* does not exist.
    """
    entry = tree(_svn("info", "--xml", "--", _pegged(url), credentials=credentials)).find("entry")
    relative = None if entry is None else entry.findtext("relative-url")
    if entry is None or relative is None or not relative.startswith("^/"):
        raise ToolError("svn: its output lacks the path in the repository; version 1.8 or newer is required")
    path = text(unquote_to_bytes(relative.removeprefix("^/")))
    return Info(path.strip("/"), int(entry.attrib["revision"]))


def log(url: str, first: int, last: int, credentials: Credentials, limit: int) -> list[Commit]:
    """Revisions that touch *url*, oldest first; their paths are relative to the repository.

    :param first: the first revision; *last* is the last one, and at most *limit* are returned.
    :raises ToolError: the repository cannot be read.
    """
    revisions = ["-r", f"{first}:{last}", "-l", str(limit)]
    printed = _svn("log", "--xml", "-v", *revisions, "--", _pegged(url), credentials=credentials)
    return [_entry(entry) for entry in tree(printed).iter("logentry")]


def _pegged(url: str) -> str:
    """*url* with a final ``@``, which makes its other ``@`` signs part of the path."""
    return f"{url}@"


#: Characters that are not allowed in XML, and would make the whole document unreadable.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def tree(printed: bytes) -> ElementTree.Element:
    """What ``svn --xml`` has printed.

    :raises ToolError: it is not XML.
    """
    cleaned = _NOT_XML.sub("\ufffd", text(printed))
    try:
        return ElementTree.fromstring(cleaned.encode())  # noqa: S314 (svn's own output)
    except ElementTree.ParseError as error:
        raise ToolError(f"svn: its output is not valid XML: {error}") from None


def _entry(entry: ElementTree.Element) -> Commit:
    paths = [(_path(path), path.get("action")) for path in entry.iter("path")]
    return Commit(
        id=entry.attrib["revision"],
        author=entry.findtext("author") or "",
        committer="",
        when=log_time(entry.findtext("date") or ""),
        message=entry.findtext("msg") or "",
        files=[path for path, _ in paths],
        deleted=_gone(paths),
    )


def _gone(paths: Sequence[tuple[str, str | None]]) -> frozenset[str]:
    """The paths that no longer exist: deleted, and not replaced."""
    return frozenset(path for path, action in paths if action == "D") - {
        path for path, action in paths if action != "D"
    }


def _path(path: ElementTree.Element) -> str:
    name = (path.text or "").lstrip("/")
    return f"{name}/" if path.get("kind") == "dir" and name else name


def log_time(date: str) -> int | None:
    """Seconds since the epoch; None for a revision without a date."""
    try:
        moment = datetime.fromisoformat(date[:19]).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return seconds(f"{moment.timestamp():.0f}")


def look(repository: str, revision: str) -> Commit:
    """A revision of a repository on this machine.

    :raises ToolError: there is no such revision or repository.
    """

    def svnlook(command: str) -> bytes:
        return run(["svnlook", command, "-r", revision, "--", repository])

    paths = [(text(line[4:]), text(line[:1])) for line in lines_of(svnlook("changed")) if line[3:4] == b" "]
    return Commit(
        id=revision,
        author=text(svnlook("author")).removesuffix("\n"),
        committer="",
        when=look_time(text(svnlook("date"))),
        message=text(svnlook("log")).rstrip("\n"),
        files=[path for path, _ in paths],
        deleted=_gone(paths),
    )


def look_time(date: str) -> int | None:
    """The same, of what ``svnlook date`` prints."""
    try:
        return int(datetime.strptime(date[:25], "%Y-%m-%d %H:%M:%S %z").timestamp())
    except ValueError:
        return None


__all__ = ["Credentials", "Info", "info", "log", "log_time", "look", "look_time", "tree"]
