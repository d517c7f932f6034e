"""The ``bitbucketcloud`` dialect: Bitbucket Cloud.

A pull request comes as Cloud writes it (``source``, ``destination``, ``links``), or in the older
description's form (``fromRef``, ``toRef``, ``link``).

Source: Atlassian, "Event payloads" (Bitbucket Cloud); "Secure webhooks".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Action,
    Commit,
    Event,
    Ignored,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
)
from change_hooks.core.options import Options
from change_hooks.core.payload import Shape, epoch
from change_hooks.core.style import Style
from change_hooks.dialects.bitbucket import BitBucketOptions
from change_hooks.dialects.event_handler import EventHandler, shaped


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


class RepositoryShape(Shape):
    full_name: str | None = None
    name: str | None = None
    scm: str | None = None
    project: Project | None = None
    links: Links | None = None


class CommitAuthor(Shape):
    raw: str | None = None


class Target(Shape):
    hash: str | None = None
    message: str | None = None
    date: str | None = None
    author: CommitAuthor | None = None
    links: Links | None = None


class Ref(Shape):
    name: str
    target: Target | None = None
    type: str | None = None


class RefChangeShape(Shape):
    new: Ref | None = None
    old: Ref | None = None
    created: bool | None = None
    forced: bool | None = None
    truncated: bool | None = None


class Pushed(Shape):
    changes: list[RefChangeShape]


class Push(Shape):
    push: Pushed
    repository: RepositoryShape
    actor: Actor | None = None


class Branch(Shape):
    name: str | None = None


class Hash(Shape):
    hash: str | None = None


class SideShape(Shape):
    branch: Branch | None = None
    commit: Hash | None = None
    repository: RepositoryShape | None = None


class OldSide(Shape):
    branch: Branch
    commit: Hash


class PullRequestShape(Shape):
    id: int
    title: str | None = None
    description: str | None = None
    created_on: str | None = None
    updated_on: str | None = None
    merge_commit: Hash | None = None
    source: SideShape | None = None
    destination: SideShape | None = None
    links: Links | None = None
    fromRef: OldSide | None = None
    toRef: OldSide | None = None
    link: str | None = None
    author: Actor | None = None
    draft: bool | None = None


class PullRequestEvent(Shape):
    pullrequest: PullRequestShape
    repository: RepositoryShape
    actor: Actor | None = None


class BitbucketStyle(Style):
    """As the pages of ``bitbucketcloud`` and ``bitbucketserver`` say."""

    per_commit = False
    full_refs = True
    deleted = "ref-deleted"
    event_property = False
    pull_actions = ("opened", "updated", "edited", "merged", "closed")
    #: How the title of a pull request's change begins.
    title: ClassVar[str] = ""

    def category(self, event: RefUpdate) -> str | None:
        """``push``, for tags too."""
        return "push"

    def pull(self, event: PullRequest, options: Any) -> dict[str, Any]:
        """Where the merge can be had; once that is over, where it went, or where it came from."""
        title = f"{self.title} Pull Request #{event.number}"
        return {
            "author": str(event.sender),
            "branch": self.pull_branch(event),
            "category": CATEGORIES[event.action],
            "comments": "\n".join(filter(None, (title, event.title, event.body))),
            "revision": (event.merge_commit if event.action == "merged" else None) or event.head.revision,
            "when_timestamp": event.created if event.action == "opened" else event.updated,
        }

    def pull_branch(self, event: PullRequest) -> str | None:
        """The whole ref."""
        if event.action == "merged":
            return event.base.branch and f"refs/heads/{event.base.branch}"
        if event.action == "closed":
            return source_ref(event)
        return event.merge_ref


def source_ref(event: PullRequest) -> str | None:
    """Where a pull request comes from: of another repository, under a name that no branch here has."""
    if event.from_fork:
        return f"refs/pull-requests/{event.number}/from"
    return event.head.branch and f"refs/heads/{event.head.branch}"


#: The categories of pull requests, by what happened.
CATEGORIES: Mapping[str, str] = {
    "opened": "pull-created",
    "reopened": "pull-created",
    "updated": "pull-updated",
    "edited": "pull-updated",
    "labeled": "pull-updated",
    "unlabeled": "pull-updated",
    "ready": "pull-updated",
    "drafted": "pull-updated",
    "queued": "pull-updated",
    "merged": "pull-fulfilled",
    "closed": "pull-rejected",
}


class BitbucketCloudStyle(BitbucketStyle):
    """There is no merge ref on Cloud: the branch is the source."""

    unnamed = "Bitbucket Cloud commit {revision}"
    title = "Bitbucket Cloud"

    def pull_branch(self, event: PullRequest) -> str | None:
        """The older form has a merge ref."""
        if event.action in ("merged", "closed"):
            return super().pull_branch(event)
        return event.merge_ref or source_ref(event)


class BitbucketCloudEventHandler(EventHandler[BitBucketOptions]):
    """Takes ``repo:push``, and ``pullrequest:`` ``created``, ``updated``, ``fulfilled`` and ``rejected``."""

    sender = "Bitbucket Cloud"
    verified_by = "HMAC-SHA256"
    Options: ClassVar[type[Options] | None] = BitBucketOptions
    forge = "bitbucketcloud"
    prefix = "bitbucket"
    event_header = "X-Event-Key"
    id_headers = ("X-Request-UUID",)
    style = BitbucketCloudStyle()

    @shaped(Push)
    def handle_repo_push(self, payload: Push, event: str = "repo:push") -> list[Event]:
        """Branches and tags were made, moved or deleted."""
        return [
            found
            for change in payload.push.changes
            if (found := _ref_update(payload, change, event)) is not None
        ] or [Ignored("the push lists no branch and no tag")]

    @shaped(PullRequestEvent)
    def handle_pullrequest_created(self, payload: PullRequestEvent, event: str) -> Event:
        """Something happened to a pull request."""
        pull = payload.pullrequest
        page = pull.link or _href(pull.links, "html")
        head, base, older = _sides(pull)
        return PullRequest(
            repository=_repository(payload.repository),
            number=pull.id,
            action=ACTIONS[event],
            forge_action=event,
            title=None if older else pull.title,
            body=None if older else pull.description,
            head=head,
            base=base,
            author=_person(pull.author),
            sender=_person(payload.actor),
            draft=pull.draft,
            url=page,
            created=epoch(pull.created_on),
            updated=epoch(pull.updated_on),
            merge_commit=pull.merge_commit.hash if pull.merge_commit is not None else None,
            merge_ref=f"refs/pull-requests/{pull.id}/merge" if older else None,
            name=event,
            properties={"pullrequesturl": page},
        )

    handle_pullrequest_updated = handle_pullrequest_created
    handle_pullrequest_fulfilled = handle_pullrequest_created
    handle_pullrequest_rejected = handle_pullrequest_created

    def property_source(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of a pull request's payload, the pull request."""
        found = payload.get("pullrequest") if event in ACTIONS else payload
        return found if isinstance(found, Mapping) else payload


ACTIONS: Mapping[str, Action] = {
    "pullrequest:created": "opened",
    "pullrequest:updated": "updated",
    "pullrequest:fulfilled": "merged",
    "pullrequest:rejected": "closed",
}


def _ref_update(payload: Push, change: RefChangeShape, event: str) -> Event | None:
    ref = change.new or change.old
    if ref is None:
        return None
    target = ref.target or Target()
    repository = payload.repository
    deleted = change.new is None
    if target.hash is None:
        raise BadPayload("is missing", "$.push.changes[...].new.target.hash")
    html = _href(repository.links, "html")
    old = change.old.target.hash if change.old is not None and change.old.target is not None else None
    url = _href(target.links, "html") or f"{html}/commits/{target.hash}"
    known = Target() if deleted else target
    return RefUpdate(
        repository=_repository(repository),
        ref=_ref_name(ref),
        before=old,
        after=None if deleted else target.hash,
        head=Commit(
            target.hash,
            known.message,
            (known.author.raw if known.author is not None else None) or "",
            None,
            epoch(known.date),
            url,
        ),
        total=True if change.truncated else None,
        created=change.old is None,
        forced=change.forced,
        sender=_person(payload.actor),
        url=url,
        name=event,
    )


def _ref_name(ref: Ref) -> str:
    if ref.type == "tag":
        return f"refs/tags/{ref.name}"
    return ref.name if ref.type in ("named_branch", "bookmark") else f"refs/heads/{ref.name}"


def _sides(pull: PullRequestShape) -> tuple[Side, Side, bool]:
    """Head and base, and whether they come in the older form."""
    if pull.fromRef is not None and pull.toRef is not None:
        head = Side(branch=pull.fromRef.branch.name, revision=pull.fromRef.commit.hash)
        return head, Side(branch=pull.toRef.branch.name, revision=pull.toRef.commit.hash), True
    if pull.source is None:
        raise BadPayload("is missing", "$.pullrequest.source")
    return _side(pull.source), _side(pull.destination or SideShape()), False


def _side(side: SideShape) -> Side:
    return Side(
        branch=side.branch.name if side.branch is not None else None,
        revision=side.commit.hash if side.commit is not None else None,
        repository=_repository(side.repository) if side.repository is not None else None,
    )


def _href(links: Links | None, kind: str) -> str:
    link: Href | None = getattr(links, kind, None)
    return (link.href if link is not None else None) or ""


def _person(actor: Actor | None) -> Person:
    """Cloud sends no mail address: the nickname stands in its place."""
    if actor is None:
        return Person()
    login = actor.nickname or actor.username
    return Person(actor.display_name, login, login)


def _repository(repository: RepositoryShape) -> Repository:
    html = _href(repository.links, "html")
    ssh = f"git@bitbucket.org:{repository.full_name}.git" if repository.full_name else None
    return Repository(
        full_name=repository.full_name,
        name=repository.name,
        project=(repository.project.name if repository.project is not None else None) or "",
        urls={"usual": _href(repository.links, "self"), "https": html, "ssh": ssh, "html": html},
        src=repository.scm or "git",
    )


__all__ = ["CATEGORIES", "BitbucketCloudEventHandler", "BitbucketStyle", "source_ref"]
