"""The ``generic`` dialect: any sender of JSON, by configuration alone.

The configuration says where the signature or token is (:mod:`.senders`), and where the values are in the
payload (:mod:`.mapping`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Ignored
from change_hooks.core.options import Options
from change_hooks.core.policy import Policy
from change_hooks.core.stored import Stored
from change_hooks.dialects.event_handler import Result
from change_hooks.dialects.generic.looking import Looking
from change_hooks.dialects.generic.options import GenericOptions, UnnamedStyle, contradictions
from change_hooks.dialects.generic.selectors import Scope, as_text
from change_hooks.dialects.generic.senders import StandardWebhook
from change_hooks.dialects.handler import apart
from change_hooks.flow import Steps

#: The event name of a delivery whose event has no name.
UNNAMED = "delivery"


class GenericHandler(Looking):
    """Handles any JSON object. A subclass may have methods ``handle_<event>`` for its own events."""

    sender = "any sender of JSON, with a mapping in the configuration"
    verified_by = "HMAC, Standard Webhooks, or a token"
    Options: ClassVar[type[Options] | None] = GenericOptions
    forge = "generic"
    takes_form = True
    otherwise = "handle_anything"

    def __init__(self, master: object, options: object) -> None:
        super().__init__(master, options)
        said = self.settings
        if said.event is None:
            self._policy = Policy(said, UnnamedStyle())
        self._mapper = said.mapper()

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A secret needs a place in the request, and a mapping must describe something to build."""
        return super().conflicts(options) + contradictions(options)

    def stored(self) -> Stored:
        """Every header that is read is stored, so that a replayed delivery has it; tokens are not."""
        said = self.settings
        read = {name for one in (said.event, said.id) if one is not None for name in one.headers}
        token_in = said.token_in.place if said.token_in is not None else {}
        return msgspec.structs.replace(
            super().stored(),
            headers=frozenset(name.lower().encode() for name in read),
            secret_headers=frozenset(name.lower().encode() for name in token_in.get("header", ())),
            secret_arguments=frozenset(name.encode() for name in token_in.get("query", ())),
        )

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """As the options ``signature`` and ``token_in`` say."""
        way = self.settings.way
        assert way is not None  # noqa: S101 (a secret without one is an error when the options are read)
        return way.verify(delivery, lambda: self.opened(delivery), secrets)

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """As the options ``signature`` and ``token_in`` say."""
        way = self.settings.way
        return delivery if way is None else way.sign(delivery, secret)

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """A token in the body is removed, so that it is never stored."""
        fresh = not delivery.is_verified_for(self)
        delivery = yield from super().verified(delivery)
        token = self.settings.token_in
        if not fresh or token is None or token.kind != "body":
            return delivery
        stripped: Delivery = yield apart(delivery, lambda: token.stripped(delivery, self.opened(delivery)))
        return stripped

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The value of the option ``id``; for Standard Webhooks, the signed id."""
        if self.settings.id is not None:
            try:
                return as_text(self._look(self.settings.id, delivery))
            except BadPayload:
                return None
        if isinstance(self.settings.signature, StandardWebhook) and delivery.verification == "signature":
            return delivery.header("webhook-id")
        return None

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The value of the option ``event``."""
        if self.settings.event is None:
            return UNNAMED
        return as_text(self._look(self.settings.event, delivery)) or UNNAMED

    def handle_anything(self, payload: Mapping[str, object], event: str) -> Result:
        """The events or changes that the mapping describes."""
        said = self.settings
        refused, scope = said.refusal(event), Scope(payload, payload)
        if refused is not None:
            return Ignored(refused)
        if said.refs is not None:
            return self._mapper.updates(scope, event)
        found = self._mapper.changes(scope)
        return found if isinstance(found, Ignored) else (found, None)


__all__ = ["UNNAMED", "GenericHandler", "GenericOptions"]
