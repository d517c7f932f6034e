"""The REST API of Gitea and Forgejo.

Source: Gitea, API reference: "repository"; Forgejo, "API usage".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from change_hooks.core.change import person
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Commit, Person, PullRequest, RefUpdate, Repository
from change_hooks.core.payload import epoch
from change_hooks.dialects.payloads.gitea import PullEvent, RepositoryShape
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
    texts,
)
from change_hooks.forges.paging import until_empty
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.segments import names
from change_hooks.forges.tokens import token_scheme

#: A server returns 50 items per page, unless an administrator has changed that.
PAGE, PAGES = 50, 60
BY_FIFTIES = {"limit": str(PAGE), "page": "1"}


class Gitea(Forge):
    """The API of Gitea and Forgejo."""

    name = "gitea"
    api_path = "/api/v1"
    scheme = staticmethod(token_scheme)
    supports = frozenset({"complete", "commands"})
    git_user = "oauth2"

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        return ("repos", *names(full_name))

    async def commits(self, update: RefUpdate) -> Commits:
        """See :meth:`Forge.commits`: what is reachable from the new commit and not from the old one."""
        found, whole = await self.rest.all(
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
        commits = self.odd.without("commits", reversed(found), _commit)
        return Commits(
            commits, whole and len(commits) == len(found), parents_of(found, "sha", "parents", "sha")
        )

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = ("repos", *names(repository.full_name), "git", "commits", revision)
        query = {"stat": "false", "files": "true", "verification": "false"}
        got = await self.rest.get(*path, query=query, about=Subject(repository.full_name or ""))
        return _commit(got.value)

    async def commit_files(self, repository: Repository, revision: str) -> Paths:
        """See :meth:`Forge.commit_files`."""
        files = (await self.commit(repository, revision)).files
        return Paths(files or [], whole=files is not None)

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """See :meth:`Forge.pull_request_files`."""
        files, whole = await self.rest.all(
            *self.repository_path(pull.repository.full_name or ""),
            *("pulls", str(pull.number), "files"),
            pager=until_empty,
            most=PAGES,
            query=BY_FIFTIES,
            about=about(pull),
        )
        both = ((text(file, "previous_filename"), text(file, "filename")) for file in files)
        return Paths.of(both, whole=whole)

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get("repos", *names(full_name), about=Subject(full_name))
        return shaped_as(RepositoryShape, got.value).repository()

    async def pull_requests(self, repository: Repository) -> OpenPulls:
        """See :meth:`Forge.pull_requests`."""
        found, whole = await self.rest.all(
            "repos",
            *names(repository.full_name),
            "pulls",
            pager=until_empty,
            most=MOST_COMMITS // PAGE,
            query={**BY_FIFTIES, "state": "open", "sort": "recentupdate"},
            about=Subject(repository.full_name or ""),
        )
        pulls = self.odd.without("pull requests", found, partial(_pull, repository))
        return OpenPulls(pulls, whole and len(pulls) == len(found))

    async def pull_request(self, repository: Repository, number: int, known: PullRequest) -> PullRequest:
        """See :meth:`Forge.pull_request`."""
        path = (*self.repository_path(repository.full_name or ""), "pulls", str(number))
        pull = _pull(repository, (await self.rest.get(*path, about=about(known))).value)
        properties = {**known.properties, **pull.properties}
        return replace(known, head=pull.head, base=pull.base, draft=pull.draft, properties=properties)

    async def level(self, repository: Repository, who: Person, about: Subject) -> str:
        """See :meth:`Forge.level`."""
        path = self.repository_path(repository.full_name or "")
        try:
            got = await self.rest.get(*path, "collaborators", who.login or "", "permission", about=about)
        except RestError as error:
            if error.status == 404:
                return "none"
            raise
        if not is_account_of(mapping(got.value).get("user"), who):
            return "none"
        found = text(got.value, "permission") or ""
        return "admin" if found == "owner" else found


def _pull(repository: Repository, item: Any) -> PullRequest:
    """A pull request, as if it had just been opened."""
    sent = {
        "action": "opened",
        "pull_request": item,
        "sender": mapping(item).get("user"),
        "repository": mapping(mapping(mapping(item).get("base")).get("repo")),
    }
    try:
        pull = shaped_as(PullEvent, sent).neutral("pull_request")
    except BadPayload as error:
        raise RestError(f"the response contains no pull request: {error.message}", 200) from error
    if pull is None or not pull.number or pull.head.revision is None:
        raise RestError("the response contains no pull request", 200)
    return replace(pull, repository=repository)


def _commit(item: Any) -> Commit:
    if not text(item, "sha"):
        raise RestError("the response contains no commit", 200)
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
