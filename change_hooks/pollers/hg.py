"""Polls a Mercurial repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from change_hooks.pollers.base import Found, Looked, Poller, names
from change_hooks.vcs import Commit, as_change
from change_hooks.vcs.hg import Repository
from change_hooks.vcs.tools import run


class HgPoller(Poller):
    """Polls a Mercurial repository, on this machine or elsewhere.

    :param repourl: an address that ``hg pull`` accepts.
    :param branches: named branches; all by default.
    :param branch: the only branch.

    More: see :class:`Poller`.
    """

    dialect = "hgpoller"
    program = "hg"

    def __init__(self, repourl: str, *, branches: Any = None, branch: str | None = None, **more: Any) -> None:
        super().__init__(repourl, **more)
        self._branches = [branch] if branch is not None else names(branches, "branches")

    def look(self, state: Any, folder: Path) -> Looked:
        """See :meth:`Poller.look`. The state is the list of heads."""
        repository = self._repository(folder)
        repository.pull(self.repourl)
        heads = sorted(repository.ids("head()"))
        if state is None or state == heads:
            return Looked([], heads)
        revisions, known, notes = _unknown(repository, state)
        commits, problems = repository.readable_log(revisions, known)
        wanted = [commit for commit in commits if self._is_wanted(commit)]
        closed = sorted({commit.branch or "" for commit in wanted if commit.closes})
        if closed:
            notes.append(f"closed branches, which give no change: {', '.join(closed)}")
        changes = [as_change(commit, "hg", **self.about) for commit in wanted if not commit.closes]
        return Looked([Found(str(change.revision), [change]) for change in changes], heads, problems, notes)

    def _is_wanted(self, commit: Commit) -> bool:
        return self._branches is None or commit.branch in self._branches

    def _repository(self, folder: Path) -> Repository:
        path = self.work_folder(folder)
        if not (path / ".hg").exists():
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            run(["hg", "init", "--", str(path)])
        return Repository(path)


_NEW = "all() - ancestors(known)"
_RELATED = "descendants(roots(ancestors(known)))"
_APART = f"heads(all()) - {_RELATED}"


def _unknown(repository: Repository, heads: list[str]) -> tuple[str, list[str], list[str]]:
    """The revset of the changesets that are not in the history of *heads*, as far as that is still here; the
    changesets that ``known`` means in it; and messages. If the known history is unrelated, only the heads.
    """
    known = sorted(repository.present(heads))
    if heads and not known:
        return (
            "head() and not closed()",
            known,
            ["the previous history is not known; only the heads are sent"],
        )
    if known and repository.ids(_APART, known):
        some = f"sort(({_NEW}) and ({_RELATED} + ({_APART})), rev)"
        return some, known, ["a history shares nothing with the previous one; only its heads are sent"]
    return f"sort({_NEW}, rev)", known, []


__all__ = ["HgPoller"]
