"""The ``bitbucketcloud`` dialect: Bitbucket Cloud.

A pull request comes as Cloud writes it (``source``, ``destination``, ``links``), or in the older
description's form (``fromRef``, ``toRef``, ``link``).

Source: Atlassian, "Event payloads" (Bitbucket Cloud); "Secure webhooks".
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


class Actor(Shape):
    display_name: str | None = None
    nickname: str | None = None
    username: str | None = None


class Href(Shape):
    href: str | None = None


class Links(Shape):
    self: Href | None = None
    html: Href | None = None


class Project(Shape):
    name: str | None = None


class Repository(Shape):
    full_name: str | None = None
    name: str | None = None
    scm: str | None = None
    project: Project | None = None
    links: Links | None = None


class CommitAuthor(Shape):
    raw: str | None = None


class Target(Shape):
    hash: str
    message: str | None = None
    date: str | None = None
    author: CommitAuthor | None = None
    links: Links | None = None


class Ref(Shape):
    name: str
    target: Target
    type: str | None = None


class RefChange(Shape):
    new: Ref | None = None
    old: Ref | None = None
    truncated: bool | None = None


class Pushed(Shape):
    changes: list[RefChange]


class Push(Shape):
    push: Pushed
    repository: Repository
    actor: Actor | None = None


class Branch(Shape):
    name: str | None = None


class Hash(Shape):
    hash: str | None = None


class Side(Shape):
    branch: Branch | None = None
    commit: Hash | None = None


class OldSide(Shape):
    branch: Branch
    commit: Hash


class PullRequest(Shape):
    id: int
    title: str | None = None
    description: str | None = None
    created_on: str | None = None
    updated_on: str | None = None
    merge_commit: Hash | None = None
    source: Side | None = None
    destination: Side | None = None
    links: Links | None = None
    fromRef: OldSide | None = None
    toRef: OldSide | None = None
    link: str | None = None


class PullRequestEvent(Shape):
    pullrequest: PullRequest
    repository: Repository
    actor: Actor | None = None


CATEGORIES = {
    "pullrequest:created": "pull-created",
    "pullrequest:updated": "pull-updated",
    "pullrequest:fulfilled": "pull-fulfilled",
    "pullrequest:rejected": "pull-rejected",
}


class BitbucketCloudEventHandler(EventHandler):
    """Takes ``repo:push``, and ``pullrequest:`` ``created``, ``updated``, ``fulfilled`` and ``rejected``."""

    Options: ClassVar[type[Options] | None] = BitBucketOptions
    forge = "bitbucket"
    event_header = "X-Event-Key"
    id_headers = ("X-Request-UUID",)

    def property_source(self, event: str, payload: Any) -> Any:
        """Of a pull request's payload, the pull request."""
        return payload["pullrequest"] if event in CATEGORIES else payload

    def names(self, payload: Any) -> tuple[Iterable[str | None], Iterable[str | None]]:
        """A repository by name and address, and a pull request also by the branch it is for."""
        if isinstance(payload, PullRequestEvent):
            pull = payload.pullrequest
            target = pull.toRef.branch.name if pull.toRef is not None else _branch_name(pull.destination)
            return _names(payload.repository), (target,)
        return (_names(payload.repository) if isinstance(payload, Push) else ()), ()

    @shaped(Push)
    def handle_repo_push(self, payload: Push, event: str = "repo:push") -> Changes:
        """One change for each branch or tag, of the category ``push`` or ``ref-deleted``."""
        src = payload.repository.scm or "git"
        found: list[Change] = []
        refusal: NoChange | None = None
        for change in payload.push.changes:
            ref = change.new or change.old
            if ref is None:
                continue
            skipped = self.skipped(ref.target.message) if change.new is not None else None
            if skipped is None:
                found.append(self._ref_change(payload, change, ref))
            else:
                refusal = skipped
        return (found if refusal is None or found else refusal), src

    def _ref_change(self, payload: Push, change: RefChange, ref: Ref) -> Change:
        repository, target = payload.repository, ref.target
        deleted = change.new is None
        html = _href(repository.links, "html")
        properties: dict[str, Any] = not_told("files")
        if change.truncated:
            properties[TRUNCATED] = True
        message, date = (None, None) if deleted else (target.message, target.date)
        raw = target.author.raw if target.author is not None and not deleted else None
        return Change(
            author=raw or _actor(payload.actor),
            comments=message or f"Bitbucket Cloud commit {target.hash}",
            revision=target.hash,
            when_timestamp=epoch(date),
            branch=_ref_name(ref),
            category="ref-deleted" if deleted else "push",
            revlink=_href(target.links, "html") or f"{html}/commits/{target.hash}",
            repository=_address(self, repository),
            project=_project(repository),
            properties=properties,
        )

    @shaped(PullRequestEvent)
    def handle_pullrequest_created(self, payload: PullRequestEvent, event: str) -> Changes:
        """One change for the source branch; when it was merged, for the destination."""
        pull, repository = payload.pullrequest, payload.repository
        category = CATEGORIES[event]
        title = f"Bitbucket Cloud Pull Request #{pull.id}"
        if pull.fromRef is not None and pull.toRef is not None:
            revision, branch = pull.fromRef.commit.hash, _old_branch(category, pull)
            comments = title
        elif pull.source is not None:
            revision, branch = _new_branch(category, pull)
            comments = "\n".join(filter(None, (title, pull.title, pull.description)))
        else:
            raise BadPayload("is missing", "$.pullrequest.source")
        page = pull.link or _href(pull.links, "html")
        change = Change(
            author=_actor(payload.actor),
            comments=comments,
            revision=revision,
            when_timestamp=epoch(pull.created_on if category == "pull-created" else pull.updated_on),
            branch=branch,
            category=category,
            revlink=page,
            repository=_address(self, repository),
            project=_project(repository),
            properties={"pullrequesturl": page, **not_told("files")},
        )
        return [change], repository.scm or "git"

    handle_pullrequest_updated = handle_pullrequest_created
    handle_pullrequest_fulfilled = handle_pullrequest_created
    handle_pullrequest_rejected = handle_pullrequest_created


def _names(repository: Repository) -> tuple[str | None, ...]:
    return (repository.full_name, repository.name, _href(repository.links, "html"))


def _href(links: Links | None, kind: str) -> str:
    link: Href | None = getattr(links, kind, None)
    return (link.href if link is not None else None) or ""


def _actor(actor: Actor | None) -> str:
    return "" if actor is None else person(actor.display_name, actor.nickname or actor.username)


def _project(repository: Repository) -> str:
    return (repository.project.name if repository.project is not None else None) or ""


def _address(handler: EventHandler, repository: Repository) -> str:
    html = _href(repository.links, "html")
    ssh = f"git@bitbucket.org:{repository.full_name}.git" if repository.full_name else None
    return handler.address("usual", usual=_href(repository.links, "self"), https=html, ssh=ssh, html=html)


def _ref_name(ref: Ref) -> str:
    if ref.type == "tag":
        return f"refs/tags/{ref.name}"
    return ref.name if ref.type in ("named_branch", "bookmark") else f"refs/heads/{ref.name}"


def _branch_name(side: Side | None) -> str | None:
    return side.branch.name if side is not None and side.branch is not None else None


def _old_branch(category: str, pull: PullRequest) -> str | None:
    if category == "pull-fulfilled" and pull.toRef is not None:
        return f"refs/heads/{pull.toRef.branch.name}"
    if category == "pull-rejected" and pull.fromRef is not None:
        return f"refs/heads/{pull.fromRef.branch.name}"
    return f"refs/pull-requests/{pull.id}/merge"


def _new_branch(category: str, pull: PullRequest) -> tuple[str | None, str | None]:
    source, merged = pull.source or Side(), pull.merge_commit
    side, revision = source, source.commit.hash if source.commit is not None else None
    if category == "pull-fulfilled" and pull.destination is not None:
        side = pull.destination
        revision = merged.hash if merged is not None and merged.hash else revision
    name = _branch_name(side)
    return revision, f"refs/heads/{name}" if name else None


__all__ = ["BitbucketCloudEventHandler"]
