"""GitLab's log of a webhook's events, for a project or a group.

The log leaves out the token and people's email addresses. The addresses of commit authors are looked up when
an event is recovered from it. GitLab keeps the log for seven days, and resends at most five events per
minute.

Source: GitLab, "Project webhooks API", "Group webhooks API", ``lib/api/hooks/events.rb``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from change_hooks.core.events import Repository
from change_hooks.core.payload import epoch
from change_hooks.core.recovering import Source
from change_hooks.forges.completing import GONE
from change_hooks.forges.forge import Forge, mapping, text
from change_hooks.forges.gitlab import project
from change_hooks.forges.log_pages import log_pages
from change_hooks.forges.logged import FoundHook, Logged, Sent, is_past
from change_hooks.forges.paging import by_number
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.segments import names

#: Events per page (GitLab's maximum), and how many pages are read at most.
PAGE, PAGES = 20, 500
#: How many events GitLab resends, within how many seconds.
RESENDS, MINUTE = 5, 60.0
REDACTED = "[REDACTED]"
WITHOUT_IDS = "no log entry has a delivery id; that requires GitLab 17.4"
#: The headers with the id of an event's delivery, best first.
_IDS = ("idempotency-key", "webhook-id")


class GitLabLog:
    """The log of one webhook.

    :param source: whose webhook it is, and its number if known.
    :param path: ``/change_hook/NAME``, in which the webhook's URL ends.
    """

    way: ClassVar[str] = "api-replay"
    timed: ClassVar[bool] = False
    in_list: ClassVar[bool] = True

    def __init__(self, forge: Forge, source: Source, path: str) -> None:
        self._forge = forge
        self._rest = forge.rest
        self._hook = FoundHook(source.hook)
        self._path = path
        self._about = Subject(source.repository or source.organization)
        self._hooks: tuple[str, ...] = (*project(source.repository), "hooks") if source.repository else ()
        if source.organization:
            self._hooks = ("groups", "/".join(names(source.organization, None)), "hooks")
        self._read: dict[str, Mapping[str, Any]] = {}
        self._resent: list[float] = []

    async def attempts(self, since: float | None) -> list[Logged]:
        """The attempts after *since*, newest first; all attempts if even the newest is before it: then the
        forge has restarted its numbering.

        :raises RestError: not all of them could be read.
        """
        with self._hook.in_use():
            return await self._attempts(since)

    async def _attempts(self, since: float | None) -> list[Logged]:
        found: dict[str, Logged] = {}
        self._read = {}
        pages = self._rest.pages(
            *await self._events(),
            pager=by_number(PAGE),
            query={"per_page": str(PAGE), "page": "1"},
            about=self._about,
            conditional=True,
        )
        read = partial(self._forge.odd.without, "events", read=lambda item: (_logged(item), item))
        is_first = True
        async for _, logged in log_pages(pages, read, most=PAGES, unreadable=WITHOUT_IDS):
            places = [entry.order for entry, _ in logged]
            if is_first and since is not None and places and max(places) < since:
                since = None
            is_first = False
            for entry, item in logged:
                # New entries shift the others to later pages, so an entry may be seen twice.
                if since is None or entry.order > since:
                    found[entry.number] = entry
                    self._read[entry.number] = item
            if is_past([place - 1 for place in places], since):
                break
        return list(found.values())

    async def detail(self, number: str) -> Sent:
        """What was sent in an attempt, with the addresses that the log leaves out.

        :raises RestError: it cannot be fetched.
        """
        item = self._read.get(number)
        payload = None if item is None else item.get("request_data")
        if not isinstance(payload, Mapping):
            raise RestError("the log entry does not contain what was sent", 404)
        headers = {
            name: value
            for name, value in mapping(mapping(item).get("request_headers")).items()
            if isinstance(value, str) and value != REDACTED
        }
        return Sent(headers, without_redacted(await self._with_authors(payload)))

    async def again(self, number: str) -> bool:
        """Ask for another attempt, which has the same id. False: GitLab's limit per minute is reached.

        :raises RestError: the forge refused.
        """
        now: float = self._forge.clock.seconds()
        self._resent = [at for at in self._resent if at > now - MINUTE]
        if len(self._resent) >= RESENDS:
            return False
        self._resent.append(now)
        await self._rest.post(*await self._events(), number, "resend", about=self._about)
        return True

    async def _with_authors(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """The payload with the addresses of its commits' authors."""
        full_name = text(payload, "project", "path_with_namespace")
        commits = payload.get("commits")
        if not full_name or not isinstance(commits, list):
            return payload
        repository = Repository(full_name=full_name)
        return {**payload, "commits": [await self._with_author(repository, each) for each in commits]}

    async def _with_author(self, repository: Repository, commit: Any) -> Any:
        revision = text(commit, "id")
        if revision is None or text(commit, "author", "email") != REDACTED:
            return commit
        path = (*self._forge.repository_path(repository.full_name or ""), "repository", "commits", revision)
        try:
            mail = text((await self._forge.rest.get(*path, about=self._about)).value, "author_email")
        except RestError as error:
            if error.status not in GONE:
                raise
            mail = None
        author = {**mapping(commit.get("author")), "email": mail}
        return {**commit, "author": author}

    async def _events(self) -> tuple[str, ...]:
        number = await self._hook.found(
            self._rest, self._hooks, self._path, place=("url",), about=self._about
        )
        return (*self._hooks, number, "events")


def without_redacted(value: Any) -> Any:
    """*value* with None in place of everything that the log redacts."""
    if isinstance(value, Mapping):
        return {name: without_redacted(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_redacted(item) for item in value]
    return None if value == REDACTED else value


def _logged(item: Any) -> Logged:
    headers = {name.lower(): value for name, value in mapping(mapping(item).get("request_headers")).items()}
    ids = [headers[name] for name in _IDS if isinstance(headers.get(name), str)]
    data = mapping(mapping(item).get("request_data"))
    if not ids:
        raise RestError("it has no delivery id; that requires GitLab 17.4", 200)
    status = str(mapping(item).get("response_status") or "")
    return Logged(
        str(_number(item)),
        ids[0],
        text(data, "object_kind") or text(data, "event_name") or "",
        epoch(text(item, "created_at")) or 0.0,
        int(status) if status.isascii() and status.isdigit() else 0,
        order=float(_number(item)),
        also=tuple(ids[1:]),
    )


def _number(item: Any) -> int:
    number = mapping(item).get("id")
    if type(number) is not int:
        raise RestError("a log entry has no id", 200)
    return number


__all__ = ["GitLabLog", "without_redacted"]
