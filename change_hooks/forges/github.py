"""GitHub's REST API, and GitHub Enterprise's.

Source: GitHub, REST API: "Commits", "Pull requests", "Collaborators".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from change_hooks.core.change import person
from change_hooks.core.events import Commit, Person, PullRequest, RefUpdate, Repository, Side
from change_hooks.core.payload import epoch
from change_hooks.dialects.payloads.github import PullRequestEvent, RepositoryShape
from change_hooks.forges.client import listed
from change_hooks.forges.completing import MOST_COMMITS, Commits, Paths
from change_hooks.forges.forge import (
    Forge,
    OpenPulls,
    about,
    is_account_of,
    mapping,
    parents_of,
    shaped_as,
    text,
)
from change_hooks.forges.paging import by_number
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.segments import names
from change_hooks.forges.tokens import token_scheme

#: Items per page, and pages, of a pull request's files: GitHub lists at most 3,000.
PAGE, PAGES = 100, 30
BY_HUNDREDS = {"per_page": str(PAGE), "page": "1"}
_LEVELS = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}


class GitHub(Forge):
    """The API of GitHub."""

    name = "github"
    api_option = "github_api_endpoint"
    api = "https://api.github.com"
    accept = "application/vnd.github+json"
    scheme = staticmethod(token_scheme)
    always_asks = True
    supports = frozenset({"complete", "commands"})
    git_user = "x-access-token"

    async def commits(self, update: RefUpdate) -> Commits:
        """See :meth:`Forge.commits`: what is reachable from the new commit and not from the old one."""
        repository = names(update.repository.full_name)
        between = f"{update.before}...{update.after}"
        found: list[Any] = []
        for page in range(1, MOST_COMMITS // PAGE + 1):
            query = {"per_page": str(PAGE), "page": str(page)}
            path = ("repos", *repository, "compare", between)
            got = await self.rest.get(*path, query=query, about=about(update))
            items = listed(mapping(got.value).get("commits"))
            found += items
            if len(items) < PAGE:
                break
        commits = self.odd.without("commits", found, _commit)
        return Commits(
            commits,
            len(items) < PAGE and len(commits) == len(found),
            parents_of(found, "sha", "parents", "sha"),
        )

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = ("repos", *names(repository.full_name), "commits", revision)
        got = await self.rest.get(*path, about=Subject(repository.full_name or ""))
        if not isinstance(got.value, Mapping) or text(got.value, "commit", "message") is None:
            raise RestError("the response contains no commit", 200)
        return replace(_commit(got.value), id=revision)

    async def commit_files(self, repository: Repository, revision: str) -> Paths:
        """See :meth:`Forge.commit_files`."""
        path = ("repos", *names(repository.full_name), "commits", revision)
        files: list[Any] = []
        for page in range(1, PAGES + 1):
            query = {"per_page": str(PAGE), "page": str(page)}
            got = await self.rest.get(*path, query=query, about=Subject(repository.full_name or ""))
            items = listed(mapping(got.value).get("files") or [])
            files += items
            if len(items) < PAGE:
                break
        return _paths(files, whole=len(items) < PAGE)

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """See :meth:`Forge.pull_request_files`."""
        files, whole = await self.rest.all(
            "repos",
            *names(pull.repository.full_name),
            "pulls",
            str(pull.number),
            "files",
            pager=by_number(PAGE),
            most=PAGES,
            query=BY_HUNDREDS,
            about=about(pull),
        )
        return _paths(files, whole=whole)

    async def pull_request(self, repository: Repository, number: int, known: PullRequest) -> PullRequest:
        """See :meth:`Forge.pull_request`."""
        path = ("repos", *names(repository.full_name), "pulls", str(number))
        value = mapping((await self.rest.get(*path, about=about(known))).value)
        head = _side(value.get("head"))
        if head.revision is None:
            raise RestError("the response contains no pull request", 200)
        return replace(
            known,
            head=head,
            base=_side(value.get("base")),
            title=text(value, "title") or known.title,
            body=text(value, "body") or known.body,
            draft=value["draft"] if isinstance(value.get("draft"), bool) else known.draft,
            url=text(value, "html_url") or known.url,
            created=epoch(text(value, "created_at")) or known.created,
            updated=epoch(text(value, "updated_at")) or known.updated,
            commits=value["commits"] if isinstance(value.get("commits"), int) else known.commits,
        )

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get("repos", *names(full_name), about=Subject(full_name))
        return shaped_as(RepositoryShape, got.value).repository()

    def git_url(self, full_name: str) -> str:
        """See :meth:`Forge.git_url`."""
        return super().git_url(full_name).replace("https://api.github.com/", "https://github.com/", 1)

    async def pull_requests(self, repository: Repository) -> OpenPulls:
        """See :meth:`Forge.pull_requests`."""
        found, whole = await self.rest.all(
            "repos",
            *names(repository.full_name),
            "pulls",
            pager=by_number(PAGE),
            most=PAGES,
            query={**BY_HUNDREDS, "state": "open", "sort": "updated", "direction": "desc"},
            about=Subject(repository.full_name or ""),
        )
        pulls = self.odd.without("pull requests", found, partial(_pull, repository))
        return OpenPulls(pulls, whole and len(pulls) == len(found))

    async def level(self, repository: Repository, who: Person, about: Subject) -> str:
        """See :meth:`Forge.level`."""
        path = ("repos", *names(repository.full_name), "collaborators", who.login or "", "permission")
        try:
            got = await self.rest.get(*path, about=about)
        except RestError as error:
            if error.status == 404:
                return "none"
            raise
        if not is_account_of(mapping(got.value).get("user"), who):
            return "none"
        return _LEVELS.get(text(got.value, "permission") or "", "none")


def _paths(files: list[Any], *, whole: bool) -> Paths:
    both = ((text(file, "filename"), text(file, "previous_filename")) for file in files)
    return Paths.of(both, whole=whole)


def _commit(item: Any) -> Commit:
    if not text(item, "sha"):
        raise RestError("the response contains no commit", 200)
    inner = mapping(mapping(item).get("commit"))
    author, committer = inner.get("author"), inner.get("committer")
    return Commit(
        id=text(item, "sha") or "",
        message=text(inner, "message"),
        author=person(text(author, "name"), text(author, "email")),
        committer=person(text(committer, "name"), text(committer, "email")) or None,
        when=epoch(text(committer, "date") or text(author, "date")),
        url=text(item, "html_url") or "",
    )


def _pull(repository: Repository, item: Any) -> PullRequest:
    """A pull request, as if it had just been opened."""
    sent = {"action": "opened", "pull_request": item, "sender": mapping(item).get("user")}
    pull = shaped_as(PullRequestEvent, sent).neutral("pull_request")
    if pull is None or not pull.number:
        raise RestError("it has no number", 200)
    return replace(pull, repository=repository)


def _side(value: Any) -> Side:
    repository = mapping(mapping(value).get("repo"))
    return Side(
        branch=text(value, "ref"),
        revision=text(value, "sha"),
        repository=Repository(
            full_name=text(repository, "full_name"),
            name=text(repository, "name"),
            urls={
                "html": text(repository, "html_url"),
                "https": text(repository, "clone_url"),
                "ssh": text(repository, "ssh_url"),
            },
        )
        if repository
        else None,
    )


__all__ = ["GitHub"]
