"""The webhooks of Gitea and Forgejo, of repositories and organizations.

Source: Gitea, API reference, ``routers/api/v1/utils/hook.go``, ``modules/webhook/type.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from change_hooks.core.recovering import Source
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.forges.forge import Forge, mapping, text
from change_hooks.forges.gitea import BY_FIFTIES
from change_hooks.forges.paging import until_empty
from change_hooks.forges.segments import names
from change_hooks.forges.webhooks.base import (
    Tried,
    Wanted,
    Webhook,
    Webhooks,
    kept_url,
    number_of,
    strings,
)

#: The names to write for those that the API returns: written back as they are, these would select all events
#: of their kind.
_WRITTEN = {
    "pull_request": "pull_request_only",
    "pull_request_review_approved": "pull_request_review",
    "pull_request_review_rejected": "pull_request_review",
    "pull_request_review_comment": "pull_request_review",
}
_LABEL, _LABELING = "pull_request_label", {"labeled", "unlabeled"}


class GiteaWebhooks(Webhooks):
    """The API's events are more specific than the event names in deliveries."""

    scope = "the scope write:repository (for an organization: write:organization), of an administrator"
    vocabulary: ClassVar[Mapping[str, str]] = {
        "push": "push",
        "create": "create",
        "delete": "delete",
        "fork": "fork",
        "repository": "repository",
        "release": "release",
        "wiki": "wiki",
        "issues": "issues",
        "pull_request": "pull_request",
        "pull_request_sync": "pull_request",
        "pull_request_comment": "issue_comment",
        "pull_request_review_approved": "pull_request_approved",
        "pull_request_review_rejected": "pull_request_rejected",
        "pull_request_review_comment": "pull_request_comment",
    }

    def __init__(self, forge: Forge, source: Source, handler: EventHandler[Any]) -> None:
        super().__init__(forge, source, handler)
        # There is no test for an organization's webhooks.
        self.harmless = None if source.organization else True

    @property
    def events(self) -> frozenset[str]:
        """See :attr:`Webhooks.events`."""
        labels = _LABELING & set(self._handler.settings.actions or ())
        return super().events | ({_LABEL} if labels else frozenset())

    @property
    def _path(self) -> Sequence[str]:
        if self._source.organization:
            return ("orgs", *names(self._source.organization, 1), "hooks")
        return ("repos", *names(self._source.repository), "hooks")

    async def all(self) -> list[Webhook]:
        """See :meth:`Webhooks.all`."""
        return await self._listed(self._path, until_empty, BY_FIFTIES, _webhook)

    async def create(self, wanted: Wanted) -> str:
        """See :meth:`Webhooks.create`."""
        json = {"type": "gitea", **self._written(wanted, wanted.url, {})}
        return number_of((await self._rest.post(*self._path, json=json, about=self._about)).value)

    async def update(self, hook: Webhook, wanted: Wanted) -> None:
        """See :meth:`Webhooks.update`: settings that are not written are cleared."""
        json = self._written(wanted, kept_url(hook, wanted), mapping(hook.read))
        await self._rest.patch(*self._path, hook.number, json=json, about=self._about)

    def _written(self, wanted: Wanted, url: str, read: Mapping[str, Any]) -> dict[str, Any]:
        config = {"url": url, "content_type": "json"}
        if wanted.secret is not None:
            config["secret"] = wanted.secret
        values = getattr(self._handler.settings, "authorization", ())
        header = values[0].decode("utf-8", "replace") if values else text(read, "authorization_header")
        return {
            "active": True,
            "events": sorted({_WRITTEN.get(event, event) for event in wanted.events}),
            "config": config,
            "branch_filter": text(read, "branch_filter") or "",
            "authorization_header": header or "",
        }

    async def test(self, number: str, wanted: Wanted) -> Tried:
        """See :meth:`Webhooks.test`: a push without new commits."""
        await self._rest.post(*self._path, number, "tests", about=self._about)
        return Tried(("push",))


def _webhook(read: Any) -> Webhook:
    doubts = []
    if (text(read, "branch_filter") or "*") != "*":
        doubts.append("it sends pushes to some branches only (its branch filter)")
    return Webhook(
        number_of(read),
        text(read, "config", "url") or "",
        strings(mapping(read).get("events")),
        active=mapping(read).get("active") is True,
        doubts=tuple(doubts),
        read=read,
    )


__all__ = ["GiteaWebhooks"]
