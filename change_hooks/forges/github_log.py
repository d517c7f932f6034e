"""GitHub's log of a webhook's deliveries, for a repository, an organization or an App.

Source: GitHub, REST API: "Repository webhooks", "Organization webhooks", "GitHub App webhooks"; "Handling
failed webhook deliveries". GitHub keeps the log for three days.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Any, ClassVar

from change_hooks.core.payload import epoch
from change_hooks.core.recovering import Source
from change_hooks.forges.client import Rest
from change_hooks.forges.forge import Forge, mapping, text
from change_hooks.forges.log_pages import SHORTER, UNREADABLE, log_pages
from change_hooks.forges.logged import FoundHook, LastRead, Logged, Sent, is_past
from change_hooks.forges.paging import by_link
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.segments import names
from change_hooks.forges.tokens import AppToken

#: How many pages of a hundred entries are read at most.
PAGES = 200


class GitHubLog:
    """The log of one webhook.

    :param source: whose webhook it is, and its number if known.
    :param path: ``/change_hook/NAME``, in which the webhook's URL ends.
    """

    way: ClassVar[str] = "api-replay"
    timed: ClassVar[bool] = True
    in_list: ClassVar[bool] = False

    def __init__(self, forge: Forge, source: Source, path: str) -> None:
        self._rest = forge.rest
        self._odd = forge.odd
        self._hook = FoundHook(source.hook)
        self._path = path
        self._about = Subject(source.repository, organization=source.organization)
        self._hooks: tuple[str, ...] = ()
        self._last = LastRead()
        if source.app:
            if not isinstance(forge.authorization, AppToken):
                raise RestError("the webhook of an App needs the App's own token (option 'token')", 401)
            self._rest = Rest.like(forge.rest, forge.authorization.as_app)
        elif source.organization:
            self._hooks = ("orgs", *names(source.organization, 1), "hooks")
        else:
            self._hooks = ("repos", *names(source.repository), "hooks")

    async def attempts(self, since: float | None) -> list[Logged]:
        """The attempts since then, newest first. If nothing is new, the request does not count against the
        rate limit.

        :raises RestError: not all of them could be read.
        """
        with self._hook.in_use():
            return await self._attempts(since)

    async def _attempts(self, since: float | None) -> list[Logged]:
        found: list[Logged] = []
        pages = self._rest.pages(
            *await self._deliveries(),
            pager=by_link(self._rest),
            query={"per_page": "100"},
            about=self._about,
            conditional=True,
        )
        read = partial(self._odd.without, "deliveries", read=_logged)
        async for page, logged in log_pages(pages, read, most=PAGES, hint=SHORTER, unreadable=UNREADABLE):
            known = None if page.fresh else self._last.again(since)
            if known is not None:
                return known
            self._last = LastRead()
            found += [entry for entry in logged if since is None or entry.at >= since]
            if is_past([entry.at for entry in logged], since):
                break
        self._last = LastRead(-inf if since is None else since, found)
        return found

    async def detail(self, number: str) -> Sent:
        """What was sent in an attempt.

        :raises RestError: it cannot be fetched.
        """
        path = (*await self._deliveries(), number)
        request = mapping(mapping((await self._rest.get(*path, about=self._about)).value).get("request"))
        payload = request.get("payload")
        if not isinstance(payload, Mapping):
            raise RestError("the log entry does not contain what was sent", 200)
        headers = {name: value for name, value in mapping(request.get("headers")).items() if _is_text(value)}
        return Sent(headers, payload)

    async def again(self, number: str) -> bool:
        """Ask for another attempt, which has the same id.

        :raises RestError: the forge refused.
        """
        await self._rest.post(*await self._deliveries(), number, "attempts", about=self._about)
        return True

    async def _deliveries(self) -> tuple[str, ...]:
        if not self._hooks:
            return ("app", "hook", "deliveries")
        number = await self._hook.found(
            self._rest, self._hooks, self._path, place=("config", "url"), about=self._about
        )
        return (*self._hooks, number, "deliveries")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _logged(item: Any) -> Logged:
    at = epoch(text(item, "delivered_at"))
    fields = mapping(item)
    number, delivery, status = fields.get("id"), text(item, "guid"), fields.get("status_code")
    if at is None or number is None or not delivery:
        raise RestError("a log entry has no id or no time", 200)
    return Logged(str(number), delivery, text(item, "event") or "", at, status if type(status) is int else 0)


__all__ = ["PAGES", "GitHubLog"]
