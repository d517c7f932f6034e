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
    """How to log in."""

    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"


class Info(msgspec.Struct, frozen=True):
    """What a folder of a repository is, as Subversion spells it.

    :param path: in the repository, without a slash around it; not encoded.
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
    """Ask what *url* is.

    :raises ToolError: it cannot be asked, or there is nothing.
    """
    entry = _tree(_svn("info", "--xml", "--", _pegged(url), credentials=credentials)).find("entry")
    relative = None if entry is None else entry.findtext("relative-url")
    if entry is None or relative is None or not relative.startswith("^/"):
        raise ToolError("svn: it does not say where in the repository that is; it must be 1.8 or newer")
    path = text(unquote_to_bytes(relative.removeprefix("^/")))
    return Info(path.strip("/"), int(entry.attrib["revision"]))


def log(url: str, first: int, last: int, credentials: Credentials, limit: int) -> list[Commit]:
    """Revisions that touch *url*, oldest first; the paths in them are those in the repository.

    :param first: from this one on, to *last*, and at most *limit* of them.
    :raises ToolError: it cannot be asked.
    """
    revisions = ["-r", f"{first}:{last}", "-l", str(limit)]
    printed = _svn("log", "--xml", "-v", *revisions, "--", _pegged(url), credentials=credentials)
    return [_entry(entry) for entry in _tree(printed).iter("logentry")]


def _pegged(url: str) -> str:
    """*url* with a mark that its own ``@`` signs are part of the path."""
    return f"{url}@"


#: What must not stand in an XML document, and would cost all of it.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _tree(printed: bytes) -> ElementTree.Element:
    cleaned = _NOT_XML.sub("\ufffd", text(printed))
    try:
        return ElementTree.fromstring(cleaned.encode())  # noqa: S314 (svn's own output)
    except ElementTree.ParseError as error:
        raise ToolError(f"svn: what it prints is not valid XML: {error}") from None


def _entry(entry: ElementTree.Element) -> Commit:
    paths = [(_path(path), path.get("action")) for path in entry.iter("path")]
    return Commit(
        id=entry.attrib["revision"],
        author=entry.findtext("author") or "",
        committer="",
        when=_when(entry.findtext("date") or ""),
        message=entry.findtext("msg") or "",
        files=[path for path, _ in paths],
        deleted=_gone(paths),
    )


def _gone(paths: Sequence[tuple[str, str | None]]) -> frozenset[str]:
    """The paths that are not there any more: deleted, and nothing else put in their place."""
    return frozenset(path for path, action in paths if action == "D") - {
        path for path, action in paths if action != "D"
    }


def _path(path: ElementTree.Element) -> str:
    name = (path.text or "").lstrip("/")
    return f"{name}/" if path.get("kind") == "dir" and name else name


def _when(date: str) -> int | None:
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
        when=_looked_when(text(svnlook("date"))),
        message=text(svnlook("log")).rstrip("\n"),
        files=[path for path, _ in paths],
        deleted=_gone(paths),
    )


def _looked_when(date: str) -> int | None:
    try:
        return int(datetime.strptime(date[:25], "%Y-%m-%d %H:%M:%S %z").timestamp())
    except ValueError:
        return None


__all__ = ["Credentials", "Info", "info", "log", "look"]
