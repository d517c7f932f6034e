"""The senders of ``gitea``: the headers of Gitea, Forgejo and Gogs, and their verification.

Source: Gitea, "Webhooks"; ``services/webhook/deliver.go``; Forgejo, ``services/webhook/shared``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.payload import raw_json, without
from change_hooks.core.policy import Policy
from change_hooks.core.verification import SignatureHeader, sign_together, verify_together, verify_token
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.gitea_options import GiteaOptions, NewestStyle
from change_hooks.dialects.handler import apart
from change_hooks.flow import Steps

#: Forgejo sends the headers of all three forges, Gitea its own and those of Gogs.
FAMILY = ("Forgejo", "Gitea", "Gogs")
SIGNATURES = (
    *(SignatureHeader(f"X-{name}-Signature") for name in FAMILY),
    SignatureHeader("X-Hub-Signature-256", "sha256="),
    SignatureHeader("X-Hub-Signature", "sha1=", "sha1"),
)


class GiteaSender(EventHandler[GiteaOptions]):
    """Verifies deliveries, and finds their ids and event names."""

    takes_form = True
    headers = tuple(f"X-{name}-{what}" for name in FAMILY for what in ("Event", "Event-Type", "Delivery"))

    def __init__(self, master: Any, options: Any) -> None:
        super().__init__(master, options)
        if self.settings.only_push_commit:
            self._policy = Policy(self.settings, NewestStyle())

    @property
    def signed(self) -> bool:
        """Whether a signature or the header ``Authorization`` is required."""
        return bool(self.settings.secret or self.settings.authorization)

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A strict endpoint needs a secret, or the value of ``Authorization``."""
        return [] if options.get("authorization") else super().conflicts(options)

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when nothing authenticates the sender."""
        return super().doubts(options, protected or bool(options.get("authorization")))

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """The JSON is signed, even if it is sent in a form; every signature that is present must match."""
        verify_together(self.signed_part(delivery), SIGNATURES, delivery.header, secrets)
        return "signature"

    def signed_part(self, delivery: Delivery) -> bytes:
        """The JSON, because a form around it can be encoded in many ways."""
        return raw_json(delivery, form=True)[0]

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """Add all signatures, as Forgejo does."""
        return delivery.replace(headers=sign_together(self.signed_part(delivery), SIGNATURES, secret))

    def naming(self, event: str, id: str) -> Mapping[str, str]:
        """The headers of Gitea, or of Gogs for an event that only Gogs sends."""
        name = "Gogs" if event.startswith("gogs:") else "Gitea"
        return {f"X-{name}-Event": event.removeprefix("gogs:"), f"X-{name}-Delivery": id}

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """Versions before Gitea 1.14 repeat the secret in the body; it is removed, and never stored."""
        if delivery.is_verified_for(self):
            return delivery
        wanted = self.settings.authorization
        if wanted:
            verify_token(delivery.getHeader(b"authorization"), wanted)
        if wanted and not self.settings.secret:
            delivery = delivery.replace(verification="token")
        else:
            delivery = yield from super().verified(delivery)
        stripped: Delivery = yield apart(delivery, partial(without, form=True), delivery, ("secret",))
        return stripped

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event's name; Gogs's ``create`` has a name of its own, because Gogs sends no push for tags."""
        for name in FAMILY:
            event = delivery.header(f"X-{name}-Event") or delivery.header(f"X-{name}-Event-Type")
            if event:
                return "gogs:create" if (name, event) == ("Gogs", "create") else event
        raise BadPayload("is missing; it names the event", "header X-Gitea-Event")

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The UUID, which is different for each attempt."""
        ids = (delivery.header(f"X-{name}-Delivery") for name in FAMILY)
        return next(filter(None, ids), None)


__all__ = ["FAMILY", "SIGNATURES", "GiteaSender"]
