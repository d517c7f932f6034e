"""The ``bitbucketserver`` dialect: Bitbucket Server and Data Center.

Their own webhooks (versions 5 to 9), and those of the older add-on, which wrote payloads like Cloud's.

Source: Atlassian, "Event payload" (Bitbucket Data Center); the add-on "Post Webhooks for Bitbucket".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from change_hooks.core.change import TRUNCATED, Change, NoChange, person
from change_hooks.core.errors import BadPayload
from change_hooks.core.options import Options
from change_hooks.core.payload import Shape, epoch
from change_hooks.dialects.bitbucket import BitBucketOptions
from change_hooks.dialects.handler import Changes, EventHandler, not_told, shaped


class User(Shape):
    name: str | None = None
    username: str | None = None
    emailAddress: str | None = None
    displayName: str | None = None


class Link(Shape):
    href: str | None = None
    name: str | None = None


class Links(Shape):
    self: list[Link] | None = None
    clone: list[Link] | None = None


class Project(Shape):
    key: str | None = None
    name: str | None = None


class Repository(Shape):
    slug: str | None = None
    name: str | None = None
    fullName: str | None = None
    scmId: str | None = None
    project: Project | None = None
    links: Links | None = None


class Commit(Shape):
    message: str | None = None
    author: User | None = None
    authorTimestamp: int | None = None


class Ref(Shape):
    id: str
    displayId: str | None = None


class RefChange(Shape):
    toHash: str
    ref: Ref | None = None
    refId: str | None = None
    fromHash: str | None = None
    type: str | None = None


class AddOnTarget(Shape):
    hash: str


class AddOnRef(Shape):
    name: str
    target: AddOnTarget
    type: str | None = None


class AddOnChange(Shape):
    new: AddOnRef | None = None
    old: AddOnRef | None = None
    truncated: bool | None = None


class AddOnPushed(Shape):
    changes: list[AddOnChange]


class Push(Shape):
    repository: Repository
    actor: User | None = None
    date: str | int | None = None
    changes: list[RefChange] | None = None
    toCommit: Commit | None = None
    push: AddOnPushed | None = None


class Side(Shape):
    id: str
    displayId: str | None = None
    latestCommit: str | None = None
    repository: Repository | None = None


class PullRequest(Shape):
    id: int
    fromRef: Side
    toRef: Side
    title: str | None = None
    description: str | None = None
    links: Links | None = None


class PullRequestEvent(Shape):
    pullRequest: PullRequest
    actor: User | None = None
    date: str | int | None = None


class AddOnBranch(Shape):
    name: str


class AddOnSide(Shape):
    branch: AddOnBranch
    commit: AddOnTarget


class AddOnPullRequest(Shape):
    id: int
    fromRef: AddOnSide
    toRef: AddOnSide
    link: str | None = None


class AddOnPullRequestEvent(Shape):
    pullrequest: AddOnPullRequest
    repository: Repository
    actor: User | None = None


CATEGORIES = {
    "pr:opened": "pull-created",
    "pr:from_ref_updated": "pull-updated",
    "pr:modified": "pull-updated",
    "pr:merged": "pull-fulfilled",
    "pr:declined": "pull-rejected",
    "pr:deleted": "pull-rejected",
    "pullrequest:created": "pull-created",
    "pullrequest:updated": "pull-updated",
    "pullrequest:fulfilled": "pull-fulfilled",
    "pullrequest:rejected": "pull-rejected",
}


class BitbucketServerEventHandler(EventHandler):
    """Takes ``repo:refs_changed``, the ``pr:`` events of the categories above, and the add-on's events."""

    Options: ClassVar[type[Options] | None] = BitBucketOptions
    forge = "bitbucket"
    event_header = "X-Event-Key"
    id_headers = ("X-Request-Id",)

    def property_source(self, event: str, payload: Any) -> Any:
        """Of a pull request's payload, the pull request."""
        if event not in CATEGORIES:
            return payload
        return payload["pullRequest" if event.startswith("pr:") else "pullrequest"]

    def names(self, payload: Any) -> tuple[Iterable[str | None], Iterable[str | None]]:
        """A repository as ``PROJECT/slug``, and a pull request also by the branch it is for."""
        if isinstance(payload, PullRequestEvent):
            target = payload.pullRequest.toRef
            return _names(target.repository or Repository()), (target.displayId, target.id)
        if isinstance(payload, AddOnPullRequestEvent):
            return _names(payload.repository), (payload.pullrequest.toRef.branch.name,)
        return (_names(payload.repository) if isinstance(payload, Push) else ()), ()

    def handle_diagnostics_ping(self, payload: Any) -> Changes:
        """Somebody tries the connection."""
        return NoChange("a ping; the webhook works"), "git"

    @shaped(Push)
    def handle_repo_refs_changed(self, payload: Push, event: str = "repo:refs_changed") -> Changes:
        """One change for each branch or tag, of the category ``push`` or ``ref-deleted``."""
        if payload.changes is not None:
            found = [_ref_change(self, payload, change) for change in payload.changes]
        elif payload.push is not None:
            found = [_add_on_change(self, payload, change) for change in payload.push.changes]
        else:
            raise BadPayload("is missing", "$.changes")
        skipped = self.skipped(payload.toCommit.message if payload.toCommit is not None else None)
        return (found if skipped is None else skipped), _src(payload.repository)

    handle_repo_push = handle_repo_refs_changed

    @shaped(PullRequestEvent)
    def handle_pr_opened(self, payload: PullRequestEvent, event: str) -> Changes:
        """One change for the merge of both sides; once merged, for the target; declined, for the source."""
        pull = payload.pullRequest
        repository = pull.toRef.repository or Repository()
        title = f"Bitbucket Server Pull Request #{pull.id}"
        link = (pull.links.self or [Link()])[0].href if pull.links is not None and pull.links.self else None
        return self._pull_request(
            repository,
            CATEGORIES[event],
            pull.id,
            sides=(pull.fromRef.id, pull.toRef.id),
            author=_person(payload.actor),
            comments="\n".join(filter(None, (title, pull.title, pull.description))),
            revision=pull.fromRef.latestCommit,
            when_timestamp=_when(payload.date),
            link=link or f"{_page(repository)}pull-requests/{pull.id}",
        )

    handle_pr_from_ref_updated = handle_pr_opened
    handle_pr_modified = handle_pr_opened
    handle_pr_merged = handle_pr_opened
    handle_pr_declined = handle_pr_opened
    handle_pr_deleted = handle_pr_opened

    @shaped(AddOnPullRequestEvent)
    def handle_pullrequest_created(self, payload: AddOnPullRequestEvent, event: str) -> Changes:
        """The same, as the add-on writes it."""
        pull = payload.pullrequest
        return self._pull_request(
            payload.repository,
            CATEGORIES[event],
            pull.id,
            sides=(f"refs/heads/{pull.fromRef.branch.name}", f"refs/heads/{pull.toRef.branch.name}"),
            author=_person(payload.actor),
            comments=f"Bitbucket Server Pull Request #{pull.id}",
            revision=pull.fromRef.commit.hash,
            when_timestamp=None,
            link=pull.link or "",
        )

    handle_pullrequest_updated = handle_pullrequest_created
    handle_pullrequest_fulfilled = handle_pullrequest_created
    handle_pullrequest_rejected = handle_pullrequest_created

    def _pull_request(
        self,
        repository: Repository,
        category: str,
        number: int,
        *,
        sides: tuple[str, str],
        link: str,
        **fields: Any,
    ) -> Changes:
        source, target = sides
        branch = {"pull-fulfilled": target, "pull-rejected": source}.get(
            category, f"refs/pull-requests/{number}/merge"
        )
        change = Change(
            branch=branch,
            category=category,
            revlink=link,
            repository=_address(self, repository),
            project=_project(repository),
            properties={"pullrequesturl": link, **not_told("files")},
            **fields,
        )
        return [change], _src(repository)


def _ref_change(handler: EventHandler, payload: Push, change: RefChange) -> Change:
    ref = change.ref.id if change.ref is not None else change.refId
    if ref is None:
        raise BadPayload("is missing", "$.changes[...].refId")
    deleted = change.type == "DELETE" or not change.toHash.strip("0")
    revision = (change.fromHash if deleted else change.toHash) or ""
    commit = payload.toCommit if payload.toCommit is not None and not deleted else Commit()
    stamp = commit.authorTimestamp
    return Change(
        author=_person(commit.author) or _person(payload.actor),
        comments=commit.message or f"Bitbucket Server commit {revision}",
        revision=revision,
        when_timestamp=_when(payload.date if stamp is None else stamp),
        branch=ref,
        category="ref-deleted" if deleted else "push",
        revlink=f"{_page(payload.repository)}commits/{revision}",
        repository=_address(handler, payload.repository),
        project=_project(payload.repository),
        properties=not_told("files"),
    )


def _add_on_change(handler: EventHandler, payload: Push, change: AddOnChange) -> Change:
    ref = change.new or change.old
    if ref is None:
        raise BadPayload("is missing", "$.push.changes[...].new")
    kind = "tags" if ref.type == "tag" else "heads"
    return Change(
        author=_person(payload.actor),
        comments=f"Bitbucket Server commit {ref.target.hash}",
        revision=ref.target.hash,
        branch=f"refs/{kind}/{ref.name}",
        category="push" if change.new is not None else "ref-deleted",
        revlink=f"{_page(payload.repository)}commits/{ref.target.hash}",
        repository=_address(handler, payload.repository),
        project=_project(payload.repository),
        properties={**not_told("files"), **({TRUNCATED: True} if change.truncated else {})},
    )


def _person(user: User | None) -> str:
    if user is None:
        return ""
    return person(user.displayName or user.name, user.emailAddress or user.username or user.name)


def _src(repository: Repository) -> str:
    return repository.scmId or "git"


def _project(repository: Repository) -> str:
    return (repository.project.name if repository.project is not None else None) or ""


def _names(repository: Repository) -> tuple[str | None, ...]:
    key = repository.project.key if repository.project is not None else None
    return (
        f"{key}/{repository.slug}" if key and repository.slug else None,
        repository.fullName,
        repository.name,
    )


def _page(repository: Repository) -> str:
    links = repository.links.self if repository.links is not None else None
    page = links[0].href if links else None
    if page:
        return page.removesuffix("browse")
    key = repository.project.key if repository.project is not None else None
    return f"projects/{key}/repos/{repository.slug}/" if key and repository.slug else ""


def _address(handler: EventHandler, repository: Repository) -> str:
    clone = (repository.links.clone if repository.links is not None else None) or []
    by_name = {link.name: link.href for link in clone}
    page = _page(repository)
    return handler.address(
        "html", html=page, https=by_name.get("https") or by_name.get("http"), ssh=by_name.get("ssh")
    )


def _when(date: str | int | None) -> int | None:
    return date // 1000 if isinstance(date, int) else epoch(date)


__all__ = ["BitbucketServerEventHandler"]
