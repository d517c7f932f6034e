"""Look into a Git repository."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from change_hooks.pollers.base import Found, Poller, names
from change_hooks.vcs import as_change
from change_hooks.vcs.git import Repository, remote_refs

#: The most changes in one delivery.
MOST = 1000


class GitPoller(Poller):
    """Looks into a Git repository, on this machine or elsewhere.

    :param repourl: what ``git fetch`` takes.
    :param branches: names, or fnmatch patterns; all by default.
    :param branch: the only one.
    :param only_tags: look for new and moved tags instead of branches.

    More: see :class:`Poller`.
    """

    dialect = "gitpoller"

    def __init__(
        self,
        repourl: str,
        *,
        branches: Any = None,
        branch: str | None = None,
        only_tags: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(repourl, **more)
        self._branches = [branch] if branch is not None else names(branches, "branches")
        self._prefix = "refs/tags/" if only_tags else "refs/heads/"

    def look(self, state: Any, folder: Path) -> tuple[list[Found], Any]:
        """See :meth:`Poller.look`. The state: where each branch was."""
        refs = {
            ref.removeprefix(self._prefix): commit
            for ref, commit in remote_refs(self.repourl).items()
            if ref.startswith(self._prefix) and self._wanted(ref.removeprefix(self._prefix))
        }
        if state is None or state == refs:
            return [], refs
        repository = self._fetched(folder, refs)
        found: list[Found] = []
        for name, tip in refs.items():
            if state.get(name) != tip:
                found += self._new(repository, name, state.get(name), tip, set(state.values()))
        return found, refs

    def _wanted(self, branch: str) -> bool:
        return self._branches is None or any(fnmatchcase(branch, pattern) for pattern in self._branches)

    def _fetched(self, folder: Path, refs: dict[str, str]) -> Repository:
        repository = Repository(self.work_folder(folder))
        if not Path(repository.path).exists():
            Path(repository.path).mkdir(parents=True)
            repository.git("init", "--quiet", "--bare")
        wanted = "\n".join(f"+{self._prefix}{name}:{self._prefix}{name}" for name in refs)
        repository.git(
            *("fetch", "--quiet", "--no-tags", "--force", "--stdin", "--", self.repourl),
            stdin=wanted.encode(),
        )
        return repository

    def _new(
        self, repository: Repository, name: str, old: str | None, tip: str, known: set[str]
    ) -> list[Found]:
        commit = repository.commit_of(tip)
        if commit is None:
            return []
        is_branch = self._prefix == "refs/heads/"
        new = repository.between(commit, known) if is_branch else []
        commits = repository.commits(new or [commit])
        changes = [as_change(each, "git", branch=name, **self._about) for each in commits]
        return [
            Found(f"{name}|{old}|{tip}|{first}", changes[first : first + MOST])
            for first in range(0, len(changes), MOST)
        ]


__all__ = ["GitPoller"]
