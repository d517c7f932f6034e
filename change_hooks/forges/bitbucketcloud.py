"""Bitbucket Cloud's REST API.

Source: Atlassian, "The Bitbucket Cloud REST API": "Commits", "Repositories", "Pull requests".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from change_hooks.core.events import Commit, Person, PullRequest, RefUpdate, Repository
from change_hooks.core.payload import epoch
from change_hooks.dialects.payloads.bitbucketcloud import RepositoryShape
from change_hooks.forges.completing import Paths
from change_hooks.forges.forge import Forge, about, shaped_as, text
from change_hooks.forges.paging import by_next
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.segments import Quoted, names, segment
from change_hooks.forges.tokens import basic_or_bearer

PAGE, PAGES = 100, 30


class BitbucketCloud(Forge):
    """The API of Bitbucket Cloud. The token is ``mail:token`` of a person, or the access token of a
    repository, project or workspace.
    """

    name = "bitbucketcloud"
    api = "https://api.bitbucket.org"
    api_path = "/2.0"
    scheme = staticmethod(basic_or_bearer)
    supports = frozenset({"complete", "commands"})
    git_user = "x-token-auth"
    push_event = tag_event = "repo:push"
    whole_pushes = True

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        return ("repositories", *names(full_name))

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = ("repositories", *names(repository.full_name), "commit", revision)
        got = await self.rest.get(*path, about=Subject(repository.full_name or ""))
        if text(got.value, "hash") is None:
            raise RestError("the response contains no commit", 200)
        return _commit(got.value)

    async def commit_files(self, repository: Repository, revision: str) -> Paths:
        """See :meth:`Forge.commit_files`."""
        return await self._touched(repository, Subject(repository.full_name or ""), revision)

    async def update_files(self, update: RefUpdate) -> Paths:
        """See :meth:`Forge.update_files`: what is new since the merge base of the new and the old commit."""
        return await self._touched(update.repository, about(update), f"{update.after}..{update.before}")

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """See :meth:`Forge.pull_request_files`. This requests the address that Bitbucket's own address for
        the files redirects to.
        """
        head, base = pull.head.revision or "", pull.base.revision or ""
        workspace, name = names((pull.head.repository or pull.repository).full_name)
        between = Quoted(f"{name}:{segment(head)}%0D{segment(base)}")
        query = {"from_pullrequest_id": str(pull.number), "topic": "true"}
        return await self._touched(pull.repository, about(pull), workspace, between, **query)

    async def head_commit(self, pull: PullRequest) -> Commit:
        """See :meth:`Forge.head_commit`."""
        return await self.commit(pull.head.repository or pull.repository, pull.head.revision or "")

    async def level(self, repository: Repository, who: Person, about: Subject) -> str:
        """See :meth:`Forge.level`. Nicknames do not identify anybody, because anyone can take one."""
        workspace, name = names(repository.full_name)
        pages = self.rest.pages(
            *("workspaces", workspace, "permissions", "repositories", name),
            pager=by_next(self.rest),
            query={"pagelen": str(PAGE)},
            about=about,
        )
        async for page in pages:
            for item in page.items:
                if who.id and who.id in (text(item, "user", "uuid"), text(item, "user", "account_id")):
                    return text(item, "permission") or "none"
        return "none"

    async def _touched(self, repository: Repository, subject: Subject, *what: str, **query: str) -> Paths:
        files, whole = await self.rest.all(
            "repositories",
            *names(repository.full_name),
            "diffstat",
            *what,
            pager=by_next(self.rest),
            most=PAGES,
            query={"pagelen": str(PAGE), **query},
            about=subject,
        )
        both = ((text(item, "old", "path"), text(item, "new", "path")) for item in files)
        return Paths.of(both, whole=whole)

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
