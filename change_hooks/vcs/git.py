"""Git repositories.

Source: git-log(1), git-rev-list(1), git-for-each-ref(1), githooks(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from change_hooks.core.change import person
from change_hooks.vcs import Commit, ToolError, run, text

#: A field ends with NUL, which is in no commit; a record begins with one.
_FORMAT = "--format=tformat:%x00%H%x00%an%x00%ae%x00%cn%x00%ce%x00%ct%x00%B%x00"
_FIELDS = 7


class Repository:
    """A repository on this machine.

    :param path: its folder, or its work tree's.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a git command prints.

        :raises ToolError: it failed.
        """
        return run(["git", "-C", self.path, *arguments], stdin=stdin)

    def refs(self) -> dict[str, str]:
        """All refs, and the objects they point to."""
        lines = text(self.git("for-each-ref", "--format=%(objectname) %(refname)")).splitlines()
        return {name: commit for commit, _, name in (line.partition(" ") for line in lines)}

    def commit_of(self, name: str) -> str | None:
        """The commit that a name means; None when it means no commit (a tag of a file ...)."""
        try:
            verified = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except ToolError:
            return None
        return text(verified).strip()

    def between(self, new: str, known: Iterable[str]) -> list[str]:
        """The commits that *new* has and none of *known* has, oldest first; unknown names are passed over."""
        asked = "\n".join([new, *(f"^{name}" for name in known)]).encode()
        listed = self.git("rev-list", "--reverse", "--topo-order", "--ignore-missing", "--stdin", stdin=asked)
        return text(listed).split()

    def commits(self, ids: Iterable[str]) -> list[Commit]:
        """The commits of these names, in this order; of a merge, the files unlike its first parent's."""
        asked = "\n".join(ids).encode()
        if not asked:
            return []
        printed = self.git(
            *("-c", "i18n.logOutputEncoding=UTF-8", "-c", "log.showSignature=false"),
            *("log", "--stdin", "--no-walk=unsorted", "-z", "--name-only", "--no-renames"),
            *("-m", "--first-parent", "--root", _FORMAT),
            stdin=asked,
        )
        return _parsed(printed)

    def last(self, count: int, name: str = "HEAD") -> list[Commit]:
        """The last *count* commits of a branch, first parents only, oldest first."""
        listed = self.git(
            "rev-list", "--reverse", "--first-parent", f"--max-count={count}", "--end-of-options", name
        )
        return self.commits(text(listed).split())

    def branch(self) -> str:
        """The branch that is checked out."""
        return text(self.git("rev-parse", "--abbrev-ref", "HEAD")).strip()


def _parsed(printed: bytes) -> list[Commit]:
    commits: list[Commit] = []
    tokens = iter(printed.split(b"\0")[1:])
    while True:
        fields = [text(field) for _, field in zip(range(_FIELDS), tokens, strict=False)]
        if len(fields) < _FIELDS:
            return commits
        next(tokens, b"")
        files: list[str] = []
        for token in tokens:
            if not token:
                break
            files.append(text(token[1:] if not files and token.startswith(b"\n") else token))
        name, author, author_email, committer, committer_email, when, message = fields
        commits.append(
            Commit(
                id=name,
                author=person(author, author_email),
                committer=person(committer, committer_email),
                when=int(when),
                message=message.rstrip("\n"),
                files=files,
            )
        )


def remote_refs(url: str) -> Mapping[str, str]:
    """The branches and tags of a repository anywhere, and the objects they point to."""
    lines = text(run(["git", "ls-remote", "--heads", "--tags", "--", url])).splitlines()
    found = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
    return {name: commit for name, commit in found.items() if not name.endswith("^{}")}


__all__ = ["Repository", "remote_refs"]
