"""The log of what Azure DevOps sent to an endpoint, by all subscriptions whose URL ends in its path.

Azure DevOps cannot redeliver on demand, and keeps the log for seven days. The log contains the whole event.

Source: Microsoft, Azure DevOps Services REST API: "Service Hooks": "Subscriptions", "Notifications".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar

from change_hooks.core.recovering import Source
from change_hooks.dialects.payloads.azuredevops import when
from change_hooks.forges.azuredevops import VERSION
from change_hooks.forges.client import Rest, listed
from change_hooks.forges.forge import Forge, mapping, text
from change_hooks.forges.log_pages import SHORTER
from change_hooks.forges.logged import Logged, Sent, ends_in
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.segments import names

#: How many notifications one request asks for, and how many requests there are at most.
PAGE, PAGES = 100, 200
_STATUS = re.compile(r"(?:HTTP/[0-9.]+|Status Code:) ([1-5][0-9]{2})\b", re.ASCII)


class AzureDevOpsLog:
    """The log of the subscriptions of one organization or one repository.

    :param source: the organization, or ``organization/project/repository``.
    :param path: ``/change_hook/NAME``, in which the URL of a subscription ends.
    """

    way: ClassVar[str] = "api-replay"
    timed: ClassVar[bool] = True
    in_list: ClassVar[bool] = True

    def __init__(self, forge: Forge, source: Source, path: str) -> None:
        self._forge = forge
        self._rest: Rest = forge.rest
        self._path = path
        self._repository = source.repository
        self._id: str | None = None
        self._organization = source.organization or names(source.repository.partition("/")[0], 1)[0]
        self._about = Subject(source.repository, organization=self._organization)
        self._read: dict[str, Mapping[str, Any]] = {}

    async def attempts(self, since: float | None) -> list[Logged]:
        """The notifications since then.

        :raises RestError: not all of them could be read.
        """
        self._read = {}
        found: dict[str, Logged] = {}
        subscriptions = await self._ours()
        until: str | None = None
        for _ in range(PAGES):
            items = await self._notifications(subscriptions, since, until)
            before = len(found)
            logged = self._forge.odd.without("notifications", items, lambda item: (_logged(item), item))
            for entry, item in logged:
                found[entry.number] = entry
                self._read[entry.number] = item
            if items and not found:
                raise RestError("no notification in the log has an id and a time", 200)
            if len(items) < PAGE:
                return list(found.values())
            # The next page has notifications as old as the oldest, or older.
            oldest = min(logged, key=lambda known: known[0].at, default=None)
            until = until if oldest is None else text(oldest[1], "createdDate")
            if len(found) == before:
                raise RestError("more notifications have the same time than the forge lists at once", 200)
        raise RestError(f"the log has more than {PAGES * PAGE} notifications{SHORTER}")

    async def detail(self, number: str) -> Sent:
        """The event of a notification, as it was sent.

        :raises RestError: it cannot be fetched.
        """
        item = self._read.get(number, {})
        event = mapping(mapping(item).get("details")).get("event")
        if not isinstance(event, Mapping):
            raise RestError("the log entry does not contain what was sent", 404)
        payload = {
            **event,
            "subscriptionId": item.get("subscriptionId"),
            "notificationId": item.get("id"),
        }
        return Sent({}, payload)

    async def again(self, number: str) -> bool:
        """Azure DevOps cannot redeliver."""
        return False

    async def _ours(self) -> list[str]:
        """The ids of the endpoint's current subscriptions."""
        path = (self._organization, "_apis", "hooks", "subscriptions")
        got = await self._rest.get(*path, query={**VERSION, "consumerId": "webHooks"}, about=self._about)
        if self._repository and self._id is None:
            self._id = (await self._forge.repository(self._repository)).id
        wanted = {None, "", self._id}
        found = [
            str(mapping(item).get("id"))
            for item in listed(got.value)
            if ends_in(text(item, "consumerInputs", "url"), self._path)
            and (not self._repository or text(item, "publisherInputs", "repository") in wanted)
        ]
        if not found:
            raise RestError(f"no subscription has a URL that ends in {self._path}")
        return found

    async def _notifications(
        self, subscriptions: list[str], since: float | None, until: str | None
    ) -> list[Any]:
        asked: dict[str, Any] = {
            "subscriptionIds": subscriptions,
            "includeDetails": True,
            "maxResults": PAGE,
        }
        if since is not None:
            asked["minCreatedDate"] = datetime.fromtimestamp(since, timezone.utc).isoformat()
        if until is not None:
            asked["maxCreatedDate"] = until
        path = (self._organization, "_apis", "hooks", "notificationsquery")
        got = await self._rest.post(*path, json=asked, query=VERSION, about=self._about)
        return listed(mapping(got.value).get("results"))


def _logged(item: Any) -> Logged:
    at = when(text(item, "createdDate"))
    subscription, number = text(item, "subscriptionId"), mapping(item).get("id")
    if at is None or not subscription or type(number) is not int:
        raise RestError("a notification in the log has no id or no time", 200)
    details = mapping(mapping(item).get("details"))
    event = text(details, "eventType") or text(details, "event", "eventType") or ""
    name = f"{subscription}:{number}"
    return Logged(name, name, event, at, status_in(item))


def status_in(item: Any) -> int:
    """The response status to a notification; 0: no response, or not logged."""
    answered = _STATUS.search(text(item, "details", "response") or "")
    return int(answered[1]) if answered is not None else 0


__all__ = ["PAGE", "AzureDevOpsLog", "status_in"]
