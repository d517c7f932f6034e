"""The payloads of Bitbucket Server and Data Center, and of the older add-on.

Source: Atlassian, "Event payload" (Bitbucket Data Center); the add-on "Post Webhooks for Bitbucket".
"""

from __future__ import annotations

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Commit,
    Person,
    RefUpdate,
    Repository,
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
        """Convert to the neutral form."""
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
        """The address of its first web page."""
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
        """The address of its web page, with a slash at the end.

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
        """The address of a page below it; empty if the server is not known."""
        page = self.page(server)
        return f"{page}{path}" if "://" in page else ""

    def repository(self, server: str) -> Repository:
        """Convert to the neutral form."""
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
        """The commit that it points to."""
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
        """Convert to the neutral form.

        :raises BadPayload: the changed refs are missing, without a reason.
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
        # Newer versions send a single commit for all refs.
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


NOBODY = User()


def in_milliseconds(date: str | int | None) -> int | None:
    """Seconds since the epoch, from milliseconds or a date as text."""
    return when(date, 1000)
