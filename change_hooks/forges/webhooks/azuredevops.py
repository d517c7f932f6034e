"""The webhooks of Azure DevOps: service hook subscriptions, each for one event.

All subscriptions of a repository with the same URL are treated as one webhook.

Source: Microsoft, Azure DevOps Services REST API: "Service Hooks"; "Create a service hook subscription
programmatically"; "Web Hooks" (consumer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from change_hooks.forges.azuredevops import VERSION
from change_hooks.forges.azuredevops_log import status_in
from change_hooks.forges.client import listed
from change_hooks.forges.forge import mapping, text
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
    same_place,
)

COMMENT = "ms.vss-code.git-pullrequest-comment-event"
_PULLS = ("git.pullrequest.created", "git.pullrequest.updated", "git.pullrequest.merged")
_EVENTS = ("git.push", *_PULLS, COMMENT)
NOTHING: Mapping[str, Any] = {}
#: Test notifications are a preview feature, and are refused without this version.
PREVIEW = {"api-version": "7.1-preview.1"}
_CONSUMER = {"publisherId": "tfs", "consumerId": "webHooks", "consumerActionId": "httpRequest"}


class AzureDevOpsWebhooks(Webhooks):
    """The webhooks of one repository. A webhook's number is its subscriptions' ids, joined by commas."""

    scope = "permission to view and edit subscriptions (project administrators have it) and to read code"
    kinds = ("repository",)
    vocabulary: ClassVar[Mapping[str, str]] = {event: event for event in _EVENTS}

    @property
    def _path(self) -> Sequence[str]:
        return names(self._source.repository.partition("/")[0], 1)[0], "_apis", "hooks"

    async def all(self) -> list[Webhook]:
        """See :meth:`Webhooks.all`."""
        query = {**VERSION, "publisherId": "tfs", "consumerId": "webHooks"}
        got = await self._rest.get(*self._path, "subscriptions", query=query, about=self._about)
        where = await self._where()
        found: list[list[Mapping[str, Any]]] = []
        items = listed(got.value)
        readable = self._forge.odd.without("subscriptions", items, _numbered)
        self.unread = len(items) - len(readable)
        for read in readable:
            inputs = mapping(read.get("publisherInputs"))
            if any((text(inputs, name) or value) != value for name, value in where.items()):
                continue
            others = (group for group in found if same_place(_url(group[0]), _url(read)))
            group = next(others, None)
            if group is None:
                found.append([read])
            else:
                group.append(read)
        return [_webhook(group) for group in found]

    async def _where(self) -> dict[str, str]:
        """The repository, as subscriptions identify it."""
        path = self._forge.repository_path(self._source.repository)
        value = (await self._rest.get(*path, query=VERSION, about=self._about)).value
        repository, project = text(value, "id"), text(value, "project", "id")
        if not repository or not project:
            raise RestError("the response contains no repository", 200)
        return {"projectId": project, "repository": repository}

    async def create(self, wanted: Wanted) -> str:
        """See :meth:`Webhooks.create`."""
        where = await self._where()
        made = [await self._subscribe(event, where, wanted) for event in sorted(wanted.events)]
        return ",".join(made)

    async def update(self, hook: Webhook, wanted: Wanted) -> None:
        """See :meth:`Webhooks.update`; the repository's own subscriptions to events that give no change are
        deleted. Those of the whole project stay; they lead here as well, so they need the secret.
        """
        where = await self._where()
        there = set(map(_event, hook.read))
        for event in sorted(wanted.events - there):
            await self._subscribe(event, where, wanted)
        for read in hook.read:
            if _event(read) in wanted.events or not _is_of_one_repository(read):
                before = mapping(read.get("consumerInputs"))
                inputs = {**before, **self._inputs(wanted, kept_url(hook, wanted), before)}
                json = {**read, "status": "enabled", "consumerInputs": inputs}
                path = (*self._path, "subscriptions", number_of(read))
                await self._rest.put(*path, json=json, query=VERSION, about=self._about)
            else:
                await self._delete(number_of(read))

    async def _subscribe(self, event: str, where: Mapping[str, str], wanted: Wanted) -> str:
        json = {
            **_CONSUMER,
            "eventType": event,
            "resourceVersion": "1.0",
            "publisherInputs": dict(where),
            "consumerInputs": self._inputs(wanted, wanted.url),
        }
        path = (*self._path, "subscriptions")
        return number_of((await self._rest.post(*path, json=json, query=VERSION, about=self._about)).value)

    async def _delete(self, number: str) -> None:
        path = (*self._path, "subscriptions", number)
        await self._rest.send("DELETE", *path, query=VERSION, about=self._about)

    def _inputs(self, wanted: Wanted, url: str, before: Mapping[str, Any] = NOTHING) -> dict[str, str]:
        """The inputs of a subscription; other headers that it had *before* are kept."""
        inputs = {
            "url": url,
            "resourceDetailsToSend": "all",
            "messagesToSend": "none",
            "detailedMessagesToSend": "none",
        }
        if wanted.secret is not None:
            name = self._handler.settings.secret_header
            others = [
                line
                for line in (text(before, "httpHeaders") or "").splitlines()
                if ":" in line and line.partition(":")[0].strip().lower() != name.lower()
            ]
            inputs["httpHeaders"] = "\n".join([*others, f"{name}:{wanted.secret}"])
        return inputs

    async def last(self, number: str) -> Last | None:
        """See :meth:`Webhooks.last`."""
        json = {"subscriptionIds": number.split(","), "maxResults": 20, "includeDetails": True}
        path = (*self._path, "notificationsquery")
        got = await self._rest.post(*path, json=json, query=VERSION, about=self._about)
        items = listed(mapping(got.value).get("results") or [])
        if not items:
            return None
        item = max(items, key=lambda item: text(item, "createdDate") or "")
        status, result = status_in(item), text(item, "result") or ""
        if not status and result == "succeeded":
            status = 200
        return Last(status, result, text(item, "createdDate") or "")

    async def test(self, number: str, wanted: Wanted) -> Tried:
        """See :meth:`Webhooks.test`: a comment in a repository that does not exist, which gives no change."""
        details = {
            **_CONSUMER,
            "eventType": COMMENT,
            "publisherInputs": await self._where(),
            "consumerInputs": self._inputs(wanted, wanted.url),
        }
        path = (*self._path, "testnotifications")
        await self._rest.post(*path, json={"details": details}, query=PREVIEW, about=self._about)
        return Tried((COMMENT,))


def _numbered(read: Any) -> Mapping[str, Any]:
    number_of(read)
    return mapping(read)


def _url(read: Mapping[str, Any]) -> str:
    return text(read, "consumerInputs", "url") or ""


def _event(read: Mapping[str, Any]) -> str:
    return text(read, "eventType") or ""


def _is_of_one_repository(read: Mapping[str, Any]) -> bool:
    return bool(text(read, "publisherInputs", "repository"))


def _webhook(group: Sequence[Mapping[str, Any]]) -> Webhook:
    states = {text(read, "status") or "enabled" for read in group} - {"enabled"}
    inputs = [mapping(read.get("consumerInputs")) for read in group]
    events = list(map(_event, group))
    twice = sorted(event for event in {*events} if events.count(event) > 1)
    doubts = [f"it has more than one subscription to {event}" for event in twice]
    if not all(map(_is_of_one_repository, group)):
        doubts.append("a subscription covers the whole project, or all projects")
    branches = sorted({*filter(None, (text(read, "publisherInputs", "branch") for read in group))})
    if branches:
        doubts.append(f"subscriptions cover single branches only: {', '.join(branches)}")
    if any((text(each, "resourceDetailsToSend") or "all").lower() != "all" for each in inputs):
        doubts.append("it sends incomplete events (Resource details to send)")
    if any(each.get("acceptUntrustedCerts") in ("true", True) for each in inputs):
        doubts.append("the forge does not verify the receiver's certificate")
    return Webhook(
        ",".join(map(number_of, group)),
        _url(group[0]),
        frozenset(events),
        active="disabledByUser" not in states,
        disabled=", ".join(sorted(states - {"disabledByUser"})),
        doubts=tuple(doubts),
        read=group,
    )


__all__ = ["AzureDevOpsWebhooks"]
