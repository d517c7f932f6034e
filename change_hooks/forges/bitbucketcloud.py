"""Bitbucket Cloud's REST API.

Source: Atlassian, "The Bitbucket Cloud REST API": "Commits", "Repositories", "Pull requests".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from change_hooks.core.events import Commit, RefUpdate, Repository
from change_hooks.core.payload import epoch
from change_hooks.dialects.payloads.bitbucketcloud import RepositoryShape
from change_hooks.forges.forge import MOST_COMMITS, Forge, about, mapping, shaped_as, text, texts
from change_hooks.forges.paging import by_next
from change_hooks.forges.rest import RestError, Subject, names
from change_hooks.forges.tokens import basic_or_bearer

PAGE, PAGES = 100, 30


class BitbucketCloud(Forge):
    """Asks Bitbucket Cloud. The token is ``mail:token`` of a person, or that of a repository, project or
    workspace.
    """

    name = "bitbucketcloud"
    api = "https://api.bitbucket.org"
    api_path = "/2.0"
    scheme = staticmethod(basic_or_bearer)
    supports = frozenset({"complete"})
    git_user = "x-token-auth"
    push_event = tag_event = "repo:push"

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        return ("repositories", *names(full_name))

    async def commits(self, update: RefUpdate) -> list[Commit]:
        """See :meth:`Forge.commits`: what is reachable from the new commit and not from the old one."""
        query = {"include": update.after or "", "exclude": update.before or "", "pagelen": str(PAGE)}
        found, _ = await self.rest.all(
            "repositories",
            *names(update.repository.full_name),
            "commits",
            pager=by_next(self.rest),
            most=MOST_COMMITS // PAGE,
            query=query,
            about=about(update),
        )
        return [_commit(item) for item in reversed(found) if text(item, "hash")]

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = ("repositories", *names(repository.full_name), "commit", revision)
        got = await self.rest.get(*path, about=Subject(repository.full_name or ""))
        if text(got.value, "hash") is None:
            raise RestError("the answer holds no commit", 200)
        return _commit(got.value)

    async def commit_files(self, repository: Repository, revision: str) -> list[str]:
        """See :meth:`Forge.commit_files`."""
        files, _ = await self.rest.all(
            "repositories",
            *names(repository.full_name),
            *("diffstat", revision),
            pager=by_next(self.rest),
            most=PAGES,
            query={"pagelen": str(PAGE)},
            about=Subject(repository.full_name or ""),
        )
        sides = [mapping(item).get(side) for item in files for side in ("old", "new")]
        return texts(sides, "path")

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get("repositories", *names(full_name), about=Subject(full_name))
        return shaped_as(RepositoryShape, got.value).repository()

    def git_url(self, full_name: str) -> str:
        """See :meth:`Forge.git_url`."""
        return super().git_url(full_name).replace("https://api.bitbucket.org/", "https://bitbucket.org/", 1)


def _commit(item: Any) -> Commit:
    return Commit(
        id=text(item, "hash") or "",
        message=text(item, "message"),
        author=text(item, "author", "raw") or "",
        when=epoch(text(item, "date")),
        url=text(item, "links", "html", "href") or "",
    )


__all__ = ["BitbucketCloud"]
