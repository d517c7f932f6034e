"""The dialect ``azuredevops``: Azure Repos, in the cloud and on Azure DevOps Server.

Source: Microsoft, "Service hook events"; "Webhooks with Azure DevOps"; "Troubleshoot service hooks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Action, Event, Ignored, Person
from change_hooks.core.options import ForgeOptions, Options, option, text, texts
from change_hooks.core.stored import Stored
from change_hooks.core.verification import verify_token
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.methods import reports, shaped
from change_hooks.dialects.payloads.azuredevops import CUT, CommentEvent, Pull, PullEvent, PushEvent, Sent
from change_hooks.dialects.pull_states import Remembered, Seen


@dataclass(frozen=True)
class AzureDevOpsOptions(ForgeOptions):
    """The options of ``azuredevops``."""

    secret_header: str = option("X-Change-Hook-Secret", text)
    azuredevops_property_whitelist: tuple[str, ...] = option((), texts)


class AzureDevOpsHandler(EventHandler[AzureDevOpsOptions]):
    """Handles pushes, and what happens to pull requests."""

    sender = "Azure DevOps: Azure Repos"
    verified_by = "a header with the secret, or HTTP Basic"
    Options: ClassVar[type[Options] | None] = AzureDevOpsOptions
    forge = "azuredevops"
    headers = ()
    broken = 503
    event_actions: ClassVar[Mapping[str, Action]] = {"git.pullrequest.merged": "merged"}

    def __init__(self, master: object, options: object) -> None:
        super().__init__(master, options)
        self._remembered = Remembered()

    def stored(self) -> Stored:
        """The header with the secret is never stored."""
        name = self.settings.secret_header.lower().encode()
        return replace(super().stored(), secret_headers=frozenset({name}))

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """The secret is in a header, or is the password of HTTP Basic authentication."""
        header = delivery.getHeader(self.settings.secret_header.encode("latin-1", "replace"))
        verify_token(header or delivery.getPassword(), secrets)
        return "token" if header else "password"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """Add the secret as a header."""
        text = secret.decode("utf-8", "surrogateescape")
        return delivery.replace(headers={self.settings.secret_header: text})

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The event's name in the payload."""
        sent: Sent = self.opened(delivery, Sent)
        if not sent.eventType:
            raise BadPayload("is missing; it names the event", "$.eventType")
        return sent.eventType

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The subscription's id and the notification's number, from the body."""
        try:
            sent: Sent = self.opened(delivery, Sent)
        except BadPayload:
            return None
        return sent.name

    @shaped(PushEvent)
    def handle_git_push(self, payload: PushEvent, event: str = "git.push") -> Sequence[Event]:
        """Branches and tags were created, moved or deleted."""
        return [CUT] if payload.resource is None else payload.resource.updates(event)

    @shaped(PullEvent)
    def handle_git_pullrequest_created(self, payload: PullEvent, event: str) -> Event:
        """Something happened to a pull request. Who did it is known only for its creation and its end."""
        pull = payload.resource
        if pull is None:
            return CUT
        action = self._action(pull, event, payload)
        if action is None:
            return Ignored("nothing was merged, or git.pullrequest.merged reports it")
        who = pull.createdBy if action == "opened" else pull.closedBy
        return pull.neutral(action, event, who.person() if who else Person(), payload.at)

    handle_git_pullrequest_updated = handle_git_pullrequest_created
    handle_git_pullrequest_merged = handle_git_pullrequest_created

    @reports("comments")
    @shaped(CommentEvent)
    def handle_ms_vss_code_git_pullrequest_comment_event(self, payload: CommentEvent, event: str) -> Event:
        """Somebody wrote a comment on a pull request."""
        return CUT if payload.resource is None else payload.resource.written(event, payload.at)

    def _action(self, pull: Pull, event: str, payload: Sent) -> Action | None:
        """What happened: an update does not say, so it is compared with the previous state."""
        if event.endswith(".merged"):
            return "merged" if pull.is_merged else None
        key = (pull.repository.id or "", pull.pullRequestId)
        now = Seen(pull.head(), pull.isDraft, payload.at, payload.name)
        if event.endswith(".created"):
            return self._remembered.opened(key, now)
        if pull.status == "abandoned":
            return "closed"
        return None if pull.status == "completed" else self._remembered.updated(key, now)


__all__ = ["AzureDevOpsHandler", "AzureDevOpsOptions"]
