"""The REST API of Azure DevOps.

Source: Microsoft, "Azure DevOps Services REST API": "Git: Commits", "Git: Pull Request Iteration Changes",
"Service Hooks"; "Use personal access tokens".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from change_hooks.core.events import Commit, PullRequest, RefUpdate, Repository
from change_hooks.dialects.payloads.azuredevops import CommitShape, RepositoryShape
from change_hooks.forges.client import listed
from change_hooks.forges.completing import MOST_COMMITS, Commits, Paths
from change_hooks.forges.forge import Forge, about, mapping, shaped_as, text
from change_hooks.forges.paging import by_next_skip, by_skip
from change_hooks.forges.rest import Pager, RestError, Subject, Unsupported
from change_hooks.forges.segments import segment
from change_hooks.forges.tokens import basic_without_user

VERSION = {"api-version": "7.1"}
PAGE, PAGES = 100, 30


class AzureDevOps(Forge):
    """The API of Azure DevOps. Full names are ``organization/project/repository`` or, on Azure DevOps Server,
    ``collection/project/repository``.
    """

    name = "azuredevops"
    api = "https://dev.azure.com"
    scheme = staticmethod(basic_without_user)
    git_user = "token"
    push_event = tag_event = "git.push"
    supports = frozenset({"complete"})

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        return _path(*_parts(full_name))

    async def commits(self, update: RefUpdate) -> Commits:
        """See :meth:`Forge.commits`: the commits of the push. If several refs were pushed at once, the API
        does not say which commits belong to which ref.
        """
        if update.push is None:
            raise Unsupported
        found, whole = await self.rest.all(
            *_place(update.repository),
            "commits",
            pager=by_skip(PAGE),
            most=MOST_COMMITS // PAGE,
            query={**VERSION, "pushId": update.push, "top": str(PAGE)},
            about=about(update),
        )
        page = update.repository.urls.get("html") or ""
        commits = self.odd.without("commits", reversed(found), partial(_commit, page))
        return Commits(commits, whole and len(commits) == len(found))

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = (*_place(repository), "commits", revision)
        got = await self.rest.get(*path, query=VERSION, about=Subject(repository.full_name or ""))
        return _commit(repository.urls.get("html") or "", got.value)

    async def commit_files(self, repository: Repository, revision: str) -> Paths:
        """See :meth:`Forge.commit_files`."""
        subject, query = Subject(repository.full_name or ""), {"top": str(PAGE)}
        path = ("commits", revision, "changes")
        return await self._touched(repository, subject, by_skip(PAGE), query, *path)

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """See :meth:`Forge.pull_request_files`: the last iteration, compared with the target."""
        path = ("pullRequests", str(pull.number), "iterations")
        got = await self.rest.get(*_place(pull.repository), *path, query=VERSION, about=about(pull))
        numbers = [mapping(item).get("id") for item in listed(got.value)]
        last = max((number for number in numbers if type(number) is int), default=None)
        if last is None:
            raise RestError("the response contains no iteration of the pull request", 200)
        query = {"$top": str(PAGE), "$compareTo": "0"}
        return await self._touched(
            pull.repository, about(pull), by_next_skip, query, *path, str(last), "changes"
        )

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get(*self.repository_path(full_name), query=VERSION, about=Subject(full_name))
        return shaped_as(RepositoryShape, got.value).repository()

    def git_url(self, full_name: str) -> str:
        """See :meth:`Forge.git_url`."""
        organization, project, name = map(segment, _parts(full_name))
        return f"{self.base}/{organization}/{project}/_git/{name}"

    async def _touched(
        self, repository: Repository, subject: Subject, pager: Pager, query: dict[str, str], *path: str
    ) -> Paths:
        found, whole = await self.rest.all(
            *_place(repository),
            *path,
            pager=pager,
            most=PAGES,
            query={**VERSION, **query},
            about=subject,
        )
        return Paths.of((_paths(item) for item in found if not _is_folder(item)), whole=whole)


def _commit(page: str, item: Any) -> Commit:
    if not text(item, "commitId"):
        raise RestError("the response contains no commit", 200)
    return shaped_as(CommitShape, item).commit(page)


def _paths(item: Any) -> list[str]:
    """The path of a file, and its previous path."""
    paths = (text(item, "sourceServerItem"), text(item, "originalPath"), text(item, "item", "path"))
    return [path.removeprefix("/") for path in paths if path]


def _is_folder(item: Any) -> bool:
    inner = mapping(mapping(item).get("item"))
    return inner.get("isFolder") is True or inner.get("gitObjectType") == "tree"


def _place(repository: Repository) -> tuple[str, ...]:
    """The path of a repository in the API. Payloads name the project and the repository; the organization is
    only in the repository's address.

    :raises RestError: the path cannot be determined.
    """
    parts = (repository.full_name or "").split("/")
    if len(parts) == 2:
        parts.insert(0, _organization(repository.urls.get("https") or "", parts[0]))
    return _path(*_parts("/".join(parts)))


def _organization(url: str, project: str) -> str:
    """The organization or collection in ``https://HOST/ORGANIZATION/PROJECT/_git/NAME``, or in
    ``https://ORGANIZATION.visualstudio.com/PROJECT/_git/NAME``; empty: neither.
    """
    try:
        there = urlsplit(url)
    except ValueError:
        return ""
    if (there.hostname or "").endswith(".visualstudio.com"):
        return (there.hostname or "").partition(".")[0]
    before = [unquote(part) for part in there.path.partition("/_git/")[0].split("/")]
    if before[-1] == project:
        # The project is left out when the repository has the same name.
        before.pop()
    return before[-1] if before else ""


def _path(organization: str, project: str, name: str) -> tuple[str, ...]:
    return organization, project, "_apis", "git", "repositories", name


def _parts(full_name: str) -> list[str]:
    """Organization, project and name.

    :raises RestError: *full_name* is not a repository's full name.
    """
    parts = full_name.split("/")
    if len(parts) != 3 or not all(parts):
        raise RestError("the repository's name is not one that the forge's API knows", 400)
    return parts


__all__ = ["VERSION", "AzureDevOps"]
