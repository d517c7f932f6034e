"""The ``launchpad`` dialect: Launchpad's Git repositories and Bazaar branches.

Source: Launchpad, "Webhooks"; ``lib/lp/services/webhooks/client.py`` and ``lib/lp/code/model/gitjob.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.events import Event, Ignored, Person, PullRequest, RefUpdate, Repository, Side
from change_hooks.core.options import ForgeOptions, Options, flag, option, texts
from change_hooks.core.payload import LONGEST_NUMBER
from change_hooks.dialects.event_handler import EventHandler, shaped
from change_hooks.dialects.payloads.alike import short
from change_hooks.dialects.payloads.launchpad import (
    PAGES,
    BranchPush,
    Proposal,
    ProposalEvent,
    Push,
    action_of,
    repository_of,
    update_of,
)


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
    #: Launchpad offers nothing else.
    signature_prefix = "sha1="
    signature_algorithm = "sha1"

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A secret needs the word of the user that SHA-1 will do."""
        problems = super().conflicts(options)
        if options.get("secret") and options.get("allow_sha1") is not True:
            problems.append("option 'secret' needs 'allow_sha1': True; Launchpad signs with HMAC-SHA1 only")
        return problems

    def handle_ping(self, payload: object) -> Event:
        """Somebody tried the webhook."""
        return Ignored("a ping")

    @shaped(Push)
    def handle_git_push_0_1(self, payload: Push, event: str) -> list[Event]:
        """Branches and tags were made, moved or deleted. Commits and people are not listed."""
        return [update_of(payload, ref, change, event) for ref, change in payload.ref_changes.items()]

    @shaped(BranchPush)
    def handle_bzr_push_0_1(self, payload: BranchPush, event: str) -> Event:
        """A Bazaar branch was moved."""
        path = payload.bzr_branch_path
        return RefUpdate(
            repository=Repository(
                full_name=path, urls={"usual": f"lp:{path}", "html": f"{PAGES}/{path}"}, src="bzr"
            ),
            ref=path.rpartition("/")[2],
            after=payload.new.revision_id,
            url=f"{PAGES}/{path}",
            name=event,
        )

    @shaped(ProposalEvent)
    def handle_merge_proposal_0_1(self, payload: ProposalEvent, event: str) -> Event:
        """Something happened to a merge proposal. The commit it is on is not named."""
        now = payload.new or payload.old or Proposal()
        if not now.target_git_repository:
            return Ignored("the merge proposal is not between Git repositories")
        source = repository_of(now.source_git_repository) if now.source_git_repository else None
        number = payload.merge_proposal.rpartition("/")[2]
        return PullRequest(
            repository=repository_of(now.target_git_repository),
            number=int(number) if number.isdecimal() and len(number) <= LONGEST_NUMBER else 0,
            action=action_of(payload),
            forge_action=payload.action or "",
            title=now.commit_message,
            body=now.description,
            head=Side(branch=short(now.source_git_path), repository=source),
            base=Side(branch=short(now.target_git_path)),
            author=Person(login=(now.registrant or "").rpartition("~")[2] or None),
            draft=now.queue_status == "Work in progress",
            url=f"{PAGES}/{payload.merge_proposal.lstrip('/')}" if payload.merge_proposal else "",
            name=event,
            properties={
                "base_branch": short(now.target_git_path),
                "head_branch": short(now.source_git_path),
                "head_repository": source.urls["https"] if source is not None else None,
            },
        )


__all__ = ["LaunchpadHandler", "LaunchpadOptions"]
