"""The payloads of Azure DevOps's service hooks for Git repositories.

Source: Microsoft, "Service hook events"; "Git: Pull Requests, Get".
"""

from __future__ import annotations

from urllib.parse import urlsplit

from change_hooks.core.change import person
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Action,
    Comment,
    Commit,
    Ignored,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
    revision_or_none,
    was_created,
)
from change_hooks.core.payload import Shape, epoch
from change_hooks.dialects.payloads.alike import Label, moved_to, names, pull_properties, short

CUT = Ignored("the subscription sends too little: set 'Resource details to send' to 'All' at the forge")


class Identity(Shape):
    displayName: str | None = None
    uniqueName: str | None = None

    def person(self) -> Person:
        """Convert to the neutral form."""
        mail = self.uniqueName if "@" in (self.uniqueName or "") else None
        return Person(self.displayName, mail, self.uniqueName)


class GitUser(Shape):
    name: str | None = None
    email: str | None = None
    date: str | None = None


class CommitShape(Shape):
    commitId: str
    author: GitUser | None = None
    committer: GitUser | None = None
    comment: str | None = None

    def commit(self, page: str) -> Commit:
        """Convert to the neutral form.

        :param page: the repository's web page.
        """
        author, committer = self.author or GitUser(), self.committer or GitUser()
        return Commit(
            self.commitId,
            self.comment,
            person(author.name, author.email),
            person(committer.name, committer.email) or None,
            when(author.date),
            f"{page}/commit/{self.commitId}" if page else "",
        )


class Project(Shape):
    name: str | None = None


class RepositoryShape(Shape):
    id: str | None = None
    name: str | None = None
    remoteUrl: str | None = None
    sshUrl: str | None = None
    webUrl: str | None = None
    project: Project | None = None

    @property
    def page(self) -> str:
        """The repository's web page, without a user name in the address."""
        return without_user(self.webUrl or self.remoteUrl or "")

    def repository(self) -> Repository:
        """Convert to the neutral form."""
        project = self.project.name if self.project is not None else None
        return Repository(
            full_name=f"{project}/{self.name}" if project and self.name else self.name,
            name=self.name,
            project=project or self.name or "",
            urls={"https": self.remoteUrl, "ssh": self.sshUrl, "html": self.page or None},
            id=self.id,
        )


class RefUpdateShape(Shape):
    name: str
    newObjectId: str
    oldObjectId: str | None = None
    forced: bool | None = None


class Pushed(Shape):
    repository: RepositoryShape
    refUpdates: list[RefUpdateShape]
    commits: list[CommitShape] | None = None
    pushedBy: Identity | None = None
    pushId: int | str | None = None
    date: str | None = None

    def updates(self, event: str) -> list[RefUpdate]:
        """Convert to the neutral form. The commits belong to the ref if it is the only one."""
        page, repository = self.repository.page, self.repository.repository()
        commits = [commit.commit(page) for commit in self.commits or ()]
        by_id = {commit.id: commit for commit in commits}
        found = []
        for place, update in enumerate(self.refUpdates):
            after = moved_to(update.newObjectId, f"$.resource.refUpdates[{place}].newObjectId")
            found.append(
                RefUpdate(
                    repository=repository,
                    ref=update.name,
                    before=revision_or_none(update.oldObjectId),
                    after=after,
                    commits=commits if len(self.refUpdates) == 1 else (),
                    head=by_id.get(update.newObjectId),
                    created=was_created(update.oldObjectId),
                    forced=update.forced,
                    sender=(self.pushedBy or Identity()).person(),
                    url=f"{page}/commit/{after}" if page and after else "",
                    when=when(self.date),
                    name=event,
                    push=str(self.pushId) if self.pushId is not None and len(self.refUpdates) == 1 else None,
                )
            )
        return found


class Place(Shape):
    commitId: str | None = None


class Link(Shape):
    href: str | None = None


class Links(Shape):
    web: Link | None = None


class Fork(Shape):
    repository: RepositoryShape | None = None


class Pull(Shape):
    repository: RepositoryShape
    pullRequestId: int = 0
    status: str | None = None
    mergeStatus: str | None = None
    title: str | None = None
    description: str | None = None
    sourceRefName: str | None = None
    targetRefName: str | None = None
    isDraft: bool | None = None
    createdBy: Identity | None = None
    closedBy: Identity | None = None
    creationDate: str | None = None
    lastMergeSourceCommit: Place | None = None
    lastMergeTargetCommit: Place | None = None
    lastMergeCommit: Place | None = None
    labels: list[Label] | None = None
    forkSource: Fork | None = None
    _links: Links | None = None

    @property
    def is_merged(self) -> bool:
        """Whether it was merged: ``git.pullrequest.merged`` itself means only that a merge was attempted."""
        return self.status == "completed" and self.mergeStatus in (None, "succeeded")

    def head(self, field: str = "$.resource") -> str:
        """The commit that is to be merged.

        :param field: the path of the pull request in the payload.
        :raises BadPayload: it is missing.
        """
        head = self.lastMergeSourceCommit
        if head is None or not head.commitId:
            raise BadPayload("is missing", f"{field}.lastMergeSourceCommit.commitId")
        return head.commitId

    def neutral(
        self, action: Action, event: str, sender: Person, at: int | None, field: str = "$.resource"
    ) -> PullRequest:
        """Convert to the neutral form.

        :param field: the path of the pull request in the payload.
        :param at: the time of the event, in seconds since the epoch.
        :raises BadPayload: the commit to be merged is missing.
        """
        base, merged = self.lastMergeTargetCommit or Place(), self.lastMergeCommit or Place()
        source = (self.forkSource.repository if self.forkSource is not None else None) or self.repository
        head = Side(
            branch=short(self.sourceRefName), revision=self.head(field), repository=source.repository()
        )
        target = Side(branch=short(self.targetRefName), revision=base.commitId)
        merge_ref = f"refs/pull/{self.pullRequestId}/merge"
        link = (self._links.web if self._links is not None else None) or Link()
        page = f"{self.repository.page}/pullrequest/{self.pullRequestId}" if self.repository.page else ""
        return PullRequest(
            repository=self.repository.repository(),
            number=self.pullRequestId,
            action=action,
            forge_action=event,
            title=self.title,
            body=self.description,
            head=head,
            base=target,
            author=(self.createdBy or Identity()).person(),
            sender=sender,
            draft=self.isDraft,
            labels=names(self.labels),
            url=link.href or page,
            created=when(self.creationDate),
            updated=at,
            merge_commit=merged.commitId if self.is_merged else None,
            merge_ref=merge_ref,
            name=event,
            properties=pull_properties(
                self.pullRequestId, head, target, merge_ref=merge_ref, merge_sha=merged.commitId
            ),
        )


class Note(Shape):
    content: str | None = None
    author: Identity | None = None
    publishedDate: str | None = None
    lastContentUpdatedDate: str | None = None
    isDeleted: bool | None = None
    commentType: str | None = None


class Commented(Shape):
    pullRequest: Pull
    comment: Note | None = None

    def written(self, event: str, at: int | None) -> Comment:
        """Convert to the neutral form."""
        note = self.comment or Note()
        author = (note.author or Identity()).person()
        pull = self.pullRequest.neutral("edited", event, author, at, "$.resource.pullRequest")
        is_edited = note.lastContentUpdatedDate not in (None, note.publishedDate)
        return Comment(
            pull_request=pull,
            author=author,
            text=note.content or "",
            created=when(note.publishedDate),
            url=pull.url,
            is_new=not (note.isDeleted or is_edited or note.commentType == "system"),
            name=event,
        )


class Sent(Shape):
    """The common part of all events; *resource* is the subject."""

    eventType: str = ""
    id: str | None = None
    subscriptionId: str | None = None
    notificationId: int | None = None
    createdDate: str | None = None

    @property
    def at(self) -> int | None:
        """The time of the event, in seconds since the epoch."""
        return when(self.createdDate)

    @property
    def name(self) -> str | None:
        """The delivery's id, which is the same for every attempt."""
        if self.subscriptionId and self.notificationId is not None:
            return f"{self.subscriptionId}:{self.notificationId}"
        return self.id


class PushEvent(Sent):
    resource: Pushed | None = None


class PullEvent(Sent):
    resource: Pull | None = None


class CommentEvent(Sent):
    resource: Commented | None = None


def when(date: str | None) -> int | None:
    """Seconds since the epoch; also None for the year 1, which means that there is no date."""
    seconds = epoch(date)
    return None if seconds is None or seconds < 0 else seconds


def without_user(url: str) -> str:
    """An address without user and password; empty if it is not an address."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    except ValueError:
        return ""
