"""GitHub's log of a webhook's deliveries.

Source: GitHub, REST API: "Repository webhooks"; "Handling failed webhook deliveries". GitHub keeps the
log for three days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from change_hooks.core.payload import epoch
from change_hooks.forges.forge import mapping, text
from change_hooks.forges.rest import Rest, RestError, Subject, by_number, names

#: How many pages of a hundred are read at most.
PAGES = 200


class Logged(msgspec.Struct, frozen=True):
    """An attempt of the forge to deliver.

    :param number: the attempt's, by which its details are asked for.
    :param delivery: the delivery's id: the same for all attempts.
    :param at: seconds since the epoch.
    :param status: how the attempt was answered; 0: not at all.
    """

    number: str
    delivery: str
    event: str
    at: float
    status: int


class Detail(msgspec.Struct, frozen=True):
    """What the forge sent.

    :param payload: decoded, so a signature over it cannot be checked again.
    """

    headers: Mapping[str, str]
    payload: Any


class GitHubLog:
    """The log of one repository's webhook.

    :param repository: its full name.
    :param hook: the webhook's number; None: the one whose URL ends in *path*.
    :param path: ``/change_hook/NAME``.
    """

    def __init__(self, rest: Rest, repository: str, hook: int | None, path: str) -> None:
        self._rest = rest
        self._about = Subject(repository)
        self._hooks = ("repos", *names(repository), "hooks")
        self._hook = None if hook is None else str(hook)
        self._path = path

    async def attempts(self, since: float) -> list[Logged]:
        """The attempts since then, newest first.

        :raises RestError: not all of them could be read.
        """
        found: list[Logged] = []
        pages = self._rest.pages(
            *self._hooks,
            await self._number(),
            "deliveries",
            pager=lambda got, items, now: self._rest.link(got),
            query={"per_page": "100"},
            about=self._about,
        )
        read = 0
        async for page in pages:
            read += 1
            logged = [_logged(item) for item in page.items]
            found += [entry for entry in logged if entry.at >= since]
            if any(entry.at < since for entry in logged):
                break
            if read == PAGES and page.more is not None:
                raise RestError(f"the log has more than {PAGES} pages; recover a shorter time (--since)")
        return found

    async def detail(self, number: str) -> Detail:
        """What was sent in an attempt.

        :raises RestError: it cannot be had.
        """
        path = (*self._hooks, await self._number(), "deliveries", number)
        request = mapping(mapping((await self._rest.get(*path, about=self._about)).value).get("request"))
        payload = request.get("payload")
        if not isinstance(payload, Mapping):
            raise RestError("the forge does not say what it sent", 200)
        headers = {name: value for name, value in mapping(request.get("headers")).items() if _is_text(value)}
        return Detail(headers, payload)

    async def _number(self) -> str:
        if self._hook is None:
            hooks, _ = await self._rest.all(
                *self._hooks,
                pager=by_number(100),
                most=3,
                query={"per_page": "100", "page": "1"},
                about=self._about,
            )
            ours = [hook for hook in hooks if _path_of(hook).endswith(self._path)]
            if len(ours) != 1:
                raise RestError(
                    f"{len(ours)} webhooks of the repository have a URL that ends in {self._path}; name the"
                    " one that is meant: {'repository': NAME, 'hook': NUMBER} (option 'recover')"
                )
            self._hook = str(ours[0].get("id"))
        return self._hook


def _path_of(hook: Any) -> str:
    return urlsplit(text(hook, "config", "url") or "").path.rstrip("/")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _logged(item: Any) -> Logged:
    at = epoch(text(item, "delivered_at"))
    fields = mapping(item)
    number, delivery, status = fields.get("id"), text(item, "guid"), fields.get("status_code")
    if at is None or number is None or not delivery:
        raise RestError("an entry of the log has no id or no time", 200)
    return Logged(str(number), delivery, text(item, "event") or "", at, status if type(status) is int else 0)


__all__ = ["PAGES", "Detail", "GitHubLog", "Logged"]
