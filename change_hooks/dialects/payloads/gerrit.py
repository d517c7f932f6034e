"""The payloads of Gerrit: the events of its plugin "webhooks", which are those of ``gerrit stream-events``.

Any field may be missing. Source: Gerrit, "gerrit stream-events"; "JSON Data".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict

from change_hooks.core.change import UNREAD
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Action,
    Commit,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
    revision_or_none,
    was_created,
)
from change_hooks.core.payload import Shape, convert, when
from change_hooks.core.select import listed_properties
from change_hooks.dialects.payloads.alike import moved_to, whole_ref


class Account(Shape):
    name: str | None = None
    email: str | None = None
    username: str | None = None

    def person(self) -> Person:
        """Convert to the neutral form."""
        return Person(self.name, self.email, self.username)


class Project(Shape):
    name: str | None = None


class Change(Shape):
    project: str | Project | None = None
    branch: str | None = None
    number: int = 0
    subject: str | None = None
    commitMessage: str | None = None
    owner: Account | None = None
    url: str | None = None
    hashtags: list[str] | None = None
    createdOn: int | None = None
    wip: bool | None = None


class PatchSet(Shape):
    number: int = 0
    revision: str | None = None
    ref: str | None = None
    kind: str | None = None


class RefUpdateShape(Shape):
    refName: str
    newRev: str
    oldRev: str | None = None
    project: str | Project | None = None

    def properties(self) -> dict[str, Any]:
        """The properties of the change for this ref, even if the event lists other refs."""
        known = {**asdict(self), "project": _name(self.project)}.items()
        return {f"event.refUpdate.{name}": value for name, value in known if value is not None}


class Approval(Shape):
    type: str | None = None
    value: int | None = None
    oldValue: int | None = None


class Sent(Shape):
    """The common part of all events."""

    type: str = ""
    eventCreatedOn: int | None = None
    change: Change | None = None
    patchSet: PatchSet | None = None
    project: str | Project | None = None
    refUpdate: RefUpdateShape | None = None
    refUpdates: list[RefUpdateShape] | None = None
    #: The person who caused the event; its name depends on the event.
    submitter: Account | None = None
    uploader: Account | None = None
    author: Account | None = None
    abandoner: Account | None = None
    restorer: Account | None = None
    changer: Account | None = None
    editor: Account | None = None
    comment: str | None = None
    approvals: list[Approval] | None = None
    newRev: str | None = None
    added: list[str] | None = None

    def sender(self) -> Person:
        """The person who caused the event."""
        others = (self.author, self.abandoner, self.restorer, self.changer, self.editor)
        found = self.submitter or self.uploader or next(filter(None, others), None)
        return found.person() if found is not None else Person()

    def action(self) -> Action:
        """What happened to a change under review."""
        if self.type == "patchset-created":
            return "opened" if self.patchSet is not None and self.patchSet.number == 1 else "updated"
        if self.type == "wip-state-changed":
            return "drafted" if self.change is not None and self.change.wip else "ready"
        if self.type == "hashtags-changed":
            return "labeled" if self.added else "unlabeled"
        return _ACTIONS.get(self.type, "edited")

    def votes(self) -> list[str]:
        """The new votes, as ``Code-Review+2``."""
        new = [vote for vote in self.approvals or () if vote.type and vote.value != (vote.oldValue or 0)]
        return [f"{vote.type}{vote.value:+d}" for vote in new if vote.value is not None]

    def text(self) -> str:
        """The comment, without the line about the patch set and the votes that Gerrit adds before it."""
        return _HEAD.sub("", self.comment or "", count=1)

    def updates(self, base: str, properties: Mapping[str, Any]) -> list[RefUpdate]:
        """The refs that moved, in neutral form.

        :param base: the address of the repositories.
        :param properties: those of the event.
        :raises BadPayload: the refs are missing.
        """
        changes = self.refUpdates
        if changes is None and self.refUpdate is not None:
            changes = [self.refUpdate]
        if changes is None:
            raise BadPayload("is missing", "$.refUpdate")
        return [self._update(change, base, properties) for change in changes]

    def _update(self, change: RefUpdateShape, base: str, properties: Mapping[str, Any]) -> RefUpdate:
        return RefUpdate(
            repository=repository(_name(change.project) or _name(self.project), base),
            # Older versions leave out the prefix of a branch's ref.
            ref=whole_ref(change.refName),
            before=revision_or_none(change.oldRev),
            after=moved_to(change.newRev, "$.refUpdate.newRev"),
            created=was_created(change.oldRev),
            sender=self.sender(),
            when=when(self.eventCreatedOn),
            name=self.type,
            properties={**properties, **change.properties()},
        )

    def pull(self, action: Action, base: str, properties: Mapping[str, Any]) -> PullRequest:
        """A change under review, in neutral form.

        :param base: the address of the repositories.
        :raises BadPayload: the project or the commit is missing.
        """
        change, patch_set = self.change or Change(), self.patchSet or PatchSet()
        project, sender = _name(change.project) or _name(self.project), self.sender()
        if not project:
            raise BadPayload("is missing", "$.change.project")
        if not patch_set.revision:
            raise BadPayload("is missing", "$.patchSet.revision")
        author = change.owner.person() if change.owner is not None else sender
        return PullRequest(
            repository=repository(project, base),
            number=change.number,
            action=action,
            forge_action=self.type,
            title=change.subject,
            head=Side(branch=patch_set.ref, revision=patch_set.revision),
            base=Side(branch=change.branch),
            author=author,
            sender=sender,
            draft=change.wip,
            labels=[*(change.hashtags or ()), *self.votes()],
            url=change.url or "",
            created=when(change.createdOn),
            updated=when(self.eventCreatedOn),
            merge_commit=self.newRev,
            head_commit=Commit(patch_set.revision, change.commitMessage),
            name=self.type,
            properties=properties,
        )


_ACTIONS: dict[str, Action] = {
    "draft-published": "opened",
    "change-merged": "merged",
    "change-abandoned": "closed",
    "change-restored": "reopened",
}
_HEAD = re.compile(r"\A(?:Uploaded patch set|Patch Set) \d+[:.][^\n]*\n*")


def _name(project: str | Project | None) -> str | None:
    return project.name if isinstance(project, Project) else project


def repository(project: str | None, base: str) -> Repository:
    """The repository of a project.

    :param base: the address of the repositories; empty: the project's name is used as its address.
    """
    address = f"{base.rstrip('/')}/{project}" if base else project
    return Repository(full_name=project, name=project, urls={"usual": address})


def read(payload: Mapping[str, Any]) -> tuple[Sent, dict[str, Any]]:
    """The event, and its properties.

    :raises BadPayload: *payload* is not an event.
    """
    unread: list[str] = []
    sent = convert(payload, Sent, unread)
    properties = properties_of(payload)
    return sent, {**properties, UNREAD: unread} if unread else properties


def properties_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The event as the properties that users of Buildbot's ``GerritChangeSource`` know:
    ``event.change.number``, ``event.patchSet.ref`` … For a list of refs, each change has the properties of
    its own ref.
    """
    kept = {name: value for name, value in payload.items() if name not in ("eventCreatedOn", "refUpdates")}
    change, more = payload.get("change"), {}
    if isinstance(change, Mapping):
        project = change.get("project")
        name = project.get("name") if isinstance(project, Mapping) else project
        kept["change"] = {**change, "project": name}
        if payload.get("type") in ("patchset-created", "comment-added"):
            more["target_branch"] = change.get("branch")
    return {**listed_properties("event", kept, ["event.*"]), **more}
