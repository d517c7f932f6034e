"""Git repositories.

The name of a ref is bytes here, because Git allows nearly every byte in it.

Source: git-log(1), git-rev-list(1), git-for-each-ref(1), git-cat-file(1), githooks(5), gitcredentials(7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from change_hooks.core.address import parse_address, without_password
from change_hooks.core.change import person
from change_hooks.vcs import Commit
from change_hooks.vcs.tools import ToolError, each, lines_of, run, seconds, text

#: A field ends with NUL, which no commit contains; a record begins with one.
_FORMAT = "--format=tformat:%x00%H%x00%an%x00%ae%x00%cn%x00%ce%x00%ct%x00%B%x00"
_FIELDS = 7


class News(msgspec.Struct, frozen=True):
    """What is new on a ref.

    :param ids: the commits, oldest first.
    :param note: why these are not, or may not be, all.
    """

    ids: list[str]
    note: str = ""


class Repository:
    """A repository on this machine.

    :param path: its folder, or that of its work tree.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)

    def git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run a git command, and return its output.

        :raises ToolError: the command failed.
        """
        return run(["git", "-C", self.path, *arguments], stdin=stdin, env=env)

    def refs(self) -> dict[bytes, str]:
        """All refs, and the objects that they point to."""
        return parse_refs(self.git("for-each-ref", "--format=%(objectname) %(refname)"), b" ")

    def commit_of(self, name: str) -> str | None:
        """The commit that a name refers to; None if it is not a commit (but a tag of a file ...)."""
        try:
            verified = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except ToolError:
            return None
        return text(verified).strip()

    def present(self, names: Iterable[str]) -> set[str]:
        """Which of these objects exist here."""
        asked = list(names)
        if not asked:
            return set()
        printed = self.git("cat-file", "--batch-check", stdin=_listed(asked))
        return {text(line.split(b" ")[0]) for line in lines_of(printed) if not line.endswith(b" missing")}

    def between(self, new: str, known: Iterable[str]) -> list[str]:
        """The commits in *new* but in none of *known*, oldest first; unknown names are ignored."""
        asked = _listed([new, *(f"^{name}" for name in known)])
        listed = self.git("rev-list", "--reverse", "--topo-order", "--ignore-missing", "--stdin", stdin=asked)
        return [text(line) for line in lines_of(listed)]

    def contains(self, new: str, old: str) -> bool:
        """Whether a commit is in another one's history; False if it does not exist here."""
        return bool(self.present([old])) and not self.between(old, [new])

    def news(self, tip: str, old: str | None, known: Iterable[str]) -> News:
        """The new commits of a branch.

        If the known history no longer exists here (because it was rewritten, or this copy is newer), the
        commits that no other known branch has are new; if the branch shares nothing with any known history,
        only its head is reported, instead of all commits ever made.

        :param tip: the present head.
        :param old: the previous head; None for a new branch.
        :param known: all known heads, possibly including *old*.
        """
        expected = {*known, *([] if old is None else [old])}
        present = self.present(expected)
        ids = self.between(tip, present)
        lost = expected - present if old is None else {old} - present
        if lost and self._all_there_is(tip, ids):
            return News([tip], "the previous history is not known; only its head is sent")
        if lost and ids:
            return News(
                ids, "the previous commit is not known; the commits that no other branch has are sent"
            )
        if old is not None and self._begins_again(tip, ids, present):
            return News([tip], "it shares nothing with the previous history; only its head is sent")
        return News(ids)

    def _begins_again(self, tip: str, ids: Sequence[str], known: Iterable[str]) -> bool:
        """Whether all commits of a history are new. They are counted only if one of them has no parent."""
        if len(ids) < 2:
            return False
        asked = _listed([tip, *(f"^{name}" for name in known)])
        roots = self.git("rev-list", "--max-parents=0", "--ignore-missing", "--stdin", stdin=asked)
        return bool(roots) and self._all_there_is(tip, ids)

    def _all_there_is(self, tip: str, ids: Sequence[str]) -> bool:
        return int(self.git("rev-list", "--count", "--end-of-options", tip)) == len(ids)

    def commits(self, ids: Sequence[str]) -> list[Commit]:
        """The commits with these ids, in this order; a merge has the files that differ from its first parent.

        :raises ToolError: one of them cannot be read.
        """
        return parsed(self._log(ids, *_FILES)) if ids else []

    def readable_commits(self, ids: Sequence[str]) -> tuple[list[Commit], list[str]]:
        """The same, tolerating unreadable commits.

        :returns: the commits, with as much of each as can be read; and the errors.
        """
        commits, failed = each(ids, self.commits)
        if not failed:
            return commits, []
        for name, _ in failed:
            commits += self._without_files(name)
        place = {name: index for index, name in enumerate(ids)}
        return sorted(commits, key=lambda commit: place[commit.id]), [
            f"the commit {name} cannot be read: {error}" for name, error in failed
        ]

    def _without_files(self, name: str) -> list[Commit]:
        try:
            commits = parsed(self._log([name]))
        except ToolError:
            return []
        return [msgspec.structs.replace(commit, files=None) for commit in commits]

    def _log(self, ids: Iterable[str], *files: str) -> bytes:
        return self.git(
            *("-c", "i18n.logOutputEncoding=UTF-8", "-c", "log.showSignature=false"),
            *("log", "--stdin", "--no-walk=unsorted", "-z", *files, _FORMAT),
            stdin=_listed(ids),
        )

    def last(self, count: int, name: str = "HEAD") -> list[Commit]:
        """The last *count* commits of a branch, first parents only, oldest first; may be empty."""
        if self.commit_of(name) is None:
            return []
        listed = self.git(
            "rev-list", "--reverse", "--first-parent", f"--max-count={count}", "--end-of-options", name
        )
        return self.commits([text(line) for line in lines_of(listed)])

    def branch(self) -> str | None:
        """The branch that is checked out; otherwise one with the same head commit, or None."""
        try:
            name = self.git("symbolic-ref", "--quiet", "--short", "HEAD")
        except ToolError:
            name = self.git("for-each-ref", "--points-at=HEAD", "--format=%(refname:short)", "refs/heads")
        lines = lines_of(name)
        return text(lines[0]) if lines else None


_FILES = ("--name-only", "--no-renames", "-m", "--first-parent", "--root")


def _listed(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def parse_refs(printed: bytes, separator: bytes) -> dict[bytes, str]:
    """Refs and the objects that they point to, from lines of object, separator and name."""
    parts = (line.partition(separator) for line in lines_of(printed))
    return {name: text(commit) for commit, found, name in parts if found}


def parsed(printed: bytes) -> list[Commit]:
    """Commits, as ``git log`` prints them."""
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
                when=seconds(when),
                message=message.rstrip("\n"),
                files=files,
            )
        )


class Remote:
    """A repository anywhere.

    The password is passed to Git through the environment and a credential helper that answers only for its
    host; it is never among the arguments.

    :param url: an address that ``git fetch`` accepts.
    """

    def __init__(self, url: str) -> None:
        self.url = without_password(url)
        address = parse_address(url)
        self._arguments: tuple[str, ...] = ()
        self._env: dict[str, str] = {}
        if address.scheme in ("http", "https") and address.user is not None:
            place = f"{address.scheme}://{address.authority}"
            self._arguments = ("-c", "credential.helper=", "-c", f"credential.{place}.helper={_HELPER}")
            self._env = {"CHANGE_HOOKS_USER": address.user, "CHANGE_HOOKS_PASSWORD": address.password or ""}

    def refs(self) -> dict[bytes, str]:
        """The branches and tags, and the objects that they point to.

        :raises ToolError: the repository cannot be read.
        """
        command = ["git", *self._arguments, "ls-remote", "--heads", "--tags", "--", self.url]
        refs = parse_refs(run(command, env=self._env), b"\t")
        return {name: commit for name, commit in refs.items() if not name.endswith(b"^{}")}

    def fetch_into(self, repository: Repository, refspecs: Iterable[bytes]) -> None:
        """Fetch these refspecs.

        :raises ToolError: the fetch failed; if one refspec fails, all do.
        """
        repository.git(
            *self._arguments,
            # Git's maintenance takes locks, so it must not outlive the command.
            *("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"),
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force", "--stdin", "--", self.url),
            stdin=b"".join(b"%s\n" % refspec for refspec in refspecs),
            env=self._env,
        )


_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n"'
    ' "$CHANGE_HOOKS_USER" "$CHANGE_HOOKS_PASSWORD"; }; f'
)

__all__ = ["News", "Remote", "Repository", "parse_refs", "parsed"]
