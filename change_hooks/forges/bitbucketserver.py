"""The REST API of Bitbucket Data Center.

Source: Atlassian, "Bitbucket Data Center REST API": "Repository", "Project", "Pull Requests", "System
Maintenance" (users).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from change_hooks.core.change import person
from change_hooks.core.events import Commit, Person, PullRequest, RefUpdate, Repository
from change_hooks.dialects.payloads.bitbucketserver import RepositoryShape
from change_hooks.forges.completing import Paths
from change_hooks.forges.forge import Forge, about, is_account_of, mapping, shaped_as, text
from change_hooks.forges.paging import by_start
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.segments import names
from change_hooks.forges.tokens import basic_or_bearer

PAGE, PAGES = 100, 30
LEVELS = (("admin", "REPO_ADMIN"), ("write", "REPO_WRITE"), ("read", "REPO_READ"))


class BitbucketServer(Forge):
    """The API of Bitbucket Data Center. The token is an HTTP access token, or ``user:password``."""

    name = "bitbucketserver"
    api_path = "/rest/api/latest"
    scheme = staticmethod(basic_or_bearer)
    supports = frozenset({"complete", "commands"})
    git_user = "x-token-auth"
    push_event = tag_event = "repo:refs_changed"
    whole_pushes = True

    def __init__(self, options: Any, http: Any = None, clock: Any = None, **more: Any) -> None:
        super().__init__(options, http, clock, **more)
        self.server = getattr(options, "server_url", "") or self.base

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        return repository_path(full_name)

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = (*repository_path(repository.full_name), "commits", revision)
        got = await self.rest.get(*path, about=Subject(repository.full_name or ""))
        if text(got.value, "id") is None:
            raise RestError("the response contains no commit", 200)
        return _commit(got.value, repository.urls.get("html") or "")

    async def commit_files(self, repository: Repository, revision: str) -> Paths:
        """See :meth:`Forge.commit_files`."""
        subject = Subject(repository.full_name or "")
        return await self._touched(repository, subject, "commits", revision, "changes")

    async def update_files(self, update: RefUpdate) -> Paths:
        """See :meth:`Forge.update_files`: what the new commit has and the old one does not."""
        between = {"from": update.after or "", "to": update.before or ""}
        return await self._touched(update.repository, about(update), "compare", "changes", **between)

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """See :meth:`Forge.pull_request_files`."""
        path = ("pull-requests", str(pull.number), "changes")
        return await self._touched(pull.repository, about(pull), *path)

    async def head_commit(self, pull: PullRequest) -> Commit:
        """See :meth:`Forge.head_commit`."""
        return await self.commit(pull.head.repository or pull.repository, pull.head.revision or "")

    async def level(self, repository: Repository, who: Person, about: Subject) -> str:
        """See :meth:`Forge.level`: includes permissions by group, and those in the whole project."""
        project, name = names(repository.full_name)
        login = (who.login or "").lower()
        for level, permission in LEVELS:
            query = {
                "filter": login,
                "permission.1": permission,
                "permission.1.projectKey": project,
                "permission.1.repositorySlug": name,
                "limit": str(PAGE),
            }
            found, _ = await self.rest.all("users", pager=by_start, most=PAGES, query=query, about=about)
            named = [item for item in found if (text(item, "name") or "").lower() == login]
            if any(is_account_of(item, who) for item in named):
                return level
        return "none"

    async def _touched(self, repository: Repository, subject: Subject, *path: str, **query: str) -> Paths:
        found, whole = await self.rest.all(
            *repository_path(repository.full_name),
            *path,
            pager=by_start,
            most=PAGES,
            query={"limit": str(PAGE), **query},
            about=subject,
        )
        both = ((text(item, "srcPath", "toString"), text(item, "path", "toString")) for item in found)
        return Paths.of(both, whole=whole)

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get(*repository_path(full_name), about=Subject(full_name))
        return shaped_as(RepositoryShape, got.value).repository(self.server)

    def git_url(self, full_name: str) -> str:
        """See :meth:`Forge.git_url`."""
        project, name = names(full_name)
        return f"{self.base}/scm/{project}/{name}.git"


def repository_path(full_name: str | None) -> tuple[str, ...]:
    """The path of ``PROJECT/name``, or of ``~user/name``.

    :raises RestError: *full_name* is not such a name.
    """
    project, name = names(full_name)
    return "projects", project, "repos", name


def _commit(item: Any, page: str) -> Commit:
    stamp = mapping(item).get("authorTimestamp")
    author = person(text(item, "author", "name"), text(item, "author", "emailAddress"))
    committer = person(text(item, "committer", "name"), text(item, "committer", "emailAddress"))
    return Commit(
        id=text(item, "id") or "",
        message=text(item, "message"),
        author=author,
        committer=committer if committer not in ("", author) else None,
        when=stamp // 1000 if type(stamp) is int else None,
        url=f"{page}commits/{text(item, 'id')}" if page else "",
    )


__all__ = ["BitbucketServer", "repository_path"]
