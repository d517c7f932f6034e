"""The dialect ``gerrit``: Gerrit with its plugin "webhooks".

Source: Gerrit, "gerrit stream-events"; the plugin's "Config".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import ClassVar

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Comment, Event, Ignored
from change_hooks.core.options import Options
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.gerrit_options import GerritOptions, GerritStyle
from change_hooks.dialects.payloads.gerrit import Sent, read
from change_hooks.dialects.url_token import TokenInUrl


class GerritHandler(TokenInUrl, EventHandler[GerritOptions]):
    """Handles ref updates, and the events of changes under review. Gerrit signs nothing."""

    sender = "Gerrit, with the plugin webhooks"
    verified_by = "token in the URL, or HTTP Basic"
    Options: ClassVar[type[Options] | None] = GerritOptions
    forge = "gerrit"
    headers = ()
    style = GerritStyle()

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event's name in the payload."""
        sent: Sent = self.opened(delivery, Sent)
        if not sent.type:
            raise BadPayload("is missing; it names the event", "$.type")
        return sent.type

    def delivery_id(self, delivery: Delivery) -> str:
        """A digest of the body: Gerrit retries events, but gives them no id."""
        return sha256(delivery.body).hexdigest()[:32]

    def handle_ref_updated(self, payload: Mapping[str, object]) -> Sequence[Event]:
        """Refs were created, moved or deleted, including Gerrit's own, which give no change."""
        sent, properties = read(payload)
        return sent.updates(self.settings.git_base_url, properties)

    handle_batch_ref_updated = handle_ref_updated

    def handle_patchset_created(self, payload: Mapping[str, object], event: str) -> Event:
        """Something happened to a change under review."""
        sent, properties = read(payload)
        kind = sent.patchSet.kind if event == "patchset-created" and sent.patchSet is not None else None
        if kind in self.settings.skip_kinds:
            return Ignored("the patch set changes nothing that is built (option 'skip_kinds')")
        return sent.pull(sent.action(), self.settings.git_base_url, properties)

    handle_draft_published = handle_patchset_created
    handle_change_merged = handle_patchset_created
    handle_change_abandoned = handle_patchset_created
    handle_change_restored = handle_patchset_created
    handle_wip_state_changed = handle_patchset_created
    handle_hashtags_changed = handle_patchset_created
    handle_topic_changed = handle_patchset_created

    def handle_comment_added(self, payload: Mapping[str, object]) -> list[Event]:
        """Somebody commented, voted, or both; a vote labels the change."""
        sent, properties = read(payload)
        pull = sent.pull("labeled", self.settings.git_base_url, properties)
        comment = Comment(
            pull_request=pull, author=pull.sender, text=sent.text(), url=pull.url, name=sent.type
        )
        return [pull, comment] if sent.votes() else [comment]


__all__ = ["GerritHandler", "GerritOptions"]
