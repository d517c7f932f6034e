"""The ``pagure`` dialect: pagure.io, the package sources of Fedora and CentOS, and other installations.

Source: Pagure, "Using web-hooks"; ``pagure/lib/tasks_services.py``, ``pagure/hooks/default.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Event, Ignored
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.style import Style
from change_hooks.core.verification import SignatureHeader, sign_together, verify_together
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.methods import shaped
from change_hooks.dialects.payloads.pagure import ACTIONS, Envelope, Sent, pull_request_of


@dataclass(frozen=True)
class PagureOptions(ForgeOptions):
    """The options of ``pagure``."""

    pagure_property_whitelist: tuple[str, ...] = option((), texts)


class PagureStyle(Style):
    """The look that the dialect's page documents."""

    per_commit = False


class PagureHandler(EventHandler[PagureOptions]):
    """Handles pushes and the pull request events."""

    sender = "Pagure: pagure.io, Fedora, CentOS"
    verified_by = "HMAC-SHA256"
    Options: ClassVar[type[Options] | None] = PagureOptions
    forge = "pagure"
    headers = ()
    style = PagureStyle()

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """Both signatures are checked; the one with SHA-1 alone is not sufficient."""
        verify_together(delivery.body, SIGNATURES, delivery.header, secrets)
        return "signature"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """Add both signatures, as Pagure does."""
        return delivery.replace(headers=sign_together(delivery.body, SIGNATURES, secret))

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The topic in the body, because the header is not signed."""
        envelope: Envelope = self.opened(delivery, Envelope)
        return envelope.topic

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The message's id, from the body."""
        try:
            envelope: Envelope = self.opened(delivery, Envelope)
        except BadPayload:
            return None
        return envelope.msg_id

    @shaped(Sent)
    def handle_git_receive(self, payload: Sent, event: str) -> Event:
        """New commits on a branch."""
        ignored = Ignored("git.branch.creation and git.tag.creation report what is new")
        return payload.received(event) or ignored

    @shaped(Sent)
    def handle_git_branch_creation(self, payload: Sent, event: str) -> Event:
        """A branch was created."""
        return payload.branch_made(event)

    @shaped(Sent)
    def handle_git_tag_creation(self, payload: Sent, event: str) -> Event:
        """A tag was created."""
        return payload.tag_made(event)

    @shaped(Sent)
    def handle_git_branch_deletion(self, payload: Sent, event: str) -> Event:
        """A branch or tag was deleted."""
        return payload.deleted(event)

    handle_git_tag_deletion = handle_git_branch_deletion

    @shaped(Sent)
    def handle_pull_request_new(self, payload: Sent, event: str) -> Event:
        """Something happened to a pull request."""
        return pull_request_of(payload.msg, event, ACTIONS.get(event, "edited"))

    handle_pull_request_reopened = handle_pull_request_new
    handle_pull_request_updated = handle_pull_request_new
    handle_pull_request_rebased = handle_pull_request_new
    handle_pull_request_initial_comment_edited = handle_pull_request_new
    handle_pull_request_tag_added = handle_pull_request_new
    handle_pull_request_tag_removed = handle_pull_request_new

    @shaped(Sent)
    def handle_pull_request_closed(self, payload: Sent, event: str) -> Event:
        """A pull request was merged, or closed without merging."""
        return payload.closed(event)

    @shaped(Sent)
    def handle_pull_request_comment_added(self, payload: Sent, event: str) -> Event:
        """Somebody wrote a comment, or Pagure did."""
        return payload.written(event)


SIGNATURES = (SignatureHeader("X-Pagure-Signature-256"), SignatureHeader("X-Pagure-Signature", "", "sha1"))

__all__ = ["PagureHandler", "PagureOptions"]
