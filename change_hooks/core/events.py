"""What a delivery reports, in one neutral form.

Strategy: a dialect only *parses*. It says in these types what the forge said, in the forge's own terms where
there are any, and decides nothing. What becomes of it (which changes, or none, and why) is decided for all
dialects alike by :mod:`change_hooks.core.policy`.

None means "not known" everywhere, and is never the same as empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

#: What happened to a pull request; beside it stands the forge's own name for it.
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
    """Somebody.

    :param name: as people read it.
    :param login: the name at the forge.
    :param id: the forge's own key for them, where a name may be that of another one tomorrow.
    """

    name: str | None = None
    email: str | None = None
    login: str | None = None
    id: str | None = None

    def __str__(self) -> str:
        """``Name <email>``, or what is known of it; the login when there is no name."""
        name = (self.name or self.login or "").strip()
        email = (self.email or "").strip()
        return f"{name} <{email}>" if name and email else name or email


class Repository(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A repository.

    :param full_name: the path at the forge, ``owner/name``; what its API calls it.
    :param name: the last part of it, or what people call it.
    :param project: what a change's *project* is; *full_name* when it is None.
    :param urls: its addresses, by kind: ``https``, ``ssh``, ``html``, and ``usual`` where a change of this
        dialect has yet another one. The first one that is there is used when the kind that is asked for is
        not.
    :param id: the forge's own key for it.
    :param names: more names by which the option ``repositories`` may mean it.
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

    :param id: its full name in the version control system.
    :param message: None: not known.
    :param author: ``Name <email>``.
    :param committer: ``Name <email>``; None when it is the author, or not known.
    :param when: seconds since the epoch.
    :param url: a web page that shows it.
    :param files: the paths touched; None: not known.
    :param branch: where it is not the ref's own.
    :param properties: facts that the dialect's page documents.
    :param files_cut: it touches more than *files* lists.
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
    """A branch or tag was made, moved or deleted.

    :param ref: the full name, ``refs/heads/main``; a bare name where the system knows no refs (Mercurial).
    :param before: the commit it was on; None: it did not exist, or that is not known (see *created*).
    :param after: the commit it is on; None: it does not exist any more.
    :param commits: what is new on it, oldest first, as far as the forge lists it.
    :param head: the commit it is on, when more than its name is known.
    :param total: how many commits are new, when the forge counts more than it lists; True: more, but it does
        not say how many.
    :param created: it did not exist before; None: not known.
    :param forced: what it was on is not a part of what it is on; None: not known.
    :param sender: who did it.
    :param url: a web page that shows it.
    :param when: seconds since the epoch.
    :param name: the forge's own name of the event.
    :param unwanted: why whoever pushed wants no build (a push option); otherwise None.
    :param push: the forge's own key for the push, where its API lists the commits of a push by it, and no
        other ref moved with it.
    :param since: of a new branch: the branch whose commits are not new on it, where the forge counts so.
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
        """The branch's or tag's name without what stands before it."""
        return self.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")

    @property
    def is_tag(self) -> bool:
        """True for a tag."""
        return self.ref.startswith("refs/tags/")

    @property
    def lacks_commits(self) -> bool:
        """True when the forge counts more commits than it lists, or lists none of a branch that moved."""
        more = self.total is not None and self.total is not True and self.total > len(self.commits)
        if is_zeros(self.before):
            return more and self.since is not None
        return more or self.total is True or (not self.commits and not self.is_tag)

    @property
    def is_complete(self) -> bool:
        """True when there is nothing more to know: a deletion, or all commits and their files."""
        if self.after is None:
            return True
        known = self.commits or ([self.head] if self.head is not None else [])
        lacking = any(commit.files is None or commit.message is None for commit in known)
        return bool(known) and not lacking and not self.lacks_commits


class Side(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One side of a pull request.

    :param branch: its name, without ``refs/heads/``.
    :param revision: the commit it is on.
    :param repository: None: not known (a fork that was deleted).
    """

    branch: str | None = None
    revision: str | None = None
    repository: Repository | None = None


class PullRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something happened to a pull request (a merge request, a change under review).

    :param repository: where it is to go.
    :param number: its name there.
    :param action: what happened.
    :param forge_action: the same in the forge's own words.
    :param head: what is to be merged.
    :param base: what it is to be merged into.
    :param author: who opened it.
    :param sender: who did what happened now.
    :param draft: None: not known.
    :param labels: None: not known.
    :param url: a web page that shows it.
    :param created: seconds since the epoch.
    :param updated: seconds since the epoch.
    :param merge_commit: what came of merging it.
    :param merge_ref: where the forge keeps the merge of both sides, for trying it.
    :param commits: how many it has.
    :param files: the paths touched; None: not known.
    :param files_cut: it touches more than *files* lists.
    :param head_commit: the last commit of *head*, when more than its name is known.
    :param name: the forge's own name of the event.
    :param installation: by which an App of the forge gets its tokens.
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
        """True when it comes from another repository; None: not known."""
        head = self.head.repository
        if head is None or head.full_name is None or self.repository.full_name is None:
            return None
        return head.full_name != self.repository.full_name


class Comment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody wrote a comment on a pull request.

    :param pull_request: its *action* says nothing here.
    :param author: who wrote it.
    :param association: what the forge says of the author; not to be trusted for rights.
    :param created: seconds since the epoch.
    :param is_new: False: one that was edited or deleted, or that the forge wrote itself.
    :param permitted: the forge has confirmed that the author may give the command that it is; set by the
        framework, and by nobody else.
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
    """Nothing to build.

    :param reason: our own words; nothing that was sent.
    """

    reason: str


Event = RefUpdate | PullRequest | Comment | Ignored


def is_zeros(revision: str | None) -> bool:
    """True for the name of no commit: all zeros, of any length; or none at all."""
    return not revision or not revision.strip("0")


def was_created(before: str | None) -> bool | None:
    """Whether a ref did not exist before; None: not known.

    :param before: the commit that it was on: zeros for none, nothing when the forge does not say.
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
