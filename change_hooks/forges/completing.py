"""Fetches what a payload leaves out: commits over the forge's limit, and the paths that were touched.

Strategy: this module decides, for all forges, what to ask and what to do when there is no answer; each
forge's module knows how to ask. The event is returned with all that could be fetched. Whatever is missing is
marked: a change without its files, or a push without all of its commits, has a property for that.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, FirstError, gatherResults, succeed

from change_hooks.core.events import Commit, PullRequest, RefUpdate, Repository, is_zeros, revision_or_none
from change_hooks.forges.rest import RestError, Unsupported

if TYPE_CHECKING:
    from change_hooks.forges.forge import Forge

#: How many commits are fetched at most, and for how many of them the files.
MOST_COMMITS, MOST_COMMIT_FILES = 5_000, 100
#: Response statuses that mean that the forge does not have something, and will not have it later.
GONE = (400, 404, 409, 410, 422)

T = TypeVar("T")


class Commits(msgspec.Struct, frozen=True):
    """The commits of a push, as a forge lists them.

    :param items: oldest first.
    :param whole: False: there are more.
    :param parents: the parents of these commits, as far as the forge lists them.
    """

    items: list[Commit]
    whole: bool = True
    parents: Mapping[str, Sequence[str]] = {}


class Paths(msgspec.Struct, frozen=True):
    """The paths that something touches; for a renamed file, both names.

    :param whole: False: there are more.
    """

    items: list[str]
    whole: bool = True

    @classmethod
    def of(cls, items: Iterable[Sequence[str | None]], *, whole: bool) -> Paths:
        """The paths of the items of a list; an item without a path could not be read.

        :param whole: whether these are all items.
        """
        found = [[path for path in paths if path] for paths in items]
        return cls(list(dict.fromkeys(path for paths in found for path in paths)), whole and all(found))


class Asking(Protocol):
    """Fetches something; None: it is not available, and the event stays without it."""

    async def __call__(self, what: str, asked: Coroutine[Any, Any, T], /) -> T | None:
        """:param what: what is fetched, in words."""


async def completed(
    forge: Forge, event: RefUpdate | PullRequest, *, anyway: bool = False
) -> RefUpdate | PullRequest:
    """An event that was found at the forge, with everything that a payload would have contained.

    :param anyway: also leave out what the forge fails to return now, not only what it does not have.
    :raises RestError: the forge failed; the incomplete event would be stored for good.
    """
    ask = _anyway if anyway else _there
    if isinstance(event, PullRequest):
        return await completed_pull(forge, event, ask)
    return await completed_update(forge, event, ask)


async def completed_update(forge: Forge, update: RefUpdate, ask: Asking) -> RefUpdate:
    """A push, completed with its commits and their files."""
    if forge.whole_pushes:
        return await _with_head(forge, update, ask)
    if update.lacks_commits:
        found = await ask("the missing commits of a push", forge.commits(update))
        update = replace(update, total=update.total or True) if found is None else with_commits(update, found)
    if not update.commits:
        return await _with_head(forge, update, ask)
    commits = list(update.commits)
    without = [place for place, commit in enumerate(commits) if commit.files is None]
    if not without:
        return update
    # The newest ones: these are built when there are too many.
    await ask("the files of commits", _files(forge, update.repository, commits, without))
    return replace(update, commits=tuple(commits))


async def _with_head(forge: Forge, update: RefUpdate, ask: Asking) -> RefUpdate:
    """A push, completed with the head commit, which stands for the whole push."""
    head, revision = update.head, update.after or ""
    if head is None or head.message is None:
        found = await ask("the commit of a push", forge.commit(update.repository, revision))
        # A tag may be an object with an id of its own.
        head = head if found is None else replace(found, id=revision)
    if head is None or head.files is None:
        between = forge.whole_pushes and not is_zeros(update.before) and not update.is_tag
        asked = forge.update_files(update) if between else forge.commit_files(update.repository, revision)
        files = await ask("the files of a push", asked)
        if files is not None:
            head = replace(head or Commit(revision), files=files.items, files_cut=not files.whole)
            if forge.whole_pushes:
                update = replace(update, total=None)
    return replace(update, head=head)


async def _files(forge: Forge, repository: Repository, commits: list[Commit], places: Sequence[int]) -> bool:
    """Add the files of commits to the list as they arrive."""
    for place in reversed(places[-MOST_COMMIT_FILES:]):
        files = await _there("", forge.commit_files(repository, commits[place].id))
        if files is not None:
            commits[place] = replace(commits[place], files=files.items, files_cut=not files.whole)
    return True


async def completed_pull(forge: Forge, pull: PullRequest, ask: Asking) -> PullRequest:
    """A pull request, completed with its files and its last commit, which are fetched concurrently."""
    head, files = pull.head_commit, pull.files
    asked: list[Deferred[Any]] = [
        succeed(None)
        if head is not None
        else Deferred.fromCoroutine(ask("the head commit of a pull request", forge.head_commit(pull))),
        succeed(None)
        if files is not None
        else Deferred.fromCoroutine(ask("the files of a pull request", forge.pull_request_files(pull))),
    ]
    try:
        found_head, found_files = await gatherResults(asked, consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()
    pull = replace(pull, head_commit=head or found_head)
    if found_files is None:
        return pull
    return replace(pull, files=found_files.items, files_cut=not found_files.whole)


async def _anyway(_: str, asked: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await asked
    except (RestError, Unsupported):
        return None


async def _there(_: str, asked: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await asked
    except Unsupported:
        return None
    except RestError as error:
        if error.status in GONE:
            return None
        raise


def with_commits(update: RefUpdate, found: Commits) -> RefUpdate:
    """*update* with the commits that the API returned; the payload's own data of a commit is kept.

    The API's list is rejected if it cannot be the commits of this update: if it lacks a commit that the
    payload lists, or the new head, or if it has more commits than the payload counts.
    """
    listed, whole = pushed(update, found)
    known = {commit.id: commit for commit in update.commits}
    commits = [known.pop(commit.id, commit) for commit in listed]
    if not whole:
        # The newest ones may have been cut off.
        commits += known.values()
    elif known or not (update.is_tag or any(commit.id == update.after for commit in commits)):
        return replace(update, total=update.total or True)
    if type(update.total) is not int:
        return replace(update, commits=tuple(commits), total=len(commits) if whole else True)
    if len(commits) > update.total:
        return update
    more = update.total if whole or len(commits) < update.total else True
    return replace(update, commits=tuple(commits), total=more)


def pushed(update: RefUpdate, found: Commits) -> tuple[list[Commit], bool]:
    """Of the commits that the API returned, those that the new head has and the old one does not; and whether
    these are all. An API that cannot exclude the old head lists the whole history.
    """
    items = list({commit.id: commit for commit in found.items}.values())
    named = {commit.id for commit in items}
    before, after = revision_or_none(update.before) or "", update.after or ""
    old = _reachable(before, named, found.parents)
    if not named <= found.parents.keys():
        # Only their order is known.
        places = [place + 1 for place, commit in enumerate(items) if commit.id == before]
        items = items[max(places, default=0) :]
    elif found.whole and after in named:
        new = _reachable(after, named, found.parents)
        items = [commit for commit in items if commit.id in new]
    return [commit for commit in items if commit.id not in old], found.whole or before in named


def _reachable(revision: str, named: Collection[str], parents: Mapping[str, Sequence[str]]) -> set[str]:
    """The commits among those *named* that are in the history of *revision*, including itself."""
    found: set[str] = set()
    left = [revision]
    while left:
        each = left.pop()
        if each in named and each not in found:
            found.add(each)
            left += parents.get(each, ())
    return found


__all__ = [
    "MOST_COMMITS",
    "Asking",
    "Commits",
    "Paths",
    "completed",
    "completed_pull",
    "completed_update",
    "with_commits",
]
