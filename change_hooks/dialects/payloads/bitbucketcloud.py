"""The payloads of Bitbucket Cloud.

A pull request has Cloud's own form (``source``, ``destination``, ``links``), or that of the older description
(``fromRef``, ``toRef``, ``link``).

Source: Atlassian, "Event payloads" (Bitbucket Cloud).
"""

from __future__ import annotations

from collections.abc import Mapping

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Action, Comment, Commit, Person, PullRequest, RefUpdate, Repository, Side
from change_hooks.core.payload import Shape, epoch


class Actor(Shape):
    display_name: str | None = None
    nickname: str | None = None
    username: str | None = None
    uuid: str | None = None

    def person(self) -> Person:
        """Convert to the neutral form. Cloud sends no email address, so the nickname is used instead."""
        login = self.nickname or self.username
        return Person(self.display_name, login, login, self.uuid)


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

    def repository(self) -> Repository:
        """Convert to the neutral form."""
        html = href(self.links, "html")
        ssh = f"git@bitbucket.org:{self.full_name}.git" if self.full_name else None
        return Repository(
            full_name=self.full_name,
            name=self.name,
            project=(self.project.name if self.project is not None else None) or "",
            urls={"usual": href(self.links, "self"), "https": html, "ssh": ssh, "html": html},
            src=self.scm or "git",
        )


class CommitAuthor(Shape):
    raw: str | None = None


class Target(Shape):
    hash: str | None = None
    message: str | None = None
    date: str | None = None
    author: CommitAuthor | None = None
    links: Links | None = None


class Ref(Shape):
    name: str | None = None
    target: Target | None = None
    type: str | None = None

    @property
    def hash(self) -> str | None:
        """The commit that it points to."""
        return None if self.target is None else self.target.hash

    def ref(self, field: str) -> str:
        """The whole ref; for Mercurial, the bare name.

        :param field: its path in the payload.
        :raises BadPayload: it has no name.
        """
        if not self.name:
            raise BadPayload("is missing", f"{field}.name")
        if self.type in ("tag", "annotated_tag"):
            return f"refs/tags/{self.name}"
        return self.name if self.type in ("named_branch", "bookmark") else f"refs/heads/{self.name}"


class RefChangeShape(Shape):
    decisive = ("new", "old")

    new: Ref | None = None
    old: Ref | None = None
    forced: bool | None = None
    truncated: bool | None = None


class Pushed(Shape):
    changes: list[RefChangeShape]


class Push(Shape):
    push: Pushed
    repository: RepositoryShape
    actor: Actor | None = None

    def updates(self, event: str) -> list[RefUpdate]:
        """Convert to the neutral form."""
        found = [
            self._update(change, event, f"$.push.changes[{place}]")
            for place, change in enumerate(self.push.changes)
        ]
        return [update for update in found if update is not None]

    def _update(self, change: RefChangeShape, event: str, place: str) -> RefUpdate | None:
        deleted = change.new is None
        ref, field = (change.old, f"{place}.old") if deleted else (change.new, f"{place}.new")
        if ref is None:
            return None
        target, repository = ref.target or Target(), self.repository
        if not target.hash:
            raise BadPayload("is missing", f"{field}.target.hash")
        html = href(repository.links, "html")
        url = href(target.links, "html") or (f"{html}/commits/{target.hash}" if html else "")
        known = Target() if deleted else target
        return RefUpdate(
            repository=repository.repository(),
            ref=ref.ref(field),
            before=change.old.hash if change.old is not None else None,
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
            sender=(self.actor or NOBODY).person(),
            url=url,
            name=event,
        )


class Branch(Shape):
    name: str | None = None


class Hash(Shape):
    hash: str | None = None


class SideShape(Shape):
    branch: Branch | None = None
    commit: Hash | None = None
    repository: RepositoryShape | None = None

    def side(self) -> Side:
        """Convert to the neutral form."""
        return Side(
            branch=self.branch.name if self.branch is not None else None,
            revision=self.commit.hash if self.commit is not None else None,
            repository=self.repository.repository() if self.repository is not None else None,
        )


class OldSide(Shape):
    branch: Branch
    commit: Hash


class PullRequestShape(Shape):
    id: int = 0
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

    def sides(self) -> tuple[Side, Side, bool]:
        """Head and base, and whether they have the older form.

        :raises BadPayload: the commit to be merged is missing.
        """
        if self.fromRef is not None and self.toRef is not None:
            head = Side(branch=self.fromRef.branch.name, revision=self.fromRef.commit.hash)
            return head, Side(branch=self.toRef.branch.name, revision=self.toRef.commit.hash), True
        if self.source is None:
            raise BadPayload("is missing", "$.pullrequest.source")
        return self.source.side(), (self.destination or SideShape()).side(), False


class PullRequestEvent(Shape):
    pullrequest: PullRequestShape
    repository: RepositoryShape
    actor: Actor | None = None

    def neutral(self, event: str) -> PullRequest:
        """Convert to the neutral form.

        :raises BadPayload: the commit to be merged is missing.
        """
        pull = self.pullrequest
        page = pull.link or href(pull.links, "html")
        head, base, older = pull.sides()
        return PullRequest(
            repository=self.repository.repository(),
            number=pull.id,
            action=ACTIONS.get(event, "edited"),
            forge_action=event,
            title=None if older else pull.title,
            body=None if older else pull.description,
            head=head,
            base=base,
            author=(pull.author or NOBODY).person(),
            sender=(self.actor or NOBODY).person(),
            draft=pull.draft,
            url=page,
            created=epoch(pull.created_on),
            updated=epoch(pull.updated_on),
            merge_commit=pull.merge_commit.hash if pull.merge_commit is not None else None,
            merge_ref=f"refs/pull-requests/{pull.id}/merge" if older else None,
            name=event,
            properties={"pullrequesturl": page},
        )


class Text(Shape):
    raw: str | None = None


class Note(Shape):
    content: Text | None = None
    user: Actor | None = None
    created_on: str | None = None
    links: Links | None = None


class CommentEvent(PullRequestEvent):
    comment: Note | None = None

    def written(self, event: str) -> Comment:
        """Convert to the neutral form."""
        note = self.comment or Note()
        return Comment(
            pull_request=self.neutral(event),
            author=(note.user or self.actor or NOBODY).person(),
            text=(note.content.raw if note.content is not None else None) or "",
            created=epoch(note.created_on),
            url=href(note.links, "html"),
            is_new=event == "pullrequest:comment_created",
            name=event,
        )


NOBODY = Actor()
ACTIONS: Mapping[str, Action] = {
    "pullrequest:created": "opened",
    "pullrequest:updated": "updated",
    "pullrequest:fulfilled": "merged",
    "pullrequest:rejected": "closed",
}


def href(links: Links | None, kind: str) -> str:
    """The address of a link; empty if there is none."""
    link: Href | None = getattr(links, kind, None)
    return (link.href if link is not None else None) or ""
