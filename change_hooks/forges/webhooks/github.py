"""GitHub's webhooks, of repositories and organizations.

Source: GitHub, REST API: "Repository webhooks", "Organization webhooks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from change_hooks.core.payload import epoch
from change_hooks.forges.forge import mapping, text
from change_hooks.forges.paging import by_number
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

PAGE = 100
#: How long GitHub waits for a response, and a little more, in seconds.
RUNNING = 15.0


class GitHubWebhooks(Webhooks):
    """The API's event names are those of the handler's methods."""

    scope = (
        "for a classic token, the scope admin:repo_hook (for an organization: admin:org_hook); for another"
        " one or an App, write permission for Webhooks (Organization webhooks); its owner must be an"
        " administrator"
    )

    @property
    def events(self) -> frozenset[str]:
        """See :attr:`Webhooks.events`."""
        return frozenset(filter(self._handler.can_want, self._handler.handled))

    @property
    def _path(self) -> Sequence[str]:
        if self._source.organization:
            return ("orgs", *names(self._source.organization, 1), "hooks")
        return ("repos", *names(self._source.repository), "hooks")

    async def all(self) -> list[Webhook]:
        """See :meth:`Webhooks.all`."""
        return await self._listed(self._path, by_number(PAGE), {"per_page": str(PAGE), "page": "1"}, _webhook)

    async def create(self, wanted: Wanted) -> str:
        """See :meth:`Webhooks.create`."""
        json = {"name": "web", **_written(wanted, wanted.url, "0")}
        return number_of((await self._rest.post(*self._path, json=json, about=self._about)).value)

    async def update(self, hook: Webhook, wanted: Wanted) -> None:
        """See :meth:`Webhooks.update`."""
        insecure = mapping(mapping(hook.read).get("config")).get("insecure_ssl", "0")
        json = _written(wanted, kept_url(hook, wanted), insecure)
        await self._rest.patch(*self._path, hook.number, json=json, about=self._about)

    async def last(self, number: str) -> Last | None:
        """See :meth:`Webhooks.last`. Deliveries that may still be in flight are skipped."""
        path = (*self._path, number, "deliveries")
        got = await self._rest.get(*path, query={"per_page": "30"}, about=self._about)
        newest = self._forge.clock.seconds() - RUNNING
        for item in got.value if isinstance(got.value, list) else ():
            status = status_of(mapping(item).get("status_code"))
            at = text(item, "delivered_at") or ""
            if status or (epoch(at) or 0) <= newest:
                return Last(status, text(item, "status") or "", at, text(item, "guid") or "")
        return None

    async def test(self, number: str, wanted: Wanted) -> Tried:
        """See :meth:`Webhooks.test`."""
        await self._rest.post(*self._path, number, "pings", about=self._about)
        return Tried(("ping",))


def _webhook(read: Any) -> Webhook:
    config = mapping(mapping(read).get("config"))
    doubts = []
    if str(config.get("insecure_ssl", "0")) != "0":
        doubts.append("the forge does not verify the receiver's certificate (SSL verification is off)")
    return Webhook(
        number_of(read),
        text(config, "url") or "",
        strings(mapping(read).get("events")),
        active=mapping(read).get("active") is True,
        has_secret="secret" in config,
        doubts=tuple(doubts),
        read=read,
    )


def _written(wanted: Wanted, url: str, insecure: Any) -> dict[str, Any]:
    config = {"url": url, "content_type": "json", "insecure_ssl": insecure}
    if wanted.secret is not None:
        config["secret"] = wanted.secret
    return {"active": True, "events": sorted(wanted.events), "config": config}


__all__ = ["GitHubWebhooks"]
