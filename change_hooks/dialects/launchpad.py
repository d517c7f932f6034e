"""The ``launchpad`` dialect: Launchpad's Git repositories and Bazaar branches.

Source: Launchpad, "Webhooks"; ``lib/lp/services/webhooks/client.py`` and ``lib/lp/code/model/gitjob.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.events import Event, Ignored
from change_hooks.core.options import ForgeOptions, Options, flag, option, texts
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.methods import shaped
from change_hooks.dialects.payloads.launchpad import BranchPush, ProposalEvent, Push, update_of


@dataclass(frozen=True)
class LaunchpadOptions(ForgeOptions):
    """The options of ``launchpad``."""

    allow_sha1: bool = option(default=False, check=flag)
    launchpad_property_whitelist: tuple[str, ...] = option((), texts)


class LaunchpadHandler(EventHandler[LaunchpadOptions]):
    """Handles pushes and merge proposals."""

    sender = "Launchpad"
    verified_by = "HMAC-SHA1"
    Options: ClassVar[type[Options] | None] = LaunchpadOptions
    forge = "launchpad"
    event_header = "X-Launchpad-Event-Type"
    id_headers = ("X-Launchpad-Delivery",)
    #: Launchpad offers no other algorithm.
    signature_prefix = "sha1="
    signature_algorithm = "sha1"

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A secret requires the user's consent to SHA-1."""
        problems = super().conflicts(options)
        if options.get("secret") and options.get("allow_sha1") is not True:
            problems.append("option 'secret' needs 'allow_sha1': True; Launchpad signs with HMAC-SHA1 only")
        return problems

    def handle_ping(self, payload: object) -> Event:
        """A test of the webhook."""
        return Ignored("a ping")

    @shaped(Push)
    def handle_git_push_0_1(self, payload: Push, event: str) -> list[Event]:
        """Branches and tags were created, moved or deleted. The payload lists no commits and no people."""
        return [update_of(payload, ref, change, event) for ref, change in payload.ref_changes.items()]

    @shaped(BranchPush)
    def handle_bzr_push_0_1(self, payload: BranchPush, event: str) -> Event:
        """A Bazaar branch was moved."""
        return payload.update(event)

    @shaped(ProposalEvent)
    def handle_merge_proposal_0_1(self, payload: ProposalEvent, event: str) -> Event:
        """Something happened to a merge proposal. The payload does not name its commit."""
        return payload.neutral(event) or Ignored("the merge proposal is not between Git repositories")


__all__ = ["LaunchpadHandler", "LaunchpadOptions"]
