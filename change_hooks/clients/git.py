"""What a ``post-receive`` hook of a Git repository sends to a receiver.

Source: githooks(5), "post-receive", "pre-receive" (push options).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.select import is_skipped
from change_hooks.vcs import Commit, as_change
from change_hooks.vcs.git import News, Repository
from change_hooks.vcs.tools import ToolError, lines_of, text

_NAME = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
#: The push option that prevents a build. Source: GitLab, "Push options".
SKIP_OPTION = "ci.skip"


class Update(msgspec.Struct, frozen=True):
    """One ref that was updated.

    :param old: the old object; zeros: the ref is new.
    :param new: the new object; zeros: the ref was deleted.
    :param ref: ``refs/heads/main``; bytes, like all names in Git.
    """

    old: str
    new: str
    ref: bytes


class Wanted(msgspec.Struct, frozen=True):
    """Which updates are sent.

    :param branches: fnmatch patterns for branches and tags; None: all.
    :param skips: an update whose newest commit's message matches one of these is not sent.
    :param options: the push options.
    """

    branches: Sequence[str] | None = None
    skips: tuple[re.Pattern[str], ...] = ()
    options: Sequence[str] = ()


class Told(msgspec.Struct, frozen=True):
    """What to send for a push.

    :param problems: errors of single refs or commits; only these are not sent.
    :param notes: what is not sent, and why.
    """

    changes: list[Change] = []
    problems: list[str] = []
    notes: list[str] = []


def read_updates(written: bytes) -> tuple[list[Update], list[str]]:
    """Parse Git's output to a ``post-receive`` hook: one line per ref.

    :returns: the updates, and the lines that are not from Git.
    """
    updates, strange = [], []
    for line in lines_of(written):
        words = line.split(b" ", 2)
        if len(words) == 3 and words[2] and _NAME.fullmatch(words[0]) and _NAME.fullmatch(words[1]):
            updates.append(Update(text(words[0]), text(words[1]), words[2]))
        else:
            strange.append(text(line))
    return updates, strange


def push_options(environment: Mapping[str, str]) -> list[str]:
    """The options of the push that is being received."""
    count = environment.get("GIT_PUSH_OPTION_COUNT", "0")
    numbers = range(int(count)) if count.isascii() and count.isdigit() else range(0)
    return [environment.get(f"GIT_PUSH_OPTION_{number}", "") for number in numbers]


def changes_of(repository: Repository, updates: list[Update], wanted: Wanted | None = None) -> Told:
    """One change for each new commit of the updates; for a ref that moved without new commits (a reset, a new
    branch on an old commit, a tag), one for its head; none for a deletion.

    :raises ToolError: the repository cannot be read at all.
    """
    told, wanted = Told([], [], []), wanted or Wanted()
    if SKIP_OPTION in wanted.options:
        told.notes.append(f"the push option {SKIP_OPTION} asks to skip the build")
        return told
    before = _before(repository, updates)
    for update in updates:
        try:
            _tell(repository, update, before, wanted, told)
        except ToolError as error:
            told.problems.append(f"{text(update.ref)}: {error}")
    return told


def _tell(repository: Repository, update: Update, before: set[str], wanted: Wanted, told: Told) -> None:
    kind, _, branch = text(update.ref).removeprefix("refs/").partition("/")
    if _is_zero(update.new) or kind not in ("heads", "tags"):
        return
    if wanted.branches is not None and not any(fnmatchcase(branch, each) for each in wanted.branches):
        told.notes.append(f"{branch} matches none of --branches")
        return
    tip = repository.commit_of(update.new)
    if tip is None:
        told.notes.append(f"{branch} is not a commit")
        return
    is_new = _is_zero(update.old)
    news = News([])
    if kind == "heads":
        old = None if is_new else update.old
        news = repository.news(tip, old, before if is_new else ())
        if news.note and not is_new:
            news = repository.news(tip, old, before)
        if news.note:
            told.notes.append(f"{branch}: {news.note}")
    forced = kind == "heads" and not is_new and not repository.contains(tip, update.old)
    commits, problems = repository.readable_commits(news.ids or [tip])
    told.problems.extend(problems)
    if commits and is_skipped(commits[-1].message, wanted.skips):
        told.notes.append(f"{branch} is skipped: the message of its newest commit asks to skip the build")
        return
    told.changes.extend(_change(commit, branch, kind, forced, wanted.options) for commit in commits)


def _before(repository: Repository, updates: list[Update]) -> set[str]:
    """The objects that all refs pointed to before the push."""
    moved = {update.ref for update in updates}
    stayed = {name for ref, name in repository.refs().items() if ref not in moved}
    return stayed | {update.old for update in updates if not _is_zero(update.old)}


def _is_zero(name: str) -> bool:
    return not name.strip("0")


def _change(commit: Commit, branch: str, kind: str, forced: bool, options: Sequence[str]) -> Change:
    properties: dict[str, Any] = {"event": "push"}
    if forced:
        properties["forced"] = True
    if options:
        properties["push_options"] = list(options)
    category = "tag" if kind == "tags" else None
    return as_change(commit, "git", branch=branch, category=category, properties=properties)


__all__ = ["Told", "Update", "Wanted", "changes_of", "push_options", "read_updates"]
