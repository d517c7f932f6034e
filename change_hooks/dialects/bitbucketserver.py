"""The ``bitbucketserver`` dialect: Bitbucket Server and Data Center.

Its own webhooks (versions 5 to 9), and those of the older add-on, whose payloads resemble Cloud's.

Source: Atlassian, "Event payload" (Bitbucket Data Center); the add-on "Post Webhooks for Bitbucket".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from change_hooks.core.events import Action, Event, Ignored
from change_hooks.core.options import Options, option, text
from change_hooks.dialects.bitbucket import BitBucketOptions
from change_hooks.dialects.bitbucket_styles import BitbucketServerStyle
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.methods import reports, shaped
from change_hooks.dialects.payloads.bitbucketserver import Push
from change_hooks.dialects.payloads.bitbucketserver_pulls import (
    ACTIONS,
    AddOnPullRequestEvent,
    CommentEvent,
    PullRequestEvent,
    pull_request_in,
)


@dataclass(frozen=True)
class BitbucketServerOptions(BitBucketOptions):
    """The options of ``bitbucketserver``."""

    server_url: str = option("", text)


class BitbucketServerEventHandler(EventHandler[BitbucketServerOptions]):
    """Handles pushes (also to mirrors), the ``pr:`` events, and the add-on's events."""

    sender = "Bitbucket Server, Data Center"
    verified_by = "HMAC-SHA256"
    Options: ClassVar[type[Options] | None] = BitbucketServerOptions
    forge = "bitbucketserver"
    prefix = "bitbucket"
    event_header = "X-Event-Key"
    id_headers = ("X-Request-Id",)
    style = BitbucketServerStyle()
    event_actions: ClassVar[Mapping[str, Action]] = ACTIONS

    def property_source(self, event: str, payload: Mapping[str, object]) -> Mapping[str, object]:
        """The pull request, if the payload has one."""
        return pull_request_in(payload) if event in ACTIONS else payload

    @reports("nothing")
    def handle_diagnostics_ping(self, payload: object) -> Event:
        """A test of the connection."""
        return Ignored("a ping; the webhook works")

    @shaped(Push)
    def handle_repo_refs_changed(self, payload: Push, event: str = "repo:refs_changed") -> Sequence[Event]:
        """Branches and tags were created, moved or deleted."""
        return payload.updates(event, self.settings.server_url) or [NOTHING_LISTED]

    handle_repo_push = handle_repo_refs_changed
    handle_mirror_repo_synchronized = handle_repo_refs_changed

    @shaped(PullRequestEvent)
    def handle_pr_opened(self, payload: PullRequestEvent, event: str) -> Event:
        """Something happened to a pull request."""
        if event == "pr:modified" and not payload.moved:
            return Ignored("neither the target nor a commit of the pull request has changed")
        return payload.neutral(event, self.settings.server_url)

    handle_pr_from_ref_updated = handle_pr_opened
    handle_pr_modified = handle_pr_opened
    handle_pr_merged = handle_pr_opened
    handle_pr_declined = handle_pr_opened
    handle_pr_deleted = handle_pr_opened

    @reports("comments")
    @shaped(CommentEvent)
    def handle_pr_comment_added(self, payload: CommentEvent, event: str) -> Event:
        """Somebody wrote a comment on a pull request."""
        return payload.written(event, self.settings.server_url)

    @reports("nothing")
    @shaped(CommentEvent)
    def handle_pr_comment_edited(self, payload: CommentEvent, event: str) -> Event:
        """Somebody changed or deleted a comment on a pull request."""
        return payload.written(event, self.settings.server_url)

    handle_pr_comment_deleted = handle_pr_comment_edited

    @reports("nothing")
    def handle_pr_reviewer_approved(self, payload: object) -> Event:
        """Somebody reviewed a pull request, or was asked to."""
        return Ignored("an approval or another review gives no change")

    handle_pr_reviewer_unapproved = handle_pr_reviewer_approved
    handle_pr_reviewer_needs_work = handle_pr_reviewer_approved
    handle_pr_reviewer_changes_requested = handle_pr_reviewer_approved
    handle_pr_reviewer_updated = handle_pr_reviewer_approved

    @shaped(AddOnPullRequestEvent)
    def handle_pullrequest_created(self, payload: AddOnPullRequestEvent, event: str) -> Event:
        """The same, in the add-on's format."""
        ignored = Ignored("the add-on sends no such event")
        return payload.neutral(event, self.settings.server_url) or ignored

    handle_pullrequest_updated = handle_pullrequest_created
    handle_pullrequest_fulfilled = handle_pullrequest_created
    handle_pullrequest_rejected = handle_pullrequest_created


NOTHING_LISTED = Ignored(
    "the server lists no changed refs (too many, or merged elsewhere); a poller finds what moved"
)

__all__ = ["BitbucketServerEventHandler", "BitbucketServerOptions"]
