"""The ``bitbucketserver`` dialect: Bitbucket Server and Data Center.

Their own webhooks (versions 5 to 9), and those of the older add-on, which wrote payloads like Cloud's.

Source: Atlassian, "Event payload" (Bitbucket Data Center); the add-on "Post Webhooks for Bitbucket".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    revision_or_none,
)
from change_hooks.core.options import Options, option, text
from change_hooks.core.payload import Shape, epoch
from change_hooks.dialects.bitbucket import BitBucketOptions
from change_hooks.dialects.bitbucketcloud import BitbucketStyle
from change_hooks.dialects.event_handler import EventHandler, shaped


class User(Shape):
    name: str | None = None
    username: str | None = None
    emailAddress: str | None = None
    displayName: str | None = None


class Link(Shape):
    href: str | None = None
    name: str | None = None


class Links(Shape):
    self: list[Link | None] | None = None
    clone: list[Link | None] | None = None


class Project(Shape):
    key: str | None = None
    name: str | None = None


class RepositoryShape(Shape):
    slug: str | None = None
    name: str | None = None
    fullName: str | None = None
    scmId: str | None = None
    project: Project | None = None
    links: Links | None = None


class CommitShape(Shape):
    id: str | None = None
    message: str | None = None
    author: User | None = None
    authorTimestamp: int | str | None = None


class Ref(Shape):
    id: str
    displayId: str | None = None


class RefChangeShape(Shape):
    toHash: str | None = None
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
    repository: RepositoryShape
    actor: User | None = None
    date: str | int | None = None
    changes: list[RefChangeShape] | None = None
    toCommit: CommitShape | None = None
    refLimitExceeded: bool | None = None
    push: AddOnPushed | None = None


class SideShape(Shape):
    id: str
    displayId: str | None = None
    latestCommit: str | None = None
    repository: RepositoryShape | None = None


class Participant(Shape):
    user: User | None = None


class MergeCommit(Shape):
    id: str | None = None


class Properties(Shape):
    mergeCommit: MergeCommit | None = None


class PullRequestShape(Shape):
    id: int
    fromRef: SideShape
    toRef: SideShape
    title: str | None = None
    description: str | None = None
    links: Links | None = None
    author: Participant | None = None
    draft: bool | None = None
    createdDate: int | str | None = None
    updatedDate: int | str | None = None
    properties: Properties | None = None


class Previous(Shape):
    latestCommit: str | None = None


class PullRequestEvent(Shape):
    pullRequest: PullRequestShape
    actor: User | None = None
    date: str | int | None = None
    previousTarget: Previous | None = None
    previousFromHash: str | None = None


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
    repository: RepositoryShape
    actor: User | None = None


@dataclass(frozen=True)
class BitbucketServerOptions(BitBucketOptions):
    """What a user may write for ``bitbucketserver``."""

    server_url: str = option("", text)


class BitbucketServerStyle(BitbucketStyle):
    """As the page of the dialect says."""

    unnamed = "Bitbucket Server commit {revision}"
    title = "Bitbucket Server"

    def pull(self, event: PullRequest, options: Any) -> dict[str, Any]:
        """The date is that of the event."""
        return {**super().pull(event, options), "when_timestamp": event.updated}

    def pull_branch(self, event: PullRequest) -> str | None:
        """The refs as the server names them."""
        if event.action == "merged":
            return _ref(event.base.branch)
        if event.action == "closed" and not event.from_fork:
            return _ref(event.head.branch)
        return super().pull_branch(event)


def _ref(branch: str | None) -> str | None:
    return branch if branch is None or branch.startswith("refs/") else f"refs/heads/{branch}"


class BitbucketServerEventHandler(EventHandler[BitbucketServerOptions]):
    """Takes pushes (also to mirrors), the ``pr:`` events, and the add-on's events."""

    sender = "Bitbucket Server, Data Center"
    verified_by = "HMAC-SHA256"
    Options: ClassVar[type[Options] | None] = BitbucketServerOptions
    forge = "bitbucketserver"
    prefix = "bitbucket"
    event_header = "X-Event-Key"
    id_headers = ("X-Request-Id",)
    style = BitbucketServerStyle()

    def property_source(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of a pull request's payload, the pull request."""
        if event not in ACTIONS:
            return payload
        found = payload.get("pullRequest" if event.startswith("pr:") else "pullrequest")
        return found if isinstance(found, Mapping) else payload

    def handle_diagnostics_ping(self, payload: Any) -> Event:
        """Somebody tries the connection."""
        return Ignored("a ping; the webhook works")

    @shaped(Push)
    def handle_repo_refs_changed(self, payload: Push, event: str = "repo:refs_changed") -> list[Event]:
        """Branches and tags were made, moved or deleted."""
        events: list[Event] = []
        if payload.changes is not None:
            events = [self._ref_update(payload, change, event) for change in payload.changes]
        elif payload.push is not None:
            events = [self._add_on_update(payload, change, event) for change in payload.push.changes]
        elif not payload.refLimitExceeded:
            raise BadPayload("is missing", "$.changes")
        if events:
            return events
        return [
            Ignored(
                "the server lists no changed refs (too many, or merged elsewhere); a poller finds what moved"
            )
        ]

    handle_repo_push = handle_repo_refs_changed
    handle_mirror_repo_synchronized = handle_repo_refs_changed

    def _ref_update(self, payload: Push, change: RefChangeShape, event: str) -> Event:
        ref = (change.ref.id if change.ref is not None else None) or change.refId
        if not ref:
            raise BadPayload("is missing", "$.changes[...].refId")
        if change.toHash is None and change.type != "DELETE":
            raise BadPayload("is missing", "$.changes[...].toHash")
        after = None if change.type == "DELETE" else revision_or_none(change.toHash)
        known = payload.toCommit if payload.toCommit is not None and after is not None else CommitShape()
        # Newer versions send one commit for all refs.
        if known.id is not None and known.id != after:
            known = CommitShape()
        revision = after or revision_or_none(change.fromHash) or ""
        stamp = known.authorTimestamp
        url = f"{self._page(payload.repository)}commits/{revision}"
        return RefUpdate(
            repository=self._repository(payload.repository),
            ref=ref,
            before=revision_or_none(change.fromHash),
            after=after,
            head=Commit(
                revision,
                known.message,
                str(_person(known.author)),
                None,
                _when(payload.date if stamp is None else stamp),
                url,
            ),
            created=change.type == "ADD",
            sender=_person(payload.actor),
            url=url,
            name=event,
        )

    def _add_on_update(self, payload: Push, change: AddOnChange, event: str) -> Event:
        ref = change.new or change.old
        if ref is None:
            raise BadPayload("is missing", "$.push.changes[...].new")
        url = f"{self._page(payload.repository)}commits/{ref.target.hash}"
        return RefUpdate(
            repository=self._repository(payload.repository),
            ref=f"refs/{'tags' if ref.type == 'tag' else 'heads'}/{ref.name}",
            before=change.old.target.hash if change.old is not None else None,
            after=change.new.target.hash if change.new is not None else None,
            head=Commit(ref.target.hash, url=url),
            total=True if change.truncated else None,
            sender=_person(payload.actor),
            url=url,
            name=event,
        )

    @shaped(PullRequestEvent)
    def handle_pr_opened(self, payload: PullRequestEvent, event: str) -> Event:
        """Something happened to a pull request."""
        pull = payload.pullRequest
        repository = pull.toRef.repository or RepositoryShape()
        previous = payload.previousTarget
        if (
            event == "pr:modified"
            and previous is not None
            and previous.latestCommit == pull.toRef.latestCommit
        ):
            return Ignored("neither the target nor a commit of the pull request has changed")
        merged = pull.properties.mergeCommit if pull.properties is not None else None
        link = _first(pull.links) or f"{self._page(repository)}pull-requests/{pull.id}"
        return PullRequest(
            repository=self._repository(repository),
            number=pull.id,
            action=ACTIONS[event],
            forge_action=event,
            title=pull.title,
            body=pull.description,
            head=self._side(pull.fromRef),
            base=self._side(pull.toRef),
            author=_person(pull.author.user if pull.author is not None else None),
            sender=_person(payload.actor),
            draft=pull.draft,
            url=link,
            created=_when(pull.createdDate),
            updated=_when(payload.date),
            merge_commit=merged.id if merged is not None else None,
            merge_ref=f"refs/pull-requests/{pull.id}/merge",
            name=event,
            properties={"pullrequesturl": link},
        )

    handle_pr_from_ref_updated = handle_pr_opened
    handle_pr_modified = handle_pr_opened
    handle_pr_merged = handle_pr_opened
    handle_pr_declined = handle_pr_opened
    handle_pr_deleted = handle_pr_opened

    @shaped(AddOnPullRequestEvent)
    def handle_pullrequest_created(self, payload: AddOnPullRequestEvent, event: str) -> Event:
        """The same, as the add-on writes it."""
        pull = payload.pullrequest
        return PullRequest(
            repository=self._repository(payload.repository),
            number=pull.id,
            action=ACTIONS[event],
            forge_action=event,
            head=Side(branch=pull.fromRef.branch.name, revision=pull.fromRef.commit.hash),
            base=Side(branch=pull.toRef.branch.name, revision=pull.toRef.commit.hash),
            sender=_person(payload.actor),
            url=pull.link or "",
            merge_ref=f"refs/pull-requests/{pull.id}/merge",
            name=event,
            properties={"pullrequesturl": pull.link or ""},
        )

    handle_pullrequest_updated = handle_pullrequest_created
    handle_pullrequest_fulfilled = handle_pullrequest_created
    handle_pullrequest_rejected = handle_pullrequest_created

    def _side(self, side: SideShape) -> Side:
        return Side(
            branch=side.id.removeprefix("refs/heads/"),
            revision=side.latestCommit,
            repository=None if side.repository is None else self._repository(side.repository),
        )

    def _page(self, repository: RepositoryShape) -> str:
        page = _first(repository.links)
        if page:
            return page.removesuffix("browse")
        key = repository.project.key if repository.project is not None else None
        if not key or not repository.slug:
            return ""
        base = self.settings.server_url.rstrip("/")
        return f"{base}/projects/{key}/repos/{repository.slug}/".lstrip("/")

    def _repository(self, repository: RepositoryShape) -> Repository:
        clone = (repository.links.clone if repository.links is not None else None) or []
        by_name = {link.name: link.href for link in clone if link is not None}
        key = repository.project.key if repository.project is not None else None
        full_name = f"{key}/{repository.slug}" if key and repository.slug else repository.fullName
        return Repository(
            full_name=full_name,
            name=repository.name,
            project=(repository.project.name if repository.project is not None else None) or "",
            urls={
                "html": self._page(repository),
                "https": by_name.get("https") or by_name.get("http"),
                "ssh": by_name.get("ssh"),
            },
            names=(repository.fullName,),
            src=repository.scmId or "git",
        )


ACTIONS: Mapping[str, Action] = {
    "pr:opened": "opened",
    "pr:from_ref_updated": "updated",
    "pr:modified": "edited",
    "pr:merged": "merged",
    "pr:declined": "closed",
    "pr:deleted": "closed",
    "pullrequest:created": "opened",
    "pullrequest:updated": "updated",
    "pullrequest:fulfilled": "merged",
    "pullrequest:rejected": "closed",
}


def _first(links: Links | None) -> str | None:
    link = links.self[0] if links is not None and links.self else None
    return link.href if link is not None else None


def _person(user: User | None) -> Person:
    if user is None:
        return Person()
    return Person(user.displayName or user.name, user.emailAddress or user.username or user.name, user.name)


def _when(date: str | int | None) -> int | None:
    if isinstance(date, str) and date.isdigit():
        date = int(date)
    return date // 1000 if isinstance(date, int) else epoch(date)


__all__ = ["BitbucketServerEventHandler", "BitbucketServerOptions"]
