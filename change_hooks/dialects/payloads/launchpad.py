"""The payloads of Launchpad.

Source: Launchpad, "Webhooks"; ``lib/lp/services/webhooks/client.py`` and ``lib/lp/code/model/gitjob.py``.
"""

from __future__ import annotations

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Action, Person, PullRequest, RefUpdate, Repository, Side
from change_hooks.core.payload import LONGEST_NUMBER, Shape
from change_hooks.dialects.payloads.alike import pull_properties, short

GIT, PAGES = "https://git.launchpad.net", "https://code.launchpad.net"


class Place(Shape):
    commit_sha1: str | None = None


class RefChange(Shape):
    decisive = ("old", "new")

    old: Place | None = None
    new: Place | None = None


class Push(Shape):
    git_repository_path: str
    ref_changes: dict[str, RefChange]


class Revision(Shape):
    revision_id: str


class BranchPush(Shape):
    bzr_branch_path: str
    new: Revision
    old: Revision | None = None

    def update(self, event: str) -> RefUpdate:
        """Convert to the neutral form."""
        path = self.bzr_branch_path
        urls = {"usual": f"lp:{path}", "html": f"{PAGES}/{path}"}
        return RefUpdate(
            repository=Repository(full_name=path, urls=urls, src="bzr"),
            ref=path.rpartition("/")[2],
            after=self.new.revision_id,
            url=urls["html"],
            name=event,
        )


class Proposal(Shape):
    registrant: str | None = None
    source_git_repository: str | None = None
    source_git_path: str | None = None
    target_git_repository: str | None = None
    target_git_path: str | None = None
    queue_status: str | None = None
    commit_message: str | None = None
    description: str | None = None
    preview_diff: str | None = None


class ProposalEvent(Shape):
    merge_proposal: str = ""
    action: str | None = None
    old: Proposal | None = None
    new: Proposal | None = None

    def neutral(self, event: str) -> PullRequest | None:
        """Convert to the neutral form; None: it is not between Git repositories."""
        now = self.new or self.old or Proposal()
        if not now.target_git_repository:
            return None
        source = repository_of(now.source_git_repository) if now.source_git_repository else None
        base = Side(branch=short(now.target_git_path))
        head = Side(branch=short(now.source_git_path), repository=source)
        name = self.merge_proposal.rpartition("/")[2]
        number = int(name) if name.isdecimal() and len(name) <= LONGEST_NUMBER else 0
        return PullRequest(
            repository=repository_of(now.target_git_repository),
            number=number,
            action=action_of(self),
            forge_action=self.action or "",
            title=now.commit_message,
            body=now.description,
            head=head,
            base=base,
            author=Person(login=(now.registrant or "").rpartition("~")[2] or None),
            draft=now.queue_status == "Work in progress",
            url=f"{PAGES}/{self.merge_proposal.lstrip('/')}" if self.merge_proposal else "",
            name=event,
            properties=pull_properties(number, head, base),
        )


def update_of(payload: Push, ref: str, change: RefChange, event: str) -> RefUpdate:
    """A branch or tag was created, moved or deleted.

    :raises BadPayload: its new head is missing.
    """
    repository, new = repository_of(payload.git_repository_path), change.new
    if new is not None and not new.commit_sha1:
        raise BadPayload("is missing", "$.ref_changes[...].new.commit_sha1")
    after = None if new is None else new.commit_sha1
    return RefUpdate(
        repository=repository,
        ref=ref,
        before=None if change.old is None else change.old.commit_sha1,
        after=after,
        created=change.old is None,
        url=f"{repository.urls['https']}/commit/?id={after}" if after else "",
        name=event,
    )


CLOSED: dict[str | None, Action] = {"Merged": "merged", "Rejected": "closed", "Superseded": "closed"}


def action_of(payload: ProposalEvent) -> Action:
    """What happened to a merge proposal."""
    old, new = payload.old or Proposal(), payload.new
    if new is None:
        return "closed"
    if payload.action == "created":
        return "opened"
    if old.queue_status != new.queue_status:
        if new.queue_status in CLOSED:
            return CLOSED[new.queue_status]
        if old.queue_status in CLOSED:
            return "reopened"
        drafts = "Work in progress"
        return (
            "drafted" if new.queue_status == drafts else "ready" if old.queue_status == drafts else "edited"
        )
    return "updated" if old == new or old.preview_diff != new.preview_diff else "edited"


def repository_of(path: str) -> Repository:
    """The repository at a path of Launchpad."""
    path = path.lstrip("/")
    return Repository(
        full_name=path,
        name=path.rpartition("/")[2],
        urls={
            "https": f"{GIT}/{path}",
            "ssh": f"git+ssh://git.launchpad.net/{path}",
            "html": f"{PAGES}/{path}",
        },
    )


__all__ = ["BranchPush", "ProposalEvent", "Push", "update_of"]
