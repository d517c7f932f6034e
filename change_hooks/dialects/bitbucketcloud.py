"""The ``bitbucketcloud`` dialect: Bitbucket Cloud.

Source: Atlassian, "Event payloads" (Bitbucket Cloud); "Secure webhooks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from change_hooks.core.events import Action, Event, Ignored
from change_hooks.core.options import Options
from change_hooks.dialects.bitbucket import BitBucketOptions
from change_hooks.dialects.bitbucket_styles import BitbucketCloudStyle
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.methods import reports, shaped
from change_hooks.dialects.payloads.bitbucketcloud import ACTIONS, CommentEvent, PullRequestEvent, Push


class BitbucketCloudEventHandler(EventHandler[BitBucketOptions]):
    """Handles ``repo:push``, the pull request events, and comments on pull requests."""

    sender = "Bitbucket Cloud"
    verified_by = "HMAC-SHA256"
    Options: ClassVar[type[Options] | None] = BitBucketOptions
    forge = "bitbucketcloud"
    prefix = "bitbucket"
    event_header = "X-Event-Key"
    id_headers = ("X-Request-UUID",)
    pull_event = "pullrequest:created"
    style = BitbucketCloudStyle()
    event_actions: ClassVar[Mapping[str, Action]] = ACTIONS

    @shaped(Push)
    def handle_repo_push(self, payload: Push, event: str = "repo:push") -> Sequence[Event]:
        """Branches and tags were created, moved or deleted."""
        return payload.updates(event) or [Ignored("the push lists no branch and no tag")]

    @shaped(PullRequestEvent)
    def handle_pullrequest_created(self, payload: PullRequestEvent, event: str) -> Event:
        """Something happened to a pull request."""
        return payload.neutral(event)

    handle_pullrequest_updated = handle_pullrequest_created
    handle_pullrequest_fulfilled = handle_pullrequest_created
    handle_pullrequest_rejected = handle_pullrequest_created

    @reports("comments")
    @shaped(CommentEvent)
    def handle_pullrequest_comment_created(self, payload: CommentEvent, event: str) -> Event:
        """Somebody wrote a comment on a pull request."""
        return payload.written(event)

    @reports("nothing")
    @shaped(CommentEvent)
    def handle_pullrequest_comment_updated(self, payload: CommentEvent, event: str) -> Event:
        """Somebody changed or deleted a comment on a pull request."""
        return payload.written(event)

    handle_pullrequest_comment_deleted = handle_pullrequest_comment_updated
    handle_pullrequest_comment_resolved = handle_pullrequest_comment_updated
    handle_pullrequest_comment_reopened = handle_pullrequest_comment_updated

    @reports("nothing")
    def handle_pullrequest_approved(self, payload: object) -> Event:
        """Somebody reviewed a pull request."""
        return Ignored("an approval or another review gives no change")

    handle_pullrequest_unapproved = handle_pullrequest_approved
    handle_pullrequest_changes_request_created = handle_pullrequest_approved
    handle_pullrequest_changes_request_removed = handle_pullrequest_approved

    def property_source(self, event: str, payload: Mapping[str, object]) -> Mapping[str, object]:
        """The pull request, if the payload has one."""
        found = payload.get("pullrequest") if event in ACTIONS else payload
        return found if isinstance(found, Mapping) else payload


__all__ = ["BitbucketCloudEventHandler"]
