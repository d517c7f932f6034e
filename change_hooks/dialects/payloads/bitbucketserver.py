"""What Bitbucket Server and Data Center send, and their older add-on.

Source: Atlassian, "Event payload" (Bitbucket Data Center); the add-on "Post Webhooks for Bitbucket".
"""

from __future__ import annotations

from collections.abc import Mapping

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Action,
    Comment,
    Commit,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
    revision_or_none,
)
from change_hooks.core.payload import Shape, when
from change_hooks.dialects.payloads.alike import key_of, moved_to, whole_ref


class User(Shape):
    name: str | None = None
    username: str | None = None
    emailAddress: str | None = None
    displayName: str | None = None
    id: int | str | None = None

    def person(self) -> Person:
        """The same, in neutral terms."""
        mail = self.emailAddress or self.username or self.name
        return Person(self.displayName or self.name, mail, self.name, key_of(self.id))


class Link(Shape):
    href: str | None = None
    name: str | None = None


class Links(Shape):
    self: list[Link | None] | None = None
    clone: list[Link | None] | None = None

    @property
    def page(self) -> str | None:
        """The first of its web pages."""
        link = self.self[0] if self.self else None
        return link.href if link is not None else None


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

    def page(self, server: str) -> str:
        """Its page, with a slash at its end.

        :param server: the server's address, for versions that leave out links.
        """
        page = self.links.page if self.links is not None else None
        if page:
            return page.removesuffix("browse")
        key = self.project.key if self.project is not None else None
        if not key or not self.slug:
            return ""
        return f"{server.rstrip('/')}/projects/{key}/repos/{self.slug}/".lstrip("/")

    def page_of(self, path: str, server: str) -> str:
        """A page below it; empty when no server is known."""
        page = self.page(server)
        return f"{page}{path}" if "://" in page else ""

    def repository(self, server: str) -> Repository:
        """The same, in neutral terms."""
        clone = (self.links.clone if self.links is not None else None) or []
        by_name = {link.name: link.href for link in clone if link is not None}
        key = self.project.key if self.project is not None else None
        return Repository(
            full_name=f"{key}/{self.slug}" if key and self.slug else self.fullName,
            name=self.name,
            project=(self.project.name if self.project is not None else None) or "",
            urls={
                "html": self.page(server),
                "https": by_name.get("https") or by_name.get("http"),
                "ssh": by_name.get("ssh"),
            },
            names=(self.fullName,),
            src=self.scmId or "git",
        )


class CommitShape(Shape):
    id: str | None = None
    message: str | None = None
    author: User | None = None
    authorTimestamp: int | str | None = None


class Ref(Shape):
    id: str


class RefChangeShape(Shape):
    toHash: str | None = None
    ref: Ref | None = None
    refId: str | None = None
    fromHash: str | None = None
    type: str | None = None


class AddOnTarget(Shape):
    hash: str | None = None


class AddOnRef(Shape):
    name: str | None = None
    target: AddOnTarget | None = None
    type: str | None = None

    @property
    def hash(self) -> str | None:
        """The commit that it is on."""
        return None if self.target is None else self.target.hash


class AddOnChange(Shape):
    decisive = ("new", "old")

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

    def updates(self, event: str, server: str) -> list[RefUpdate]:
        """The same, in neutral terms.

        :raises BadPayload: it does not say which refs changed, nor why it does not.
        """
        if self.changes is not None:
            return [
                self._update(change, event, server, f"$.changes[{place}]")
                for place, change in enumerate(self.changes)
            ]
        if self.push is not None:
            return [
                self._add_on_update(change, event, server, f"$.push.changes[{place}]")
                for place, change in enumerate(self.push.changes)
            ]
        if not self.refLimitExceeded:
            raise BadPayload("is missing", "$.changes")
        return []

    def _update(self, change: RefChangeShape, event: str, server: str, place: str) -> RefUpdate:
        ref = (change.ref.id if change.ref is not None else None) or change.refId
        if not ref:
            raise BadPayload("is missing", f"{place}.refId")
        after = None if change.type == "DELETE" else moved_to(change.toHash, f"{place}.toHash")
        known = self.toCommit if self.toCommit is not None and after is not None else CommitShape()
        # Newer versions send one commit for all refs.
        if known.id is not None and known.id != after:
            known = CommitShape()
        revision = after or revision_or_none(change.fromHash) or ""
        stamp = known.authorTimestamp
        url = self.repository.page_of(f"commits/{revision}", server)
        return RefUpdate(
            repository=self.repository.repository(server),
            ref=ref,
            before=revision_or_none(change.fromHash),
            after=after,
            head=Commit(
                revision,
                known.message,
                str((known.author or NOBODY).person()),
                None,
                in_milliseconds(self.date if stamp is None else stamp),
                url,
            ),
            created=change.type == "ADD",
            sender=(self.actor or NOBODY).person(),
            url=url,
            name=event,
        )

    def _add_on_update(self, change: AddOnChange, event: str, server: str, place: str) -> RefUpdate:
        which, ref = ("old", change.old) if change.new is None else ("new", change.new)
        if ref is None:
            raise BadPayload("is missing", f"{place}.new")
        if not ref.name:
            raise BadPayload("is missing", f"{place}.{which}.name")
        if not ref.hash:
            raise BadPayload("is missing", f"{place}.{which}.target.hash")
        url = self.repository.page_of(f"commits/{ref.hash}", server)
        return RefUpdate(
            repository=self.repository.repository(server),
            ref=whole_ref(ref.name, tag=ref.type == "tag"),
            before=change.old.hash if change.old is not None else None,
            after=change.new.hash if change.new is not None else None,
            head=Commit(ref.hash, url=url),
            total=True if change.truncated else None,
            sender=(self.actor or NOBODY).person(),
            url=url,
            name=event,
        )


class SideShape(Shape):
    id: str
    latestCommit: str | None = None
    repository: RepositoryShape | None = None

    def side(self, server: str) -> Side:
        """The same, in neutral terms."""
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
        """False when neither target nor commit has changed, only its words."""
        before, now = self.previousTarget, self.pullRequest.toRef
        if before is None or before.latestCommit != now.latestCommit:
            return True
        return before.id is not None and before.id != now.id

    def neutral(self, event: str, server: str) -> PullRequest:
        """The same, in neutral terms."""
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
        """The same, in neutral terms."""
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
        """The same, in neutral terms; None for an event that the add-on does not send."""
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


NOBODY = User()
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


def in_milliseconds(date: str | int | None) -> int | None:
    """Seconds since the epoch, of milliseconds or a date in words."""
    return when(date, 1000)


def pull_request_in(payload: Mapping[str, object]) -> Mapping[str, object]:
    """The pull request that an event is about; the whole payload when there is none."""
    found = payload.get("pullRequest") or payload.get("pullrequest")
    return found if isinstance(found, Mapping) else payload
