"""GitLab's REST API.

Source: GitLab, "Commits API", "Projects API", "Merge requests API".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from change_hooks.core.change import person
from change_hooks.core.events import (
    Commit,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
    revision_or_none,
)
from change_hooks.core.payload import epoch
from change_hooks.dialects.payloads.gitlab import Project, repository
from change_hooks.forges.client import listed
from change_hooks.forges.completing import MOST_COMMITS, Commits, Paths
from change_hooks.forges.forge import Forge, OpenPulls, about, mapping, parents_of, shaped_as, text
from change_hooks.forges.paging import by_number
from change_hooks.forges.rest import RestError, Subject, Unsupported
from change_hooks.forges.segments import names
from change_hooks.forges.tokens import private_token

PAGE, PAGES = 100, 30
BY_HUNDREDS = {"per_page": str(PAGE), "page": "1"}
#: The permissions of roles, from maintainer, developer and guest upwards.
_LEVELS = ((40, "admin"), (30, "write"), (10, "read"))


class GitLab(Forge):
    """The API of GitLab."""

    name = "gitlab"
    api = "https://gitlab.com"
    api_path = "/api/v4"
    scheme = staticmethod(private_token)
    supports = frozenset({"complete", "commands"})
    git_user = "oauth2"
    push_event, tag_event, pull_event = "push", "tag_push", "merge_request"

    def repository_path(self, full_name: str) -> Sequence[str]:
        """See :meth:`Forge.repository_path`."""
        return project(full_name)

    async def commits(self, update: RefUpdate) -> Commits:
        """See :meth:`Forge.commits`: what is reachable from the new commit and not from the old one; for a
        new branch, what is not on the default branch: GitLab counts these.
        """
        since = revision_or_none(update.before) or update.since
        if since is None:
            raise Unsupported
        counted = update.total if type(update.total) is int else MOST_COMMITS
        found, whole = await self.rest.all(
            *project(update.repository.full_name),
            "repository",
            "commits",
            pager=by_number(PAGE),
            most=min(MOST_COMMITS // PAGE, counted // PAGE + 1),
            query={**BY_HUNDREDS, "ref_name": f"{since}..{update.after}"},
            about=about(update),
        )
        commits = self.odd.without("commits", reversed(found), _commit)
        return Commits(commits, whole and len(commits) == len(found), parents_of(found, "id", "parent_ids"))

    async def commit(self, repository: Repository, revision: str) -> Commit:
        """See :meth:`Forge.commit`."""
        path = (*project(repository.full_name), "repository", "commits", revision)
        got = await self.rest.get(*path, about=Subject(repository.full_name or ""))
        return _commit(got.value)

    async def commit_files(self, repository: Repository, revision: str) -> Paths:
        """See :meth:`Forge.commit_files`."""
        files, whole = await self.rest.all(
            *project(repository.full_name),
            *("repository", "commits", revision, "diff"),
            pager=by_number(PAGE),
            most=PAGES,
            query=BY_HUNDREDS,
            about=Subject(repository.full_name or ""),
        )
        return _paths(files, whole=whole)

    async def pull_request_files(self, pull: PullRequest) -> Paths:
        """See :meth:`Forge.pull_request_files`. GitLab determines them after it has sent the event, so an
        empty list means nothing.
        """
        files, whole = await self.rest.all(
            *project(pull.repository.full_name),
            *("merge_requests", str(pull.number), "diffs"),
            pager=by_number(PAGE),
            most=PAGES,
            query=BY_HUNDREDS,
            about=about(pull),
        )
        return _paths(files, whole=whole and bool(files))

    async def repository(self, full_name: str) -> Repository:
        """See :meth:`Forge.repository`."""
        got = await self.rest.get(*project(full_name), about=Subject(full_name))
        value = mapping(got.value)
        sent = {
            **{name: value.get(name) for name in ("id", "name", "path_with_namespace", "web_url")},
            "git_http_url": value.get("http_url_to_repo"),
            "git_ssh_url": value.get("ssh_url_to_repo"),
        }
        found = shaped_as(Project, sent)
        return repository(found, found)

    async def pull_requests(self, repository: Repository) -> OpenPulls:
        """See :meth:`Forge.pull_requests`."""
        found, whole = await self.rest.all(
            *project(repository.full_name),
            "merge_requests",
            pager=by_number(PAGE),
            most=PAGES,
            query={**BY_HUNDREDS, "state": "opened", "order_by": "updated_at"},
            about=Subject(repository.full_name or ""),
        )
        pulls = self.odd.without("merge requests", found, partial(_pull, repository))
        return OpenPulls(pulls, whole and len(pulls) == len(found))

    async def level(self, repository: Repository, who: Person, about: Subject) -> str:
        """See :meth:`Forge.level`: includes inherited permissions, and those of invited groups."""
        number = who.id or await self._number_of(who.login or "", about)
        if number is None:
            return "none"
        path = (*project(repository.full_name), "members", "all", number)
        try:
            member = mapping((await self.rest.get(*path, about=about)).value)
        except RestError as error:
            if error.status == 404:
                return "none"
            raise
        access = member.get("access_level")
        if (
            str(member.get("id")) != number
            or type(access) is not int
            or member.get("state", "active") != "active"
        ):
            return "none"
        return next((level for least, level in _LEVELS if access >= least), "none")

    async def _number_of(self, login: str, about: Subject) -> str | None:
        """The key of the account that has a login now."""
        login = login.lower()
        found = await self.rest.get("users", query={"username": login}, about=about)
        users = [item for item in listed(found.value) if (text(item, "username") or "").lower() == login]
        number = mapping(users[0]).get("id") if users else None
        return str(number) if type(number) is int else None


def project(full_name: str | None) -> tuple[str, str]:
    """The path of a project: its full name is one segment.

    :raises RestError: *full_name* is not a valid name.
    """
    return "projects", "/".join(names(full_name, None))


def _paths(files: list[Any], *, whole: bool) -> Paths:
    return Paths.of(((text(file, "old_path"), text(file, "new_path")) for file in files), whole=whole)


def _commit(item: Any) -> Commit:
    if not text(item, "id"):
        raise RestError("the response contains no commit", 200)
    committer = person(text(item, "committer_name"), text(item, "committer_email"))
    author = person(text(item, "author_name"), text(item, "author_email"))
    return Commit(
        id=text(item, "id") or "",
        message=text(item, "message"),
        author=author,
        committer=committer if committer != author else None,
        when=epoch(text(item, "created_at") or text(item, "committed_date")),
        url=text(item, "web_url") or "",
    )


def _pull(repository: Repository, item: Any) -> PullRequest:
    """A merge request, as if it had just been opened."""
    item = mapping(item)
    if type(item.get("iid")) is not int or not text(item, "sha"):
        raise RestError("it has no number or no commit", 200)
    author = Person(text(item, "author", "name"), None, text(item, "author", "username"))
    labels = item.get("labels")
    return PullRequest(
        repository=repository,
        number=item["iid"],
        action="opened",
        forge_action="open",
        title=text(item, "title"),
        body=text(item, "description"),
        head=Side(branch=text(item, "source_branch"), revision=text(item, "sha")),
        base=Side(branch=text(item, "target_branch")),
        author=author,
        sender=author,
        draft=item["draft"] if isinstance(item.get("draft"), bool) else None,
        labels=[label for label in labels if isinstance(label, str)] if isinstance(labels, list) else [],
        url=text(item, "web_url") or "",
        created=epoch(text(item, "created_at")),
        updated=epoch(text(item, "updated_at")),
        name="merge_request",
    )


__all__ = ["GitLab", "project"]
