"""Push logs, of the forges that keep no log of their webhook deliveries.

A log records who moved a branch or tag, from where and to where. The new commits are fetched from the API.

Source: Gitea, API reference, "List a repository's activity feeds", ``services/feed/notifier.go``; Atlassian,
Bitbucket Data Center REST API, "Get ref change activity".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar

import msgspec

from change_hooks.core.events import Person, RefUpdate, Repository, revision_or_none
from change_hooks.core.payload import epoch
from change_hooks.core.recovering import Source
from change_hooks.forges.bitbucketserver import repository_path
from change_hooks.forges.completing import completed
from change_hooks.forges.forge import Forge, mapping, text
from change_hooks.forges.gitea import BY_FIFTIES
from change_hooks.forges.log_pages import SHORTER, UNREADABLE, log_pages
from change_hooks.forges.logged import Happened, Logged, is_past
from change_hooks.forges.paging import by_start, until_empty
from change_hooks.forges.rest import Pager, RestError, Subject
from change_hooks.forges.segments import names

#: How many pages are read at most.
PAGES = 200


class PushLog:
    """The base class of the push logs."""

    way: ClassVar[str] = "push-log"
    timed: ClassVar[bool] = True
    in_list: ClassVar[bool] = True

    def __init__(self, forge: Forge, source: Source, path: str) -> None:
        self._forge = forge
        self._full_name = source.repository
        self._about = Subject(source.repository)
        self._path: tuple[str, ...] = ()
        self._pager: Pager = until_empty
        self._query: Mapping[str, str] = {}
        self._read: dict[str, Mapping[str, Any]] = {}
        self._repository: Repository | None = None

    async def attempts(self, since: float | None) -> list[Logged]:
        """The pushes since then.

        :raises RestError: not all of them could be read.
        """
        found: dict[str, Logged] = {}
        self._read = {}
        pages = self._forge.rest.pages(
            *self._path, pager=self._pager, query=self._query, about=self._about, conditional=True
        )
        read = partial(self._forge.odd.without, "pushes", read=lambda item: (self._logged(item), item))
        async for _, logged in log_pages(pages, read, most=PAGES, hint=SHORTER, unreadable=UNREADABLE):
            for entry, item in logged:
                if since is None or entry.at >= since:
                    self._read[entry.number] = item
                    found[entry.number] = entry
            if is_past([entry.at for entry, _ in logged], since):
                break
        return list(found.values())

    def _logged(self, item: Any) -> Logged:
        at, number = self._time(item), str(mapping(item)["id"])
        name = sha256(f"{self._full_name}|{number}".encode()).hexdigest()[:32]
        return Logged(number, name, self._event(item), at)

    async def detail(self, number: str) -> Happened:
        """What was new on a branch or tag; nothing if it no longer exists.

        :raises RestError: it cannot be fetched.
        """
        item = self._read.get(number)
        if item is None:
            raise RestError("the entry is no longer in the log", 404)
        if self._repository is None:
            self._repository = await self._forge.repository(self._full_name)
        update = await self._update(item, self._repository)
        return Happened([] if update is None else [await completed(self._forge, update)])

    async def again(self, number: str) -> bool:
        """False: nothing was sent, so nothing can be redelivered."""
        return False

    # Implemented by each forge.

    def _time(self, item: Any) -> float:
        raise NotImplementedError

    def _event(self, item: Any) -> str:
        """The name of the webhook event for it; empty if it does not concern a branch or tag."""
        raise NotImplementedError

    async def _update(self, item: Any, repository: Repository) -> RefUpdate | None:
        raise NotImplementedError


class GiteaLog(PushLog):
    """The activity feed of a repository on Gitea or Forgejo."""

    def __init__(self, forge: Forge, source: Source, path: str) -> None:
        super().__init__(forge, source, path)
        self._path = ("repos", *names(source.repository), "activities", "feeds")
        self._query = BY_FIFTIES

    def _time(self, item: Any) -> float:
        at = epoch(text(item, "created"))
        if at is None or mapping(item).get("id") is None:
            raise RestError("an entry of the log has no id or no time", 200)
        return at

    def _event(self, item: Any) -> str:
        return self._forge.push_event if text(item, "op_type") in _PUSHES else ""

    async def _update(self, item: Any, repository: Repository) -> RefUpdate | None:
        ref = text(item, "ref_name") or ""
        if not ref.startswith("refs/"):
            ref = f"refs/{'tags' if text(item, 'op_type') == 'push_tag' else 'heads'}/{ref}"
        before, after = _moved(text(item, "content"))
        if after is None:
            after = await self._now(ref)
        if after is None:
            return None
        who = mapping(item).get("act_user")
        return RefUpdate(
            repository=repository,
            ref=ref,
            before=before,
            after=after,
            created=before is None,
            sender=Person(
                text(who, "full_name") or text(who, "login"), text(who, "email"), text(who, "login")
            ),
            when=epoch(text(item, "created")),
            url=f"{repository.urls.get('html')}/commit/{after}",
            name=self._forge.push_event,
        )

    async def _now(self, ref: str) -> str | None:
        """The commit that a ref is on now, which the log does not contain for a new ref."""
        kind, name = ("tags", ref.removeprefix("refs/tags/"))
        if ref.startswith("refs/heads/"):
            kind, name = "branches", ref.removeprefix("refs/heads/")
        try:
            path = ("repos", *names(self._full_name), kind, name)
            got = await self._forge.rest.get(*path, about=self._about)
        except RestError as error:
            if error.status == 404:
                return None
            raise
        found = text(got.value, "commit", "id") or text(got.value, "commit", "sha")
        if not found:
            raise RestError("the response does not say which commit a branch or tag is on", 200)
        return found


_PUSHES = ("commit_repo", "push_tag", "mirror_sync_push", "mirror_sync_create")


def _moved(content: str | None) -> tuple[str | None, str | None]:
    """The commits before and after, from an entry of Gitea's log: JSON in a string."""
    try:
        held = msgspec.json.decode(content or "{}")
    except msgspec.DecodeError:
        return None, None
    before, dots, after = (text(held, "CompareURL") or "").rpartition("/")[2].partition("...")
    head = text(held, "HeadCommit", "Sha1")
    return (revision_or_none(before) if dots else None), revision_or_none(after or head)


class BitbucketServerLog(PushLog):
    """The ref changes in a repository on Bitbucket Data Center."""

    def __init__(self, forge: Forge, source: Source, path: str) -> None:
        super().__init__(forge, source, path)
        self._path = (*repository_path(source.repository), "ref-change-activities")
        self._query = {"limit": "100"}
        self._pager = by_start

    def _time(self, item: Any) -> float:
        at = mapping(item).get("createdDate")
        if type(at) is not int or mapping(item).get("id") is None:
            raise RestError("an entry of the log has no id or no time", 200)
        return at / 1000

    def _event(self, item: Any) -> str:
        change = mapping(mapping(item).get("refChange"))
        return "" if change.get("type") == "DELETE" else self._forge.push_event

    async def _update(self, item: Any, repository: Repository) -> RefUpdate | None:
        change = mapping(mapping(item).get("refChange"))
        ref = text(change, "ref", "id") or text(change, "refId")
        after = revision_or_none(text(change, "toHash"))
        if not ref or after is None:
            raise RestError("a log entry does not say what moved", 200)
        who = mapping(item).get("user")
        before = revision_or_none(text(change, "fromHash"))
        return RefUpdate(
            repository=repository,
            ref=ref,
            before=before,
            after=after,
            created=before is None,
            sender=Person(
                text(who, "displayName") or text(who, "name"), text(who, "emailAddress"), text(who, "name")
            ),
            when=int(self._time(item)),
            url=f"{repository.urls.get('html') or ''}commits/{after}",
            name=self._forge.push_event,
        )


__all__ = ["BitbucketServerLog", "GiteaLog", "PushLog"]
