"""The ``bitbucketcloud`` dialect: Bitbucket Cloud.

Source: Atlassian, "Event payloads" (Bitbucket Cloud); "Secure webhooks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from change_hooks.core.events import Action, Event, Ignored, PullRequest, RefUpdate
from change_hooks.core.options import Options
from change_hooks.core.style import Style
from change_hooks.dialects.bitbucket import BitBucketOptions
from change_hooks.dialects.event_handler import EventHandler, reports, shaped
from change_hooks.dialects.payloads.bitbucketcloud import ACTIONS, CommentEvent, PullRequestEvent, Push


class BitbucketStyle(Style):
    """As the pages of ``bitbucketcloud`` and ``bitbucketserver`` say."""

    per_commit = False
    full_refs = True
    deleted = "ref-deleted"
    event_property = False
    pull_actions = ("opened", "updated", "edited", "merged", "closed")
    #: How the title of a pull request's change begins.
    title: ClassVar[str] = ""

    def category(self, event: RefUpdate) -> str | None:
        """``push``, for tags too."""
        return "push"

    def pull(self, event: PullRequest, options: Any) -> dict[str, Any]:
        """Where the merge can be had; once that is over, where it went, or where it came from."""
        title = f"{self.title} Pull Request #{event.number}"
        return {
            "author": str(event.sender),
            "branch": self.pull_branch(event),
            "category": CATEGORIES[event.action],
            "comments": "\n".join(filter(None, (title, event.title, event.body))),
            "revision": (event.merge_commit if event.action == "merged" else None) or event.head.revision,
            "when_timestamp": event.created if event.action == "opened" else event.updated,
        }

    def pull_branch(self, event: PullRequest) -> str | None:
        """The whole ref."""
        if event.action == "merged":
            return event.base.branch and f"refs/heads/{event.base.branch}"
        if event.action == "closed":
            return source_ref(event)
        return event.merge_ref


def source_ref(event: PullRequest) -> str | None:
    """Where a pull request comes from: of another repository, under a name that no branch here has."""
    if event.from_fork:
        return f"refs/pull-requests/{event.number}/from"
    return event.head.branch and f"refs/heads/{event.head.branch}"


#: The categories of pull requests, by what happened.
CATEGORIES: Mapping[str, str] = {
    "opened": "pull-created",
    "reopened": "pull-created",
    "updated": "pull-updated",
    "edited": "pull-updated",
    "labeled": "pull-updated",
    "unlabeled": "pull-updated",
    "ready": "pull-updated",
    "drafted": "pull-updated",
    "queued": "pull-updated",
    "merged": "pull-fulfilled",
    "closed": "pull-rejected",
}


class BitbucketCloudStyle(BitbucketStyle):
    """There is no merge ref on Cloud: the branch is the source."""

    unnamed = "Bitbucket Cloud commit {revision}"
    title = "Bitbucket Cloud"

    def pull_branch(self, event: PullRequest) -> str | None:
        """The older form has a merge ref."""
        if event.action in ("merged", "closed"):
            return super().pull_branch(event)
        return event.merge_ref or source_ref(event)


class BitbucketCloudEventHandler(EventHandler[BitBucketOptions]):
    """Takes ``repo:push``, what happens to pull requests, and comments on them."""

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
        """Branches and tags were made, moved or deleted."""
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
        """Of a pull request's payload, the pull request."""
        found = payload.get("pullrequest") if event in ACTIONS else payload
        return found if isinstance(found, Mapping) else payload


__all__ = ["CATEGORIES", "BitbucketCloudEventHandler", "BitbucketStyle", "source_ref"]
