"""The events that a delivery reports, in one neutral form.

Strategy: a dialect only *parses*. It expresses in these types what the forge reported, in the forge's own
terms where there are any, and decides nothing. What follows from an event (which changes, or why none) is
decided for all dialects alike by :mod:`change_hooks.core.policy`.

None means "not known" everywhere, and is never the same as empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

#: What happened to a pull request. The event also has the forge's own name for it.
Action = Literal[
    "opened",
    "reopened",
    "updated",
    "edited",
    "labeled",
    "unlabeled",
    "ready",
    "drafted",
    "closed",
    "merged",
    "queued",
]
NOTHING: Mapping[str, Any] = {}


class Person(msgspec.Struct, frozen=True, gc=False):
    """A person, or another user of the forge.

    :param name: the display name.
    :param login: the user name at the forge.
    :param id: the forge's own key for the user, if a user name can pass to somebody else.
    """

    name: str | None = None
    email: str | None = None
    login: str | None = None
    id: str | None = None

    def __str__(self) -> str:
        """``Name <email>``, or as much as is known; without a name, the login."""
        name = (self.name or self.login or "").strip()
        email = (self.email or "").strip()
        return f"{name} <{email}>" if name and email else name or email


class Repository(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A repository.

    :param full_name: the path at the forge, ``owner/name``, as in its API.
    :param name: the last part of the path, or the display name.
    :param project: the *project* of its changes; None: *full_name*.
    :param urls: its addresses, by kind: ``https``, ``ssh``, ``html``, and ``usual`` if changes of this
        dialect use another one. If the requested kind is missing, the first one is used.
    :param id: the forge's own key for the repository.
    :param names: further names that the option ``repositories`` may match.
    :param src: the version control system.
    """

    full_name: str | None = None
    name: str | None = None
    project: str | None = None
    urls: Mapping[str, str | None] = {}
    id: str | None = None
    names: Sequence[str | None] = ()
    src: str = "git"


class Commit(msgspec.Struct, frozen=True, gc=False):
    """One commit.

    :param id: its full id in the version control system.
    :param message: None: not known.
    :param author: ``Name <email>``.
    :param committer: ``Name <email>``; None: the author, or not known.
    :param when: seconds since the epoch.
    :param url: a web page that shows the commit.
    :param files: the paths touched; None: not known.
    :param branch: the branch, if it differs from the ref's.
    :param properties: facts that the dialect's page documents.
    :param files_cut: the commit touches more files than *files* lists.
    """

    id: str
    message: str | None = None
    author: str = ""
    committer: str | None = None
    when: int | None = None
    url: str = ""
    files: list[str] | None = None
    branch: str | None = None
    properties: Mapping[str, Any] = NOTHING
    files_cut: bool = False


class RefUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A branch or tag was created, moved or deleted.

    :param ref: the full name, ``refs/heads/main``; a bare name if the system has no refs (Mercurial).
    :param before: the commit that it pointed to; None: it did not exist, or not known (see *created*).
    :param after: the commit that it points to; None: it was deleted.
    :param commits: its new commits, oldest first, as far as the forge lists them.
    :param head: the commit that it points to, if more than its id is known.
    :param total: how many commits are new, if the forge counts more than it lists; True: more, but their
        number is not known.
    :param created: it did not exist before; None: not known.
    :param forced: the old commit is not an ancestor of the new one; None: not known.
    :param sender: who pushed.
    :param url: a web page that shows the update.
    :param when: seconds since the epoch.
    :param name: the forge's own name of the event.
    :param unwanted: why the sender wants no build (a push option); otherwise None.
    :param push: the forge's own key for the push, if its API lists the commits of a push by key, and no
        other ref moved with it.
    :param since: for a new branch: the branch that its commits are compared with, if the forge does so.
    :param properties: facts that the dialect's page documents.
    """

    repository: Repository
    ref: str
    before: str | None = None
    after: str | None = None
    commits: Sequence[Commit] = ()
    head: Commit | None = None
    total: int | Literal[True] | None = None
    created: bool | None = None
    forced: bool | None = None
    sender: Person = Person()
    url: str = ""
    when: int | None = None
    name: str = "push"
    unwanted: str | None = None
    push: str | None = None
    since: str | None = None
    properties: Mapping[str, Any] = NOTHING

    @property
    def short(self) -> str:
        """The branch's or tag's name without a prefix such as ``refs/heads/``."""
        return self.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")

    @property
    def is_tag(self) -> bool:
        """Whether the ref is a tag."""
        return self.ref.startswith("refs/tags/")

    @property
    def lacks_commits(self) -> bool:
        """Whether the forge counts more commits than it lists, or lists none of a branch that moved."""
        more = self.total is not None and self.total is not True and self.total > len(self.commits)
        if is_zeros(self.before):
            return more and self.since is not None
        return more or self.total is True or (not self.commits and not self.is_tag)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing: this is a deletion, or all commits and their files are known."""
        if self.after is None:
            return True
        known = self.commits or ([self.head] if self.head is not None else [])
        lacking = any(commit.files is None or commit.message is None for commit in known)
        return bool(known) and not lacking and not self.lacks_commits


class Side(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One side of a pull request.

    :param branch: its name, without ``refs/heads/``.
    :param revision: the commit that it points to.
    :param repository: None: not known (a fork that was deleted).
    """

    branch: str | None = None
    revision: str | None = None
    repository: Repository | None = None


class PullRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something happened to a pull request (a merge request, a change under review).

    :param repository: the repository that it is to be merged into.
    :param number: its number there.
    :param action: what happened.
    :param forge_action: the same in the forge's own words.
    :param head: the branch to be merged.
    :param base: the branch that it is to be merged into.
    :param author: who opened it.
    :param sender: who caused the event.
    :param draft: None: not known.
    :param labels: None: not known.
    :param url: a web page that shows the pull request.
    :param created: seconds since the epoch.
    :param updated: seconds since the epoch.
    :param merge_commit: the commit that merged it.
    :param merge_ref: the ref under which the forge keeps a test merge of both sides.
    :param commits: how many commits it has.
    :param files: the paths touched; None: not known.
    :param files_cut: it touches more files than *files* lists.
    :param head_commit: the last commit of *head*, if more than its id is known.
    :param name: the forge's own name of the event.
    :param installation: the installation whose tokens an App of the forge uses.
    :param properties: facts that the dialect's page documents.
    """

    repository: Repository
    number: int
    action: Action
    forge_action: str = ""
    title: str | None = None
    body: str | None = None
    head: Side = Side()
    base: Side = Side()
    author: Person = Person()
    sender: Person = Person()
    draft: bool | None = None
    labels: Sequence[str] | None = None
    url: str = ""
    created: int | None = None
    updated: int | None = None
    merge_commit: str | None = None
    merge_ref: str | None = None
    commits: int | None = None
    files: list[str] | None = None
    files_cut: bool = False
    head_commit: Commit | None = None
    name: str = "pull_request"
    installation: str | None = None
    properties: Mapping[str, Any] = NOTHING

    @property
    def from_fork(self) -> bool | None:
        """Whether it comes from another repository; None: not known."""
        head = self.head.repository
        if head is None or head.full_name is None or self.repository.full_name is None:
            return None
        return head.full_name != self.repository.full_name


class Comment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody commented on a pull request.

    :param pull_request: the pull request; ignore its *action*.
    :param author: who wrote the comment.
    :param association: the author's relation to the repository; do not derive permissions from it.
    :param created: seconds since the epoch.
    :param is_new: False if the comment was edited or deleted, or written by the forge itself.
    :param permitted: the forge has confirmed that the author may give this command; set only by the
        framework.
    :param name: the forge's own name of the event.
    """

    pull_request: PullRequest
    author: Person = Person()
    association: str | None = None
    text: str = ""
    created: int | None = None
    url: str = ""
    is_new: bool = True
    permitted: bool = False
    name: str = "comment"
    properties: Mapping[str, Any] = NOTHING


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """There is nothing to build.

    :param reason: in our own words; it must not quote the sender.
    """

    reason: str


Event = RefUpdate | PullRequest | Comment | Ignored


def is_zeros(revision: str | None) -> bool:
    """Whether *revision* names no commit: it is all zeros, of any length, or missing."""
    return not revision or not revision.strip("0")


def was_created(before: str | None) -> bool | None:
    """Whether a ref did not exist before; None: not known.

    :param before: the commit that it pointed to: zeros for none, empty or None if the forge does not say.
    """
    return is_zeros(before) if before else None


def revision_or_none(revision: str | None) -> str | None:
    """*revision*, or None for zeros."""
    return None if is_zeros(revision) else revision


__all__ = [
    "Action",
    "Comment",
    "Commit",
    "Event",
    "Ignored",
    "Person",
    "PullRequest",
    "RefUpdate",
    "Repository",
    "Side",
    "is_zeros",
    "revision_or_none",
    "was_created",
]
