"""The pull request payloads of Bitbucket Server and Data Center, and of the older add-on.

Source: Atlassian, "Event payload" (Bitbucket Data Center); the add-on "Post Webhooks for Bitbucket".
"""

from __future__ import annotations

from collections.abc import Mapping

from change_hooks.core.events import Action, Comment, PullRequest, Side
from change_hooks.core.payload import Shape
from change_hooks.dialects.payloads.bitbucketserver import (
    NOBODY,
    Links,
    RepositoryShape,
    User,
    in_milliseconds,
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


class SideShape(Shape):
    id: str
    latestCommit: str | None = None
    repository: RepositoryShape | None = None

    def side(self, server: str) -> Side:
        """Convert to the neutral form."""
        return Side(
            branch=self.id.removeprefix("refs/heads/"),
            revision=self.latestCommit,
            repository=None if self.repository is None else self.repository.repository(server),
        )


class Participant(Shape):
    user: User | None = None


class MergeCommit(Shape):
    id: str | None = None


class Properties(Shape):
    mergeCommit: MergeCommit | None = None


class PullRequestShape(Shape):
    fromRef: SideShape
    toRef: SideShape
    id: int = 0
    title: str | None = None
    description: str | None = None
    links: Links | None = None
    author: Participant | None = None
    draft: bool | None = None
    createdDate: int | str | None = None
    properties: Properties | None = None


class Previous(Shape):
    id: str | None = None
    latestCommit: str | None = None


class PullRequestEvent(Shape):
    pullRequest: PullRequestShape
    actor: User | None = None
    date: str | int | None = None
    previousTarget: Previous | None = None

    @property
    def moved(self) -> bool:
        """False if neither the target nor a commit has changed, but only the text."""
        before, now = self.previousTarget, self.pullRequest.toRef
        if before is None or before.latestCommit != now.latestCommit:
            return True
        return before.id is not None and before.id != now.id

    def neutral(self, event: str, server: str) -> PullRequest:
        """Convert to the neutral form."""
        pull = self.pullRequest
        repository = pull.toRef.repository or RepositoryShape()
        merged = pull.properties.mergeCommit if pull.properties is not None else None
        page = pull.links.page if pull.links is not None else None
        link = page or repository.page_of(f"pull-requests/{pull.id}", server)
        return PullRequest(
            repository=repository.repository(server),
            number=pull.id,
            action=ACTIONS.get(event, "edited"),
            forge_action=event,
            title=pull.title,
            body=pull.description,
            head=pull.fromRef.side(server),
            base=pull.toRef.side(server),
            author=((pull.author.user if pull.author is not None else None) or NOBODY).person(),
            sender=(self.actor or NOBODY).person(),
            draft=pull.draft,
            url=link,
            created=in_milliseconds(pull.createdDate),
            updated=in_milliseconds(self.date),
            merge_commit=merged.id if merged is not None else None,
            merge_ref=f"refs/pull-requests/{pull.id}/merge",
            name=event,
            properties={"pullrequesturl": link},
        )


class Note(Shape):
    text: str | None = None
    author: User | None = None
    createdDate: int | str | None = None


class CommentEvent(PullRequestEvent):
    comment: Note | None = None

    def written(self, event: str, server: str) -> Comment:
        """Convert to the neutral form."""
        note = self.comment or Note()
        pull = self.neutral(event, server)
        return Comment(
            pull_request=pull,
            author=(note.author or self.actor or NOBODY).person(),
            text=note.text or "",
            created=in_milliseconds(note.createdDate),
            url=pull.url,
            is_new=event == "pr:comment:added",
            name=event,
        )


class AddOnBranch(Shape):
    name: str


class AddOnCommit(Shape):
    hash: str


class AddOnSide(Shape):
    branch: AddOnBranch
    commit: AddOnCommit


class AddOnPullRequest(Shape):
    fromRef: AddOnSide
    toRef: AddOnSide
    id: int = 0
    link: str | None = None


class AddOnPullRequestEvent(Shape):
    pullrequest: AddOnPullRequest
    repository: RepositoryShape
    actor: User | None = None

    def neutral(self, event: str, server: str) -> PullRequest | None:
        """Convert to the neutral form; None for an event that the add-on does not send."""
        pull, action = self.pullrequest, ACTIONS.get(event)
        return action and PullRequest(
            repository=self.repository.repository(server),
            number=pull.id,
            action=action,
            forge_action=event,
            head=Side(branch=pull.fromRef.branch.name, revision=pull.fromRef.commit.hash),
            base=Side(branch=pull.toRef.branch.name, revision=pull.toRef.commit.hash),
            sender=(self.actor or NOBODY).person(),
            url=pull.link or "",
            merge_ref=f"refs/pull-requests/{pull.id}/merge",
            name=event,
            properties={"pullrequesturl": pull.link or ""},
        )


def pull_request_in(payload: Mapping[str, object]) -> Mapping[str, object]:
    """The pull request that an event is about; the whole payload if there is none."""
    found = payload.get("pullRequest") or payload.get("pullrequest")
    return found if isinstance(found, Mapping) else payload
