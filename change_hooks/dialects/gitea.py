"""The dialect ``gitea``, also called ``forgejo`` and ``gogs``: those three, and Codeberg.

Source: Gitea, "Webhooks", ``services/webhook/notifier.go``; Gogs, ``internal/database/webhook.go``.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import replace

from change_hooks.core.events import Event, Ignored
from change_hooks.core.options import Options
from change_hooks.core.verdicts import NOT_ON_A_PULL, OTHER_ACTION
from change_hooks.dialects.gitea_options import GiteaOptions, GiteaStyle, ProcessMethods
from change_hooks.dialects.gitea_sender import GiteaSender
from change_hooks.dialects.methods import reports, shaped
from change_hooks.dialects.payloads import gitea as sent


class GiteaHandler(ProcessMethods, GiteaSender):
    """Handles pushes, ``create`` from Gogs, and the pull request events."""

    sender = "Gitea, Forgejo, Codeberg, Gogs"
    verified_by = "HMAC-SHA256, or the header `Authorization`"
    Options: ClassVar[type[Options] | None] = GiteaOptions
    forge = "gitea"
    style = GiteaStyle()

    @shaped(sent.Push)
    def handle_push(self, payload: sent.Push, event: str = "push") -> Event:
        """A branch or tag was created, moved or deleted."""
        if payload.before == payload.after:
            return Ignored("nothing was pushed; the webhook works")
        update = payload.update(event)
        return replace(update, total=None) if self.settings.only_push_commit else update

    @shaped(sent.MadeOrDeleted)
    def handle_gogs_create(self, payload: sent.MadeOrDeleted, event: str) -> Event:
        """Gogs created a branch or tag; it sends no push for a tag."""
        return payload.made() if payload.ref_type == "tag" else self.handle_create(payload)

    @reports("nothing")
    def handle_create(self, payload: object) -> Event:
        """A branch or tag was created."""
        return Ignored("the accompanying push reports the new branch or tag")

    @reports("deletions")
    @shaped(sent.MadeOrDeleted)
    def handle_delete(self, payload: sent.MadeOrDeleted, event: str = "delete") -> Event:
        """A branch or tag was deleted."""
        return payload.deleted(event)

    @shaped(sent.PullEvent)
    def handle_pull_request(self, payload: sent.PullEvent, event: str = "pull_request") -> Event:
        """Something happened to a pull request."""
        if payload.pull_request.mergeable is False and self.settings.only_mergeable:
            return Ignored("the pull request cannot be merged (option 'onlyMergeablePullRequest')")
        return payload.neutral(event) or Ignored(OTHER_ACTION)

    @reports("comments")
    @shaped(sent.PullEvent)
    def handle_pull_request_comment(self, payload: sent.PullEvent, event: str) -> Event:
        """Somebody reviewed a pull request, with or without a comment."""
        return payload.comment(event)

    handle_pull_request_approved = handle_pull_request_comment
    handle_pull_request_rejected = handle_pull_request_comment

    @reports("comments")
    @shaped(sent.CommentEvent)
    def handle_issue_comment(self, payload: sent.CommentEvent, event: str = "issue_comment") -> Event:
        """Somebody commented on a pull request; older versions do not send its head commit."""
        if not payload.on_a_pull_request:
            return Ignored(NOT_ON_A_PULL)
        return payload.written(event)


__all__ = ["GiteaHandler", "GiteaOptions"]
