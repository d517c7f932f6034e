"""Polls a Git repository.

Strategy: the state records all refs, even unwanted ones, so that a ref that becomes wanted later is not
reported as new. Wanted refs are fetched into refs of our own, named by digests, so that a branch ``a`` and,
after its deletion, a branch ``a/b`` do not conflict. A ref that cannot be fetched or read keeps its old place
in the state, so the next poll tries it again; the other refs are not affected.

A change is identified by its branch and commit. A branch that is reset, or deleted and created again, must be
reported nevertheless, so whatever follows gets an *epoch*, a number that counts such events.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec

from change_hooks.pollers.base import Found, Looked, Poller, names
from change_hooks.vcs import as_change
from change_hooks.vcs.git import Remote, Repository
from change_hooks.vcs.tools import ToolError, each, text


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """The commit of a ref, and the epoch in which it has been since it was created or reset."""

    tip: str
    epoch: int = 0


class _State(msgspec.Struct):
    """The places of all refs, by names that JSON can represent; and the number of epochs so far."""

    refs: dict[str, _Place]
    epoch: int = 0


class GitPoller(Poller):
    """Polls a Git repository, on this machine or elsewhere.

    :param repourl: an address that ``git fetch`` accepts.
    :param branches: names, or fnmatch patterns; all by default.
    :param branch: the only branch.
    :param only_tags: look for new and moved tags instead of branches.

    More: see :class:`Poller`.
    """

    dialect = "gitpoller"
    program = "git"

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
        self._prefix = b"refs/tags/" if only_tags else b"refs/heads/"
        self.looks_for_tags = only_tags

    def look(self, state: Any, folder: Path) -> Looked:
        """See :meth:`Poller.look`. The state is the place of each ref."""
        remote = Remote(self.repourl)
        before = None if state is None else msgspec.convert(state, _State)
        refs = self._refs(remote)
        if before is not None and _tips(before) == {_key(name): tip for name, tip in refs.items()}:
            return Looked([], state)
        repository = self._repository(folder, next(iter(refs.values()), ""))
        wanted = [name for name in refs if self._wanted(name)]
        problems = self._fetch(repository, remote, wanted)
        if problems:
            still_there = self._refs(remote)
            refs = {name: tip for name, tip in refs.items() if name in still_there or name not in problems}
        fetched = repository.refs()
        tips = {name: fetched.get(_ours(name), tip) for name, tip in refs.items()}
        news = _News(self, repository, _State({}) if before is None else before, tips)
        for name in tips:
            if name in problems:
                news.fail(name, problems[name])
            elif before is None or not self._wanted(name):
                news.pass_over(name)
            else:
                news.look_at(name)
        return Looked(news.found, msgspec.to_builtins(news.state), news.problems, news.notes)

    def _refs(self, remote: Remote) -> dict[bytes, str]:
        return {
            name.removeprefix(self._prefix): tip
            for name, tip in remote.refs().items()
            if name.startswith(self._prefix)
        }

    def _wanted(self, name: bytes) -> bool:
        patterns = self._branches
        return patterns is None or any(fnmatchcase(text(name), pattern) for pattern in patterns)

    def _repository(self, folder: Path, name: str) -> Repository:
        """A repository of our own, for objects with names like *name*."""
        path, options = str(self.work_folder(folder)), []
        if len(name) == len(_SHA256):
            path, options = f"{path}-sha256", ["--object-format=sha256"]
        repository = Repository(path)
        if not _is_sound(repository):
            rmtree(path, ignore_errors=True)
            Path(path).mkdir(parents=True, mode=0o700)
            repository.git("init", "--quiet", "--bare", *options)
        return repository

    def _fetch(self, repository: Repository, remote: Remote, wanted: list[bytes]) -> dict[bytes, str]:
        """Fetch the wanted refs, and delete those that are no longer wanted.

        :returns: the refs that could not be fetched, and why.
        """

        def fetch(some: Sequence[bytes]) -> list[bytes]:
            remote.fetch_into(repository, [b"+%s%s:%s" % (self._prefix, name, _ours(name)) for name in some])
            return []

        _, failed = each(wanted, fetch)
        ours = {_ours(name) for name in wanted}
        old = [name for name in repository.refs() if name.startswith(_OURS) and name not in ours]
        if old:
            repository.git("update-ref", "--stdin", stdin=b"".join(b"delete %s\n" % name for name in old))
        return {name: f"{text(name)} cannot be fetched: {error}" for name, error in failed}

    def changes_of(
        self, repository: Repository, name: bytes, epoch: int, ids: Sequence[str]
    ) -> tuple[list[Found], list[str]]:
        """The changes of these commits of a branch; and the errors of those that cannot be read."""
        commits, problems = repository.readable_commits(ids)
        branch, suffix = text(name), f"|{epoch}" if epoch else ""
        return [
            Found(
                f"{_key(name)}|{commit.id}{suffix}", [as_change(commit, "git", branch=branch, **self.about)]
            )
            for commit in commits
        ], problems


class _News:
    """What is new on the refs, and the new state.

    :param before: the previous state.
    :param tips: the present commits of the refs.
    """

    def __init__(
        self, poller: GitPoller, repository: Repository, before: _State, tips: dict[bytes, str]
    ) -> None:
        self._poller = poller
        self._repository = repository
        self._before = before.refs
        self._tips = tips
        self._known = {place.tip for place in before.refs.values()}
        self._next_epoch = before.epoch + 1
        deleted = before.refs.keys() - {_key(name) for name in tips}
        self.state = _State({}, self._next_epoch if deleted else before.epoch)
        self._of_new = self.state.epoch
        self.found: list[Found] = []
        self.problems: list[str] = []
        self.notes: list[str] = []

    def fail(self, name: bytes, problem: str) -> None:
        """Record that the ref cannot be read, so that the next poll tries it again."""
        self.problems.append(problem)
        if _key(name) in self._before:
            self.state.refs[_key(name)] = self._before[_key(name)]

    def pass_over(self, name: bytes) -> None:
        """Only record the place of the ref."""
        tip, before = self._tips[name], self._before.get(_key(name))
        moved = before is None or before.tip != tip
        epoch = self._of_new if before is None else before.epoch
        self.state.refs[_key(name)] = _Place(tip, epoch) if moved or before is None else before

    def look_at(self, name: bytes) -> None:
        """Find what is new on a ref."""
        before, tip = self._before.get(_key(name)), self._tips[name]
        if before is not None and before.tip == tip:
            self.state.refs[_key(name)] = before
            return
        try:
            found, place = self._new_on(name, before, tip)
        except ToolError as error:
            self.fail(name, f"{text(name)} cannot be read: {error}")
            return
        self.found += found
        self.state.refs[_key(name)] = place

    def _new_on(self, name: bytes, before: _Place | None, tip: str) -> tuple[list[Found], _Place]:
        commit = self._repository.commit_of(tip)
        if commit is None:
            self.notes.append(f"{text(name)} is not a commit")
            return [], _Place(tip, self._of_new)
        epoch = self._of_new
        if before is not None:
            epoch = before.epoch
            if self._poller.looks_for_tags or not self._repository.contains(commit, before.tip):
                epoch = self.state.epoch = self._next_epoch
        ids = [commit]
        if not self._poller.looks_for_tags:
            news = self._repository.news(commit, before.tip if before else None, self._known)
            ids = news.ids or [commit]
            if news.note:
                self.notes.append(f"{text(name)}: {news.note}")
        found, problems = self._poller.changes_of(self._repository, name, epoch, ids)
        self.problems += problems
        return found, _Place(tip, epoch)


def _is_sound(repository: Repository) -> bool:
    """Whether Git recognises the folder itself as a repository, not one around it. Nobody else uses it, so
    any lock was left behind by a Git process that was killed.

    :raises ToolError: Git fails otherwise; then the folder must not be recreated.
    """
    path = Path(repository.path)
    if not path.is_dir():
        return False
    for lock in (*path.glob("*.lock"), *(path / "refs").rglob("*.lock")):
        lock.unlink()
    try:
        return repository.git("rev-parse", "--git-dir").strip() == b"."
    except ToolError as error:
        if "not a git repository" not in str(error):
            raise
        return False


_OURS = b"refs/polled/"
_SHA256 = sha256().hexdigest()


def _ours(name: bytes) -> bytes:
    """Our ref for a branch or tag."""
    return _OURS + sha256(name).hexdigest()[:40].encode()


def _key(name: bytes) -> str:
    """The name as unambiguous text: the name of a ref never contains a backslash."""
    return name.decode("utf-8", "backslashreplace")


def _tips(state: _State) -> dict[str, str]:
    return {name: place.tip for name, place in state.refs.items()}


__all__ = ["GitPoller"]
