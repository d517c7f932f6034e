"""Bitbucket Cloud's webhooks, of repositories and workspaces.

Source: Atlassian, "The Bitbucket Cloud REST API": "Repositories", "Workspaces"; "Event payloads".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from change_hooks.forges.forge import mapping, text
from change_hooks.forges.paging import by_next
from change_hooks.forges.segments import names
from change_hooks.forges.webhooks.base import (
    Wanted,
    Webhook,
    Webhooks,
    kept_url,
    number_of,
    strings,
)

_EVENTS = (
    *("repo:push", "repo:fork", "repo:updated", "repo:commit_comment_created"),
    *("repo:commit_status_created", "repo:commit_status_updated"),
    *("issue:created", "issue:updated", "issue:comment_created"),
    *("pullrequest:created", "pullrequest:updated", "pullrequest:fulfilled", "pullrequest:rejected"),
    *("pullrequest:approved", "pullrequest:unapproved"),
    *("pullrequest:changes_request_created", "pullrequest:changes_request_removed"),
    *("pullrequest:comment_created", "pullrequest:comment_updated", "pullrequest:comment_deleted"),
    *("pullrequest:comment_resolved", "pullrequest:comment_reopened"),
)


class BitbucketCloudWebhooks(Webhooks):
    """Bitbucket Cloud has no test, and does not report the outcome of deliveries."""

    scope = (
        "the scopes read:webhook:bitbucket and write:webhook:bitbucket (for an access token: webhook), of an"
        " administrator"
    )
    harmless = None
    vocabulary: ClassVar[Mapping[str, str]] = {event: event for event in _EVENTS}

    @property
    def _path(self) -> Sequence[str]:
        if self._source.organization:
            return ("workspaces", *names(self._source.organization, 1), "hooks")
        return ("repositories", *names(self._source.repository), "hooks")

    async def all(self) -> list[Webhook]:
        """See :meth:`Webhooks.all`."""
        return await self._listed(self._path, by_next(self._rest), {"pagelen": "100"}, _webhook)

    async def create(self, wanted: Wanted) -> str:
        """See :meth:`Webhooks.create`."""
        json = _written(wanted, wanted.url, {})
        return number_of((await self._rest.post(*self._path, json=json, about=self._about)).value, "uuid")

    async def update(self, hook: Webhook, wanted: Wanted) -> None:
        """See :meth:`Webhooks.update`."""
        json = _written(wanted, kept_url(hook, wanted), mapping(hook.read))
        await self._rest.put(*self._path, hook.number, json=json, about=self._about)


def _webhook(read: Any) -> Webhook:
    fields = mapping(read)
    doubts = []
    if fields.get("skip_cert_verification") is True:
        doubts.append("the forge does not verify the receiver's certificate")
    return Webhook(
        number_of(read, "uuid"),
        text(fields, "url") or "",
        strings(fields.get("events")),
        active=fields.get("active") is True,
        has_secret=fields["secret_set"] if isinstance(fields.get("secret_set"), bool) else None,
        doubts=tuple(doubts),
        read=read,
    )


def _written(wanted: Wanted, url: str, read: Mapping[str, Any]) -> dict[str, Any]:
    written = {
        "description": text(read, "description") or "change-hooks",
        "url": url,
        "active": True,
        "events": sorted(wanted.events),
        "skip_cert_verification": read.get("skip_cert_verification") is True,
    }
    return written if wanted.secret is None else {**written, "secret": wanted.secret}


__all__ = ["BitbucketCloudWebhooks"]
