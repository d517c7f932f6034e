"""The ``gitlab`` dialect: the project, group and system hooks of GitLab 8 and later.

Source: GitLab, "Webhook events"; "System hooks"; "Webhooks: secret token and signing token"; Standard
Webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Event, Ignored
from change_hooks.core.options import Options
from change_hooks.core.verification import signing_key, verify_token
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.gitlab_options import GitLabOptions, GitLabStyle
from change_hooks.dialects.methods import reports, shaped
from change_hooks.dialects.payloads.gitlab import Kind, MergeRequestEvent, NoteEvent, Push, RepositoryUpdate
from change_hooks.dialects.standard_webhooks import sign_headers, verify_headers


class GitLabHandler(EventHandler[GitLabOptions]):
    """Handles pushes (``repository_update`` too), ``merge_request``, and ``note`` on merge requests."""

    sender = "GitLab"
    verified_by = "token, Standard Webhooks signature"
    Options: ClassVar[type[Options] | None] = GitLabOptions
    forge = "gitlab"
    event_header = "X-Gitlab-Event"
    headers = ("webhook-id", "Idempotency-Key", "X-Gitlab-Event-UUID")
    secret_headers = ("X-Gitlab-Token",)
    style = GitLabStyle()

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """A ``whsec_`` secret signs the body; any other is the token. Each one that was sent is checked."""
        keys = [secret for secret in secrets if signing_key(secret) is not None]
        tokens = [secret for secret in secrets if secret not in keys]
        if not delivery.header("webhook-signature") or not keys:
            verify_token(delivery.getHeader(b"x-gitlab-token") or None, tokens or keys)
            return "token"
        verify_headers(delivery, keys)
        token = delivery.getHeader(b"x-gitlab-token")
        if token and tokens:
            verify_token(token, tokens)
        return "signature"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """Sign with a ``whsec_`` secret; send any other secret as the token."""
        if signing_key(secret) is None:
            return delivery.replace(headers={"X-Gitlab-Token": secret.decode("utf-8", "surrogateescape")})
        return sign_headers(delivery, secret, delivery.header("Idempotency-Key"))

    def naming(self, event: str, id: str) -> Mapping[str, str]:
        """The header has its own names for events, and a single name for all system hooks."""
        header = next((header for header, name in _HEADERS.items() if name == event), "System Hook")
        return {self.event_header: header, "Idempotency-Key": id}

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The signed id, or the idempotency key. For older versions: the event's UUID with a digest of the
        body, because several hooks share it, and the webhook's own UUID is different for each attempt.
        """
        signed = delivery.header("webhook-id")
        if signed and delivery.verification == "signature":
            return signed
        key = delivery.header("Idempotency-Key")
        if key:
            return key
        event = delivery.header("X-Gitlab-Event-UUID")
        return f"{event}:{sha256(delivery.body).hexdigest()[:16]}" if event else signed

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event's name in the payload, because all system hooks have the same header."""
        kind: Kind = self.opened(delivery, Kind)
        name = kind.object_kind or kind.event_name or _HEADERS.get(delivery.header(self.event_header) or "")
        if not name:
            raise BadPayload("is missing; it names the event", "$.object_kind")
        return name

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Event:
        """A branch or tag was created, moved or deleted."""
        return payload.update(event)

    handle_tag_push = handle_push

    @shaped(RepositoryUpdate)
    def handle_repository_update(self, payload: RepositoryUpdate) -> Sequence[Event]:
        """A system hook reports a push, possibly to many branches or tags."""
        return payload.updates()

    @shaped(MergeRequestEvent)
    def handle_merge_request(self, payload: MergeRequestEvent, event: str = "merge_request") -> Event:
        """Something happened to a merge request."""
        ignored = Ignored("this action of a merge request gives no change (option 'actions')")
        return payload.neutral(event) or ignored

    @reports("comments")
    @shaped(NoteEvent)
    def handle_note(self, payload: NoteEvent, event: str = "note") -> Event:
        """Somebody wrote a comment on a merge request."""
        if payload.merge_request is None:
            return Ignored("the comment is not on a merge request")
        wanted = self.settings.note_pattern
        if wanted is not None and not wanted.search(payload.text):
            return Ignored("the comment does not match (option 'note_pattern')")
        return payload.neutral(payload.merge_request, event)


_HEADERS = {
    "Push Hook": "push",
    "Tag Push Hook": "tag_push",
    "Merge Request Hook": "merge_request",
    "Note Hook": "note",
}

__all__ = ["GitLabHandler", "GitLabOptions"]
