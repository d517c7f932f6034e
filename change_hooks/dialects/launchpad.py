"""The ``launchpad`` dialect: Launchpad's Git repositories and Bazaar branches.

Source: Launchpad, "Webhooks"; ``lib/lp/services/webhooks/client.py`` and ``lib/lp/code/model/gitjob.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.events import Action, Event, Ignored, Person, PullRequest, RefUpdate, Repository, Side
from change_hooks.core.options import ForgeOptions, Options, flag, option, texts
from change_hooks.core.payload import Shape
from change_hooks.core.verification import sign_hmac, verify_hmac
from change_hooks.dialects.event_handler import EventHandler, shaped


class Place(Shape):
    commit_sha1: str


class RefChange(Shape):
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


@dataclass(frozen=True)
class LaunchpadOptions(ForgeOptions):
    """What a user may write for ``launchpad``."""

    allow_sha1: bool = option(default=False, check=flag)
    launchpad_property_whitelist: tuple[str, ...] = option((), texts)


class LaunchpadHandler(EventHandler[LaunchpadOptions]):
    """Takes pushes and merge proposals."""

    sender = "Launchpad"
    verified_by = "HMAC-SHA1"
    Options: ClassVar[type[Options] | None] = LaunchpadOptions
    forge = "launchpad"
    event_header = "X-Launchpad-Event-Type"
    id_headers = ("X-Launchpad-Delivery",)

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """The signature uses SHA-1: Launchpad offers nothing else."""
        header = delivery.getHeader(b"x-hub-signature")
        verify_hmac(delivery.body, header, secrets, algorithm="sha1", prefix="sha1=")
        return "signature"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """With SHA-1."""
        signature = sign_hmac(delivery.body, secret, "sha1", "sha1=")
        return delivery.replace(headers={"X-Hub-Signature": signature})

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A secret needs the word of the user that SHA-1 will do."""
        problems = super().conflicts(options)
        if options.get("secret") and options.get("allow_sha1") is not True:
            problems.append("option 'secret' needs 'allow_sha1': True; Launchpad signs with HMAC-SHA1 only")
        return problems

    def handle_ping(self, payload: Any) -> Event:
        """Somebody tried the webhook."""
        return Ignored("a ping")

    @shaped(Push)
    def handle_git_push_0_1(self, payload: Push, event: str) -> list[Event]:
        """Branches and tags were made, moved or deleted. Commits and people are not listed."""
        repository = _repository(payload.git_repository_path)
        return [
            RefUpdate(
                repository=repository,
                ref=ref,
                before=change.old.commit_sha1 if change.old else None,
                after=change.new.commit_sha1 if change.new else None,
                created=change.old is None,
                url=f"{repository.urls['https']}/commit/?id={change.new.commit_sha1}" if change.new else "",
                name=event,
            )
            for ref, change in payload.ref_changes.items()
        ]

    @shaped(BranchPush)
    def handle_bzr_push_0_1(self, payload: BranchPush, event: str) -> Event:
        """A Bazaar branch was moved."""
        path = payload.bzr_branch_path
        return RefUpdate(
            repository=Repository(
                full_name=path, urls={"usual": f"lp:{path}", "html": f"{_PAGES}/{path}"}, src="bzr"
            ),
            ref=path.rpartition("/")[2],
            after=payload.new.revision_id,
            url=f"{_PAGES}/{path}",
            name=event,
        )

    @shaped(ProposalEvent)
    def handle_merge_proposal_0_1(self, payload: ProposalEvent, event: str) -> Event:
        """Something happened to a merge proposal. The commit it is on is not named."""
        now = payload.new or payload.old or Proposal()
        if not now.target_git_repository:
            return Ignored("the merge proposal is not between Git repositories")
        source = _repository(now.source_git_repository) if now.source_git_repository else None
        number = payload.merge_proposal.rpartition("/")[2]
        return PullRequest(
            repository=_repository(now.target_git_repository),
            number=int(number) if number.isdecimal() else 0,
            action=_action(payload),
            forge_action=payload.action or "",
            title=now.commit_message,
            body=now.description,
            head=Side(branch=_short(now.source_git_path), repository=source),
            base=Side(branch=_short(now.target_git_path)),
            author=Person(login=(now.registrant or "").rpartition("~")[2] or None),
            draft=now.queue_status == "Work in progress",
            url=f"{_PAGES}/{payload.merge_proposal.lstrip('/')}",
            name=event,
            properties={
                "base_branch": _short(now.target_git_path),
                "head_branch": _short(now.source_git_path),
                "head_repository": source.urls["https"] if source is not None else None,
            },
        )


_GIT, _PAGES = "https://git.launchpad.net", "https://code.launchpad.net"
_CLOSED: dict[str | None, Action] = {"Merged": "merged", "Rejected": "closed", "Superseded": "closed"}


def _action(payload: ProposalEvent) -> Action:
    old, new = payload.old or Proposal(), payload.new
    if new is None:
        return "closed"
    if payload.action == "created":
        return "opened"
    if old.queue_status != new.queue_status:
        if new.queue_status in _CLOSED:
            return _CLOSED[new.queue_status]
        if old.queue_status in _CLOSED:
            return "reopened"
        drafts = "Work in progress"
        return (
            "drafted" if new.queue_status == drafts else "ready" if old.queue_status == drafts else "edited"
        )
    return "updated" if old == new or old.preview_diff != new.preview_diff else "edited"


def _short(ref: str | None) -> str | None:
    return ref.removeprefix("refs/heads/") if ref else None


def _repository(path: str) -> Repository:
    path = path.lstrip("/")
    return Repository(
        full_name=path,
        name=path.rpartition("/")[2],
        urls={
            "https": f"{_GIT}/{path}",
            "ssh": f"git+ssh://git.launchpad.net/{path}",
            "html": f"{_PAGES}/{path}",
        },
    )


__all__ = ["LaunchpadHandler", "LaunchpadOptions"]
