"""What a ``post-receive`` hook of a Git repository tells a receiver.

Source: githooks(5), "post-receive".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from change_hooks.core.change import Change
from change_hooks.vcs import Commit, as_change
from change_hooks.vcs.git import Repository


class Update(msgspec.Struct, frozen=True):
    """One ref that was updated.

    :param old: what it pointed to; zeros: it is new.
    :param new: what it points to; zeros: it was deleted.
    :param ref: ``refs/heads/main``.
    """

    old: str
    new: str
    ref: str


def read_updates(lines: Iterable[str]) -> list[Update]:
    """What Git writes to a ``post-receive`` hook.

    :raises ValueError: a line is none of Git's.
    """
    updates = []
    for line in lines:
        words = line.split()
        if len(words) != 3:
            raise ValueError(
                "each line is: the old name, the new name, the ref; run it as a post-receive hook"
            )
        updates.append(Update(*words))
    return updates


def changes_of(repository: Repository, updates: list[Update]) -> Iterator[Change]:
    """One change for each commit that the updates brought in; for a ref that moved without any (a reset, a
    new branch on an old commit, a tag), one for where it is now; none for a deletion.
    """
    before = _before(repository, updates)
    for update in updates:
        kind, _, name = update.ref.removeprefix("refs/").partition("/")
        if _is_zero(update.new) or kind not in ("heads", "tags"):
            continue
        tip = repository.commit_of(update.new)
        if tip is None:
            continue
        new: list[str] = []
        if kind == "heads":
            known = before if _is_zero(update.old) else {update.old}
            new = repository.between(tip, known)
        forced = not _is_zero(update.old) and kind == "heads" and bool(repository.between(update.old, [tip]))
        for commit in repository.commits(new or [tip]):
            yield _change(commit, name, kind, forced=forced)


def _before(repository: Repository, updates: list[Update]) -> set[str]:
    """What all refs pointed to before the push."""
    moved = {update.ref for update in updates}
    stayed = {name for ref, name in repository.refs().items() if ref not in moved}
    return stayed | {update.old for update in updates if not _is_zero(update.old)}


def _is_zero(name: str) -> bool:
    return not name.strip("0")


def _change(commit: Commit, branch: str, kind: str, *, forced: bool) -> Change:
    category = "tag" if kind == "tags" else None
    properties = {"event": "push", **({"forced": True} if forced else {})}
    return as_change(commit, "git", branch=branch, category=category, properties=properties)


__all__ = ["Update", "changes_of", "read_updates"]
