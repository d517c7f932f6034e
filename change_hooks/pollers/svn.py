"""Look into a Subversion repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from change_hooks.core.change import Change
from change_hooks.pollers.base import Found, Poller
from change_hooks.vcs import Commit, as_change
from change_hooks.vcs.svn import Credentials, by_branch, log, root, split_file_alwaystrunk


class SVNPoller(Poller):
    """Looks into a Subversion repository, or a folder of one, on this machine or elsewhere.

    :param repourl: what ``svn log`` takes.
    :param split_file: given a path below *repourl*, returns the branch and the path in that branch, or None
        when it is not wanted: :func:`~change_hooks.pollers.split_file_branches`, or one of your own.
    :param svnuser: to log in, with *svnpasswd*.
    :param histmax: how many revisions are asked for at once.
    :param revlinktmpl: a web page that shows a revision, with ``%s`` for its number.

    More: see :class:`Poller`.
    """

    dialect = "svnpoller"

    def __init__(
        self,
        repourl: str,
        *,
        split_file: Callable[[str], Any] | None = None,
        svnuser: str | None = None,
        svnpasswd: str | None = None,
        histmax: int = 100,
        revlinktmpl: str = "",
        **more: Any,
    ) -> None:
        super().__init__(repourl.rstrip("/") if isinstance(repourl, str) else repourl, **more)
        if split_file is not None and not callable(split_file):
            raise ValueError("split_file must be a function of a path")
        self._split_file = split_file or split_file_alwaystrunk
        self._credentials = Credentials(svnuser, svnpasswd)
        self._most = histmax
        self._revlink = revlinktmpl

    def look(self, state: Any, folder: Path) -> tuple[list[Found], Any]:
        """See :meth:`Poller.look`. The state: the last revision."""
        if state is None:
            newest = log(self.repourl, None, self._credentials, 1)
            return [], int(newest[-1].id) if newest else 0
        prefix = self.repourl[len(root(self.repourl, self._credentials)) :].strip("/")
        found: list[Found] = []
        while True:
            commits = log(self.repourl, state + 1, self._credentials, self._most)
            found += [Found(commit.id, self._changes(commit, prefix)) for commit in commits]
            if commits:
                state = int(commits[-1].id)
            if len(commits) < self._most:
                return [each for each in found if each.changes], state

    def _changes(self, commit: Commit, prefix: str) -> list[Change]:
        start = f"{prefix}/" if prefix else ""
        inside = [path[len(start) :] for path in commit.files if path.startswith(start)]
        branches = by_branch(inside, self._split_file)
        link = self._revlink % commit.id if self._revlink else ""
        return [
            as_change(commit, "svn", files=files, branch=branch, revlink=link, **self._about)
            for branch, files in branches.items()
        ]


__all__ = ["SVNPoller"]
