"""Polls a Subversion repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from change_hooks.core.address import parse_address
from change_hooks.pollers.base import Found, Looked, Poller
from change_hooks.vcs import Commit, as_change
from change_hooks.vcs.svn import Credentials, info, log
from change_hooks.vcs.svn_layout import SplitFile, laid_out, split_file_alwaystrunk
from change_hooks.vcs.tools import ToolError, each


class SVNPoller(Poller):
    """Polls a Subversion repository, or a folder of one, on this machine or elsewhere.

    :param repourl: an address that ``svn log`` accepts.
    :param split_file: gets a path below *repourl*, and returns the branch and the path in that branch, or
        None if it is not wanted: :func:`~change_hooks.pollers.split_file_branches`, or a function of your
        own.
    :param svnuser: the user name for logging in, with *svnpasswd*.
    :param histmax: how many revisions are fetched at once.
    :param revlinktmpl: the URL of a page that shows a revision, with ``%s`` for its number.

    More: see :class:`Poller`.
    """

    dialect = "svnpoller"
    program = "svn"

    def __init__(
        self,
        repourl: str,
        *,
        split_file: SplitFile | None = None,
        svnuser: str | None = None,
        svnpasswd: str | None = None,
        histmax: int = 100,
        revlinktmpl: str = "",
        **more: Any,
    ) -> None:
        super().__init__(repourl.rstrip("/") if isinstance(repourl, str) else repourl, **more)
        if split_file is not None and not callable(split_file):
            raise ValueError("split_file must be a function of a path")
        self._split_file: SplitFile = split_file or split_file_alwaystrunk
        written = parse_address(self.repourl)
        self._credentials = Credentials(svnuser or written.user, svnpasswd or written.password)
        self._most = histmax
        self._revlink = revlinktmpl

    def look(self, state: Any, folder: Path) -> Looked:
        """See :meth:`Poller.look`. The state is the newest revision that was read."""
        here = info(self.address, self._credentials)
        if state is None or here.newest == state:
            return Looked([], here.newest)
        if here.newest < state:
            return Looked(
                [], here.newest, [f"the newest revision is {here.newest}, but it was {state} before"]
            )
        looked = Looked([], here.newest, [], [])
        first = state + 1
        while first <= here.newest:
            commits, first = self._log(first, here.newest, looked.problems)
            for commit in commits:
                self._look_at(commit, here.path, looked)
        return looked

    def _log(self, first: int, newest: int, problems: list[str]) -> tuple[list[Commit], int]:
        """Some revisions from *first* on, and where to continue; one that cannot be read is left out."""
        try:
            commits = log(self.address, first, newest, self._credentials, self._most)
        except ToolError:
            some = range(first, min(first + self._most, newest + 1))
            commits, failed = each(
                some, lambda part: log(self.address, part[0], part[-1], self._credentials, len(part))
            )
            problems += [f"revision {number} cannot be read: {error}" for number, error in failed]
            return commits, some.stop
        return commits, int(commits[-1].id) + 1 if len(commits) >= self._most else newest + 1

    def _look_at(self, commit: Commit, prefix: str, looked: Looked) -> None:
        layout = laid_out(commit, self._split_file, prefix)
        link = self._revlink.replace("%s", commit.id)
        changes = [
            as_change(commit, "svn", **{**self.about, "revlink": link, **on.about, "files": on.files})
            for on in layout.branches
        ]
        if changes:
            # A repository that was restored from a backup reuses its numbers for other revisions.
            looked.found.append(Found(f"{commit.id} {commit.when}", changes))
        looked.problems.extend(f"revision {commit.id}: {problem}" for problem in layout.problems)
        looked.notes.extend(f"revision {commit.id} deleted {name}" for name in layout.deleted)
        if not (changes or layout.problems or layout.deleted):
            first = (commit.files or ["nothing"])[0]
            looked.notes.append(f"revision {commit.id} is on no branch ({first}); see split_file")


__all__ = ["SVNPoller"]
