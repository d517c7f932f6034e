"""The webhooks of Bitbucket Data Center, of repositories and projects.

Source: Atlassian, Bitbucket Data Center REST API: "Repository", "Project": webhooks; "Event payload".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from change_hooks.forges.bitbucketserver import repository_path
from change_hooks.forges.forge import mapping, text
from change_hooks.forges.paging import by_start
from change_hooks.forges.rest import RestError
from change_hooks.forges.segments import names
from change_hooks.forges.webhooks.base import (
    Last,
    Tried,
    Wanted,
    Webhook,
    Webhooks,
    kept_url,
    number_of,
    status_of,
    strings,
)

_EVENTS = (
    *("repo:refs_changed", "repo:modified", "repo:forked", "repo:comment:added", "repo:comment:edited"),
    *("repo:comment:deleted", "mirror:repo_synchronized"),
    *("pr:opened", "pr:from_ref_updated", "pr:modified", "pr:merged", "pr:declined", "pr:deleted"),
    *("pr:reviewer:updated", "pr:reviewer:approved", "pr:reviewer:unapproved", "pr:reviewer:needs_work"),
    *("pr:comment:added", "pr:comment:edited", "pr:comment:deleted"),
)


class BitbucketServerWebhooks(Webhooks):
    """The test that Bitbucket Data Center sends is not signed."""

    scope = "an HTTP access token with repository admin (for a project: project admin)"
    vocabulary: ClassVar[Mapping[str, str]] = {event: event for event in _EVENTS}

    @property
    def _path(self) -> Sequence[str]:
        if self._source.organization:
            return ("projects", *names(self._source.organization, 1), "webhooks")
        return (*repository_path(self._source.repository), "webhooks")

    async def all(self) -> list[Webhook]:
        """See :meth:`Webhooks.all`."""
        return await self._listed(self._path, by_start, {"limit": "100"}, _webhook)

    async def create(self, wanted: Wanted) -> str:
        """See :meth:`Webhooks.create`."""
        json = _written(wanted, wanted.url, {})
        return number_of((await self._rest.post(*self._path, json=json, about=self._about)).value)

    async def update(self, hook: Webhook, wanted: Wanted) -> None:
        """See :meth:`Webhooks.update`."""
        json = _written(wanted, kept_url(hook, wanted), mapping(hook.read))
        await self._rest.put(*self._path, hook.number, json=json, about=self._about)

    async def last(self, number: str) -> Last | None:
        """See :meth:`Webhooks.last`."""
        try:
            got = await self._rest.get(*self._path, number, "latest", about=self._about)
        except RestError as error:
            if error.status == 404:
                return None
            raise
        result = mapping(mapping(got.value).get("result"))
        if not result:
            return None
        said = text(result, "description") or ""
        status = status_of(said)
        if not status and result.get("outcome") == "SUCCESS":
            status = 200
        return Last(status, "" if status_of(said) else said)

    async def test(self, number: str, wanted: Wanted) -> Tried:
        """See :meth:`Webhooks.test`."""
        query = {"url": wanted.url, "webhookId": number}
        got = await self._rest.post(*self._path, "test", json={}, query=query, about=self._about)
        status = status_of(mapping(mapping(got.value).get("response")).get("statusCode"))
        return Tried(("diagnostics:ping",), signed=False, last=Last(status))


def _webhook(read: Any) -> Webhook:
    fields = mapping(read)
    doubts = []
    if fields.get("sslVerificationRequired") is False:
        doubts.append("the forge does not verify the receiver's certificate (SSL verification is off)")
    return Webhook(
        number_of(read),
        text(fields, "url") or "",
        strings(fields.get("events")),
        active=fields.get("active") is True,
        doubts=tuple(doubts),
        read=read,
    )


def _written(wanted: Wanted, url: str, read: Mapping[str, Any]) -> dict[str, Any]:
    configuration = {} if wanted.secret is None else {"secret": wanted.secret}
    return {
        "name": text(read, "name") or "change-hooks",
        "url": url,
        "active": True,
        "events": sorted(wanted.events),
        "configuration": configuration,
        "sslVerificationRequired": read.get("sslVerificationRequired") is not False,
    }


__all__ = ["BitbucketServerWebhooks"]
