"""Mercurial repositories.

Source: hg help log, hg help templates, hg help revsets.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from change_hooks.vcs import Commit, run, text

_TEMPLATE = (
    '\\{"id": {node|json}, "author": {author|json}, "when": {date|hgdate|json}, "message": {desc|json},'
    ' "branch": {branch|json}, "files": [{join(files % "{file|json}", ", ")}]}\n'
)


class _Logged(msgspec.Struct):
    id: str
    author: str
    when: str
    message: str
    branch: str
    files: list[str]


class Repository:
    """A repository on this machine.

    :param path: its folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)

    def hg(self, *arguments: str) -> bytes:
        """What an hg command prints.

        :raises ToolError: it failed.
        """
        return run(["hg", "--encoding", "utf-8", "--encodingmode", "replace", "-R", self.path, *arguments])

    def log(self, revisions: str) -> list[Commit]:
        """The changesets of a revset, in its order."""
        printed = text(self.hg("log", "-r", revisions, "-T", _TEMPLATE))
        return [_commit(line) for line in printed.splitlines() if line]

    def last(self, count: int) -> list[Commit]:
        """The last *count* ancestors of the parent of the work folder, oldest first."""
        return self.log(f"reverse(last(::., {int(count)}))")[::-1]

    def heads(self) -> dict[str, list[str]]:
        """The branches, and the changesets at their heads."""
        heads: dict[str, list[str]] = {}
        for head in self.log("head() and not closed()"):
            heads.setdefault(head.branch or "default", []).append(head.id)
        return heads


def _commit(line: str) -> Commit:
    logged = msgspec.json.decode(line, type=_Logged)
    return Commit(
        id=logged.id,
        author=logged.author,
        committer="",
        when=int(logged.when.split()[0]),
        message=logged.message,
        files=logged.files,
        branch=logged.branch,
    )


__all__ = ["Repository"]
