"""Look into a Mercurial repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from change_hooks.pollers.base import Found, Poller, names
from change_hooks.vcs import as_change, run
from change_hooks.vcs.hg import Repository


class HgPoller(Poller):
    """Looks into a Mercurial repository, on this machine or elsewhere.

    :param repourl: what ``hg pull`` takes.
    :param branches: named branches; all by default.
    :param branch: the only one.

    More: see :class:`Poller`.
    """

    dialect = "hgpoller"

    def __init__(self, repourl: str, *, branches: Any = None, branch: str | None = None, **more: Any) -> None:
        super().__init__(repourl, **more)
        self._branches = [branch] if branch is not None else names(branches, "branches")

    def look(self, state: Any, folder: Path) -> tuple[list[Found], Any]:
        """See :meth:`Poller.look`. The state: the heads."""
        repository = self._pulled(folder)
        heads = sorted(commit.id for commit in repository.log("head()"))
        if state is None or state == heads:
            return [], heads
        known = " + ".join(f"present({head})" for head in state) or "none()"
        changes = [
            as_change(commit, "hg", **self._about)
            for commit in repository.log(f"sort(all() - ancestors({known}), rev)")
            if self._branches is None or commit.branch in self._branches
        ]
        return [Found(str(change.revision), [change]) for change in changes], heads

    def _pulled(self, folder: Path) -> Repository:
        path = self.work_folder(folder)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            run(["hg", "init", "--", str(path)])
        repository = Repository(path)
        repository.hg("pull", "--quiet", "--", self.repourl)
        return repository


__all__ = ["HgPoller"]
