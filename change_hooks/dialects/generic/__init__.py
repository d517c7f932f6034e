"""The ``generic`` dialect: any sender of JSON, from configuration alone.

It says where the signature or token is (:mod:`.senders`) and where in the payload the values stand
(:mod:`.mapping`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Ignored
from change_hooks.core.options import ForgeOptions, Options, option, text, texts
from change_hooks.core.payload import decode, expect_mapping, with_json
from change_hooks.core.policy import Policy
from change_hooks.core.select import matches
from change_hooks.core.stored import Stored
from change_hooks.core.style import Style
from change_hooks.dialects.event_handler import EventHandler, Result
from change_hooks.dialects.generic import mapping
from change_hooks.dialects.generic.mapping import Mapper, Table
from change_hooks.dialects.generic.selectors import Scope, Selector, as_text, selector
from change_hooks.dialects.generic.senders import StandardWebhook, Token, Verifier, signature, token_in
from change_hooks.dialects.handler import apart
from change_hooks.flow import Steps

#: What a delivery is called whose event has no name.
UNNAMED = "delivery"


@dataclass(frozen=True)
class GenericOptions(ForgeOptions):
    """What a user may write for ``generic``."""

    signature: Verifier | None = option(None, signature)
    token_in: Token | None = option(None, token_in)
    event: Selector | None = option(None, selector)
    id: Selector | None = option(None, selector)
    events: tuple[str, ...] | None = option(None, texts)
    ignore_events: tuple[str, ...] = option((), texts)
    repository: Table | None = option(None, mapping.repository)
    refs: Table | None = option(None, mapping.refs)
    commits: Table | None = option(None, mapping.commits)
    change: Table | None = option(None, mapping.change)
    properties: Table | None = option(None, mapping.properties)
    src: str = option("git", text)
    generic_property_whitelist: tuple[str, ...] = option((), texts)


class UnnamedStyle(Style):
    """The look of changes when events have no names."""

    event_property = False


class GenericHandler(EventHandler[GenericOptions]):
    """Takes any JSON object. A subclass may have methods ``handle_<event>`` for events of its own."""

    sender = "any sender of JSON, by a mapping in the configuration"
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
        self._mapper = Mapper(
            said.refs, said.commits, said.repository, said.change, said.properties, said.src
        )

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> list[str]:
        """A secret needs a place, and a mapping something to give."""
        problems = super().conflicts(options)
        there = {name for name, value in options.items() if value is not None}
        ways = there & {"signature", "token_in"}
        if "secret" in there and not ways:
            problems.append("option 'secret' needs 'signature' or 'token_in'")
        if len(ways) == 2:
            problems.append("options 'signature' and 'token_in' exclude each other")
        if ways and "secret" not in there:
            problems.append(f"option {min(ways)!r} needs a 'secret'")
        if ("refs" in there) == ("change" in there):
            problems.append("one of the options 'refs' and 'change' must say what to build, and not both")
        if "commits" in there and "refs" not in there:
            problems.append("option 'commits' needs 'refs'")
        return problems

    def stored(self) -> Stored:
        """Every header that is read, so that a replayed delivery has it; no token."""
        said = self.settings
        read = {name for one in (said.event, said.id) if one is not None for name in one.headers}
        token = said.token_in
        return msgspec.structs.replace(
            super().stored(),
            headers=frozenset(name.lower().encode() for name in read),
            secret_headers=frozenset(
                {token.name.lower().encode()} if token and token.kind == "header" else ()
            ),
            secret_arguments=frozenset({token.name.encode()} if token and token.kind == "query" else ()),
        )

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """As the options ``signature`` and ``token_in`` say."""
        way: Verifier | None = self.settings.signature or self.settings.token_in
        assert way is not None  # noqa: S101 (a secret without one is an error when the options are read)
        return way.verify(delivery, lambda: self.document(delivery), secrets)

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """As the options ``signature`` and ``token_in`` say."""
        way: Verifier | None = self.settings.signature or self.settings.token_in
        return delivery if way is None else way.sign(delivery, secret)

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """A token in the body is taken out: it is never stored."""
        fresh = delivery.verification is None
        delivery = yield from super().verified(delivery)
        token = self.settings.token_in
        if not fresh or token is None or token.kind != "body":
            return delivery
        stripped: Delivery = yield apart(delivery, self._stripped, delivery, token)
        return stripped

    def _stripped(self, delivery: Delivery, token: Token) -> Delivery:
        return with_json(delivery, token.stripped(self.document(delivery)))

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The option ``id``; of Standard Webhooks, the id that is signed."""
        if self.settings.id is not None:
            try:
                return as_text(self._look(self.settings.id, delivery, self.document(delivery)))
            except BadPayload:
                return None
        if isinstance(self.settings.signature, StandardWebhook) and delivery.verification == "signature":
            return delivery.header("webhook-id")
        return None

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The option ``event``."""
        if self.settings.event is None:
            return UNNAMED
        return as_text(self._look(self.settings.event, delivery, document)) or UNNAMED

    def _look(self, where: Selector, delivery: Delivery, document: bytes) -> Any:
        payload = expect_mapping(decode(document, Any))
        return where.find(Scope(payload, payload, header=delivery.header))

    def handle_anything(self, payload: Mapping[str, object], event: str) -> Result:
        """What the mapping makes of it."""
        said = self.settings
        if matches(event, said.ignore_events):
            return Ignored("this event gives no change (option 'ignore_events')")
        if said.events is not None and not matches(event, said.events):
            return Ignored("the event matches none of the option 'events'")
        scope = Scope(payload, payload)
        if said.refs is not None:
            return self._mapper.updates(scope, event)
        found = self._mapper.changes(scope)
        return found if isinstance(found, Ignored) else (found, None)


__all__ = ["UNNAMED", "GenericHandler", "GenericOptions"]
