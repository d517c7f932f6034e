"""The REST API of Gitea and Forgejo.

Source: Gitea, API reference: "repository"; Forgejo, "API usage".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from change_hooks.core.change import person
from change_hooks.core.events import Commit, PullRequest, RefUpdate, Repository
from change_hooks.core.payload import epoch
from change_hooks.dialects.payloads.gitea import PullEvent, RepositoryShape
from change_hooks.forges.forge import MOST_COMMITS, Forge, about, mapping, shaped_as, text, texts
from change_hooks.forges.paging import until_empty
from change_hooks.forges.rest import RestError, Subject, names
from change_hooks.forges.tokens import token_scheme

#: A server gives 50 items a page, unless an administrator has changed that.
PAGE = 50
BY_FIFTIES = {"limit": str(PAGE), "page": "1"}


class Gitea(Forge):
    """Asks Gitea or Forgejo."""

    name = "gitea"
    api_path = "/api/v1"
    scheme = staticmethod(token_scheme)
    supports = frozenset({"complete"})
    git_user = "oauth2"

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        return ("repos", *names(full_name))

    async def commits(self, update: RefUpdate) -> list[Commit]:
        """See :meth:`Forge.commits`: what is reachable from the new commit and not from the old one."""
        found, _ = await self.rest.all(
            "repos",
            *names(update.repository.full_name),
            "commits",
            pager=until_empty,
            most=MOST_COMMITS // PAGE,
            query={
                **BY_FIFTIES,
                "sha": update.after or "",
                "not": update.before or "",
                "stat": "false",
                "files": "true",
                "verification": "false",
            },
            about=about(update),
        )
        return [_commit(item) for item in reversed(found) if text(item, "sha")]

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = ("repos", *names(repository.full_name), "git", "commits", revision)
        query = {"stat": "false", "files": "true", "verification": "false"}
        got = await self.rest.get(*path, query=query, about=Subject(repository.full_name or ""))
        if text(got.value, "sha") is None:
            raise RestError("the answer holds no commit", 200)
        return _commit(got.value)

    async def commit_files(self, repository: Repository, revision: str) -> list[str]:
        """See :meth:`Forge.commit_files`."""
        return (await self.commit(repository, revision)).files or []

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get("repos", *names(full_name), about=Subject(full_name))
        return shaped_as(RepositoryShape, got.value).repository()

    async def pull_requests(self, repository: Repository) -> list[PullRequest]:
        """See :meth:`Forge.pull_requests`."""
        found, _ = await self.rest.all(
            "repos",
            *names(repository.full_name),
            "pulls",
            pager=until_empty,
            most=MOST_COMMITS // PAGE,
            query={**BY_FIFTIES, "state": "open", "sort": "recentupdate"},
            about=Subject(repository.full_name or ""),
        )
        sent = (
            {
                "action": "opened",
                "pull_request": item,
                "sender": mapping(item).get("user"),
                "repository": mapping(mapping(item).get("base")).get("repo"),
            }
            for item in found
        )
        pulls = [shaped_as(PullEvent, each).neutral("pull_request") for each in sent]
        return [replace(pull, repository=repository) for pull in pulls if pull is not None]


def _commit(item: Any) -> Commit:
    author, committer = (
        mapping(item.get("commit")).get("author"),
        mapping(item.get("commit")).get("committer"),
    )
    files = item.get("files")
    return Commit(
        id=text(item, "sha") or "",
        message=text(item, "commit", "message") or "",
        author=person(text(author, "name"), text(author, "email")),
        committer=person(text(committer, "name"), text(committer, "email")) or None,
        when=epoch(text(author, "date") or text(item, "created")),
        url=text(item, "html_url") or "",
        files=texts(files, "filename") if isinstance(files, list) else None,
    )


__all__ = ["BY_FIFTIES", "PAGE", "Gitea"]
