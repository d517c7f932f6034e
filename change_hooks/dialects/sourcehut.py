"""The ``sourcehut`` dialect: git.sr.ht and other installations, with GraphQL-native and legacy webhooks.

One key signs for all users of an installation, over the body and a nonce. A delivery's id is read from the
signed body, so a copy is recognised as a duplicate in the journal, by every receiver and after a restart; a
delivery that is older than the journal remembers is refused. Only legacy payloads have no date.

Source: man.sr.ht, "API conventions"; core.sr.ht, ``srht/crypto.py``; docs.sourcehut.org, git.sr.ht.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.delivery import Delivery
from change_hooks.core.ed25519 import public_key, verify_ed25519
from change_hooks.core.errors import BadPayload, SignatureMismatch
from change_hooks.core.events import Event
from change_hooks.core.options import ForgeOptions, Options, option, text, texts
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.handler import apart
from change_hooks.dialects.methods import shaped
from change_hooks.dialects.payloads.sourcehut import Answer, Webhook, common_of, updates_of
from change_hooks.dialects.url_token import TokenInUrl
from change_hooks.flow import Steps

#: The public key of sr.ht.
SR_HT = "uX7KWyyDNMaBma4aVbJ/cbUQpdjqczuCyK/HxzV/u+4="
#: A delivery with an older event is refused, in seconds. SourceHut retries for less than an hour.
OLDEST = 86400


@dataclass(frozen=True)
class SourceHutOptions(ForgeOptions):
    """The options of ``sourcehut``."""

    public_key: Any = option((public_key(SR_HT),), lambda value: tuple(map(public_key, texts(value))))
    server_url: str = option("https://git.sr.ht", lambda value: text(value).rstrip("/"))
    sourcehut_property_whitelist: tuple[str, ...] = option((), texts)


class SourceHutHandler(TokenInUrl, EventHandler[SourceHutOptions]):
    """Handles pushes. Only SourceHut has the private key."""

    sender = "SourceHut: git.sr.ht and other installations"
    verified_by = "Ed25519"
    Options: ClassVar[type[Options] | None] = SourceHutOptions
    forge = "sourcehut"
    headers = ()

    @property
    def signed(self) -> bool:
        """Always true."""
        return True

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """Verify the signature, and with a ``secret`` also the argument ``token`` in the URL."""
        if delivery.is_verified_for(self):
            return delivery
        yield apart(delivery, self._check_signature, delivery)
        if self.settings.secret:
            yield from super().verified(delivery)
        return delivery.replace(verification="signature")

    def _check_signature(self, delivery: Delivery) -> None:
        signature, nonce = delivery.header("X-Payload-Signature"), delivery.header("X-Payload-Nonce")
        verify_ed25519(delivery.body, signature, nonce, self.settings.public_key)
        self._check_age(delivery)

    def _check_age(self, delivery: Delivery) -> None:
        happened = self._answer(delivery).happened()
        if happened is not None and delivery.received - happened > OLDEST:
            raise SignatureMismatch("the event is too old; check the clock here")

    def _answer(self, delivery: Delivery) -> Answer:
        try:
            answer: Answer = self.opened(delivery, Answer)
        except BadPayload:
            return Answer()
        return answer

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The event's id in the signed body, which all hooks of a repository share; otherwise the nonce."""
        return self._answer(delivery).id or delivery.header("X-Payload-Nonce")

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event in the signed body; a legacy payload does not name it."""
        answer: Answer = self.opened(delivery, Answer)
        return answer.event()

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """There are none: the dialect is always strict."""
        return []

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn that every user of the installation can make it sign."""
        if protected or options.get("repositories") or options.get("secret"):
            return []
        return ["accepts pushes from any user of SourceHut: set 'repositories', or a 'secret' for '?token='"]

    @shaped(Answer)
    def handle_GIT_POST_RECEIVE(self, payload: Answer, event: str) -> list[Event]:
        """Branches and tags were created, moved or deleted."""
        webhook = payload.data.webhook if payload.data else Webhook()
        common = common_of(webhook, event, self.settings.server_url)
        return updates_of(webhook.updates, common, "$.data.webhook.updates")

    @shaped(Answer)
    def handle_repo_post_update(self, payload: Answer, event: str) -> list[Event]:
        """The same, from a legacy webhook, which does not name the repository."""
        common = common_of(Webhook(pusher=payload.pusher), event, self.settings.server_url)
        return updates_of(payload.refs, common, "$.refs")


__all__ = ["OLDEST", "SR_HT", "SourceHutHandler", "SourceHutOptions"]
