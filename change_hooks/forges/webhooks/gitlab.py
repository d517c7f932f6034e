"""GitLab's webhooks, of projects and groups.

Source: GitLab, "Project webhooks API", "Group webhooks API".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from change_hooks.core.verification import SIGNING_KEY_PREFIX
from change_hooks.forges.forge import mapping, text
from change_hooks.forges.gitlab import project
from change_hooks.forges.paging import by_number
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
)

PAGE = 100


class GitLabWebhooks(Webhooks):
    """In GitLab's API, each event is a field of its own."""

    scope = "the scope api, of a maintainer of the project (for a group: an owner)"
    harmless = False
    vocabulary: ClassVar[Mapping[str, str]] = {
        "push_events": "push",
        "tag_push_events": "tag_push",
        "merge_requests_events": "merge_request",
        "note_events": "note",
        "issues_events": "issue",
        "pipeline_events": "pipeline",
        "job_events": "build",
        "wiki_page_events": "wiki_page",
        "deployment_events": "deployment",
        "releases_events": "release",
        "emoji_events": "emoji",
    }

    @property
    def _path(self) -> Sequence[str]:
        if self._source.organization:
            return ("groups", "/".join(names(self._source.organization, None)), "hooks")
        return (*project(self._source.repository), "hooks")

    async def all(self) -> list[Webhook]:
        """See :meth:`Webhooks.all`."""
        return await self._listed(
            self._path, by_number(PAGE), {"per_page": str(PAGE), "page": "1"}, self._webhook
        )

    def _webhook(self, read: Any) -> Webhook:
        fields = mapping(read)
        status = text(fields, "alert_status") or "executable"
        until = text(fields, "disabled_until")
        doubts = []
        if fields.get("enable_ssl_verification") is False:
            doubts.append("the forge does not verify the receiver's certificate (SSL verification is off)")
        if text(fields, "push_events_branch_filter"):
            doubts.append("it sends pushes to some branches only (its branch filter)")
        if text(fields, "custom_webhook_template"):
            doubts.append("it sends a custom body (its custom webhook template)")
        return Webhook(
            number_of(read),
            text(fields, "url") or "",
            frozenset(flag for flag in self.vocabulary if fields.get(flag) is True),
            disabled="" if status == "executable" else f"{status}{f' until {until}' if until else ''}",
            doubts=tuple(doubts),
            read=read,
        )

    async def create(self, wanted: Wanted) -> str:
        """See :meth:`Webhooks.create`."""
        json = {**self._written(wanted, wanted.url), "enable_ssl_verification": True}
        return number_of((await self._rest.post(*self._path, json=json, about=self._about)).value)

    async def update(self, hook: Webhook, wanted: Wanted) -> None:
        """See :meth:`Webhooks.update`."""
        json = self._written(wanted, kept_url(hook, wanted))
        await self._rest.put(*self._path, hook.number, json=json, about=self._about)

    def _written(self, wanted: Wanted, url: str) -> dict[str, Any]:
        written: dict[str, Any] = {"url": url, **{flag: flag in wanted.events for flag in self.vocabulary}}
        if wanted.secret is not None:
            is_key = wanted.secret.encode().startswith(SIGNING_KEY_PREFIX)
            written["signing_token" if is_key else "token"] = wanted.secret
        return written

    async def last(self, number: str) -> Last | None:
        """See :meth:`Webhooks.last`: versions before 17.3 do not report it."""
        try:
            path = (*self._path, number, "events")
            got = await self._rest.get(*path, query={"per_page": "1", "page": "1"}, about=self._about)
        except RestError as error:
            if error.status == 404:
                return None
            raise
        if not isinstance(got.value, list) or not got.value:
            return None
        said = mapping(got.value[0]).get("response_status")
        status = status_of(said)
        return Last(status, "" if status else str(said or ""), text(got.value[0], "created_at") or "")

    async def test(self, number: str, wanted: Wanted) -> Tried:
        """See :meth:`Webhooks.test`: the last push, once more."""
        flag = next(flag for flag in self.vocabulary if flag in wanted.events)
        await self._rest.post(*self._path, number, "test", flag, about=self._about)
        return Tried((self.vocabulary[flag],))


__all__ = ["GitLabWebhooks"]
