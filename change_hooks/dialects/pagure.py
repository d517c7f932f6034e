"""The ``pagure`` dialect: pagure.io, the package sources of Fedora and CentOS, and other installations.

Source: Pagure, "Using web-hooks"; ``pagure/lib/tasks_services.py``, ``pagure/hooks/default.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Action,
    Comment,
    Event,
    Ignored,
)
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.payload import decode
from change_hooks.core.style import Style
from change_hooks.core.verification import SignatureHeader, sign_together, verify_together
from change_hooks.dialects.event_handler import EventHandler, shaped
from change_hooks.dialects.payloads.pagure import (
    Envelope,
    Note,
    Sent,
    branch_of,
    needed,
    pull_request_of,
    ref_update,
)


@dataclass(frozen=True)
class PagureOptions(ForgeOptions):
    """What a user may write for ``pagure``."""

    pagure_property_whitelist: tuple[str, ...] = option((), texts)


class PagureStyle(Style):
    """As the page of the dialect says."""

    per_commit = False


class PagureHandler(EventHandler[PagureOptions]):
    """Takes pushes, and what happens to pull requests."""

    sender = "Pagure: pagure.io, Fedora, CentOS"
    verified_by = "HMAC-SHA256"
    Options: ClassVar[type[Options] | None] = PagureOptions
    forge = "pagure"
    headers = ()
    style = PagureStyle()

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """Both signatures are checked; that with SHA-1 alone is not enough."""
        verify_together(delivery.body, SIGNATURES, delivery.header, secrets)
        return "signature"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """With both hashes, as Pagure does."""
        return delivery.replace(headers=sign_together(delivery.body, SIGNATURES, secret))

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The topic in the body: the header is not signed."""
        envelope: Envelope = decode(document, Envelope)
        return envelope.topic

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The id of the message, in the body."""
        try:
            envelope: Envelope = decode(self.document(delivery), Envelope)
        except BadPayload:
            return None
        return envelope.msg_id

    @shaped(Sent)
    def handle_git_receive(self, payload: Sent, event: str) -> Event:
        """New commits on a branch; how many, but not what they say."""
        message = payload.msg
        if (message.old_commit or "").startswith("^"):
            return Ignored("git.branch.creation and git.tag.creation report what is new")
        files, total = message.changed_files, message.total_commits
        return ref_update(
            payload,
            event,
            branch_of(message),
            needed(message.end_commit, "end_commit"),
            None if files is None else list(files),
            # Of a forced push it is the merge base.
            before=None if message.forced else message.old_commit,
            total=total if total is not None and total > 1 else None,
            forced=message.forced,
        )

    @shaped(Sent)
    def handle_git_branch_creation(self, payload: Sent, event: str) -> Event:
        """A branch was made, with or without new commits."""
        return ref_update(
            payload, event, branch_of(payload.msg), needed(payload.msg.rev, "rev"), created=True
        )

    @shaped(Sent)
    def handle_git_tag_creation(self, payload: Sent, event: str) -> Event:
        """A tag was made."""
        ref = f"refs/tags/{needed(payload.msg.tag, 'tag')}"
        return ref_update(payload, event, ref, needed(payload.msg.rev, "rev"), created=True)

    @shaped(Sent)
    def handle_git_branch_deletion(self, payload: Sent, event: str) -> Event:
        """A branch or tag was deleted."""
        ref = f"refs/tags/{payload.msg.tag}" if payload.msg.tag else branch_of(payload.msg)
        return ref_update(payload, event, ref, None, before=payload.msg.rev)

    handle_git_tag_deletion = handle_git_branch_deletion

    @shaped(Sent)
    def handle_pull_request_new(self, payload: Sent, event: str) -> Event:
        """Something happened to a pull request."""
        return pull_request_of(payload.msg, event, _ACTIONS.get(event, "edited"))

    handle_pull_request_reopened = handle_pull_request_new
    handle_pull_request_updated = handle_pull_request_new
    handle_pull_request_rebased = handle_pull_request_new
    handle_pull_request_initial_comment_edited = handle_pull_request_new
    handle_pull_request_tag_added = handle_pull_request_new
    handle_pull_request_tag_removed = handle_pull_request_new

    @shaped(Sent)
    def handle_pull_request_closed(self, payload: Sent, event: str) -> Event:
        """It was merged, or closed without that."""
        pull = payload.msg.pullrequest
        merged = payload.msg.merged or (pull is not None and pull.status == "Merged")
        return pull_request_of(payload.msg, event, "merged" if merged else "closed")

    @shaped(Sent)
    def handle_pull_request_comment_added(self, payload: Sent, event: str) -> Event:
        """Somebody wrote a comment, or Pagure did: that is a notification."""
        pull = pull_request_of(payload.msg, event, "edited")
        found = payload.msg.pullrequest or payload.msg.pull_request
        note = found.comments[-1] if found is not None and found.comments else Note()
        return Comment(
            pull_request=pull,
            author=pull.sender,
            text=note.comment or "",
            url=pull.url,
            is_new=bool(note.comment) and not note.notification,
            name=event,
        )


SIGNATURES = (SignatureHeader("X-Pagure-Signature-256"), SignatureHeader("X-Pagure-Signature", "", "sha1"))
_ACTIONS: dict[str, Action] = {
    "pull-request.new": "opened",
    "pull-request.reopened": "reopened",
    "pull-request.updated": "updated",
    "pull-request.rebased": "updated",
    "pull-request.initial_comment.edited": "edited",
    "pull-request.tag.added": "labeled",
    "pull-request.tag.removed": "unlabeled",
}


__all__ = ["PagureHandler", "PagureOptions"]
