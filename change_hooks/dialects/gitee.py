"""The dialect ``gitee``: Gitee.

Source: Gitee, "WebHook"; "WebHook push data format"; "WebHook signature algorithm".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload, SignatureMismatch
from change_hooks.core.events import Event, Ignored
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.payload import without
from change_hooks.core.verdicts import NOT_ON_A_PULL, OTHER_ACTION
from change_hooks.core.verification import verify_timestamp, verify_token
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.handler import apart
from change_hooks.dialects.methods import shaped
from change_hooks.dialects.payloads.gitee import Kind, NoteEvent, PullEvent, Push, signatures
from change_hooks.flow import Steps

#: How old a signed timestamp may be, in seconds.
TOLERANCE = 3600
#: Secret top-level fields of a payload: whoever has seen them can impersonate the forge.
SECRET_FIELDS = ("password", "sign", "timestamp")


@dataclass(frozen=True)
class GiteeOptions(ForgeOptions):
    """The options of ``gitee``."""

    gitee_property_whitelist: tuple[str, ...] = option((), texts)


class GiteeHandler(EventHandler[GiteeOptions]):
    """Handles pushes, pull requests and comments."""

    sender = "Gitee"
    verified_by = "password, or HMAC-SHA256 that does not cover the body"
    Options: ClassVar[type[Options] | None] = GiteeOptions
    forge = "gitee"
    event_header = "X-Gitee-Event"
    headers = ("X-Gitee-Timestamp", "X-Gitee-Ping")
    secret_headers = ("X-Gitee-Token", "X-Git-Oschina-Token")

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """The token is the secret itself, or a signature of the time. Neither protects the body."""
        token = delivery.getHeader(b"x-gitee-token") or delivery.getHeader(b"x-git-oschina-token")
        timestamp = delivery.header("X-Gitee-Timestamp")
        try:
            verify_token(token, secrets)
        except SignatureMismatch:
            if not timestamp:
                raise
            verify_timestamp(timestamp, now=delivery.received, tolerance=TOLERANCE, unit=0.001)
            verify_token(token, [form for secret in secrets for form in signatures(timestamp, secret)])
        return "token"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """Add the secret itself."""
        return delivery.replace(headers={"X-Gitee-Token": secret.decode("utf-8", "surrogateescape")})

    def verified(self, delivery: Delivery) -> Steps[Delivery]:
        """The body repeats the secrets; they are removed, and never stored."""
        if delivery.is_verified_for(self):
            return delivery
        delivery = yield from super().verified(delivery)
        stripped: Delivery = yield apart(delivery, partial(without, form=False), delivery, SECRET_FIELDS)
        return stripped

    def delivery_id(self, delivery: Delivery) -> str:
        """A digest of the time and the body: Gitee sends no id."""
        sent = f"{delivery.header('X-Gitee-Timestamp')}\n".encode()
        return sha256(sent + delivery.body).hexdigest()[:32]

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event's name in the payload, or else in the header."""
        if delivery.header("X-Gitee-Ping") == "true":
            return "ping"
        kind: Kind = self.opened(delivery, Kind)
        header = delivery.header(self.event_header) or ""
        name = kind.hook_name or header.lower().replace(" ", "_")
        if not name:
            raise BadPayload("is missing; it names the event", "$.hook_name")
        return name.removesuffix("s").removesuffix("_hook")

    def handle_ping(self, payload: object) -> Event:
        """A test of the webhook."""
        return Ignored("a ping; the webhook works")

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Event:
        """A branch or tag was created, moved or deleted."""
        return payload.update(event)

    handle_tag_push = handle_push

    @shaped(PullEvent)
    def handle_merge_request(self, payload: PullEvent, event: str = "merge_request") -> Event:
        """Something happened to a pull request."""
        return payload.neutral() or Ignored(OTHER_ACTION)

    @shaped(NoteEvent)
    def handle_note(self, payload: NoteEvent, event: str = "note") -> Event:
        """Somebody wrote a comment."""
        pull = payload.pull_request
        if pull is None or payload.noteable_type not in (None, "PullRequest"):
            return Ignored(NOT_ON_A_PULL)
        return payload.comment_on(pull)


__all__ = ["GiteeHandler", "GiteeOptions"]
