"""The payloads of SourceHut.

Source: man.sr.ht, "API conventions"; core.sr.ht, ``srht/crypto.py``; docs.sourcehut.org, git.sr.ht.
"""

from __future__ import annotations

from msgspec.structs import replace

from change_hooks.core.change import person
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import Commit, Event, Person, RefUpdate, Repository
from change_hooks.core.payload import Shape, epoch

#: The error for a webhook whose query leaves out a required field.
MISSING = "is missing; the dialect's page has the query to use"


class Entity(Shape):
    name: str | None = None
    email: str | None = None
    canonical_name: str | None = None
    canonicalName: str | None = None


class Object(Shape):
    id: str | None = None
    message: str | None = None
    author: Entity | None = None
    timestamp: str | None = None


class Named(Shape):
    name: str
    owner: Entity | None = None


class Update(Shape):
    decisive = ("old", "new")

    ref: Named | None = None
    name: str | None = None
    old: Object | None = None
    new: Object | None = None


class Webhook(Shape):
    uuid: str | None = None
    event: str | None = None
    date: str | None = None
    repository: Named | None = None
    pusher: Entity | None = None
    updates: list[Update] | None = None


class Data(Shape):
    webhook: Webhook


class Answer(Shape):
    """The result of the webhook's query; or a legacy payload."""

    data: Data | None = None
    push: str | None = None
    pusher: Entity | None = None
    refs: list[Update] | None = None

    @property
    def id(self) -> str | None:
        """The event's id, which all hooks of a repository share."""
        return self.data.webhook.uuid if self.data else self.push

    def event(self) -> str:
        """The event's name, which a legacy payload does not have.

        :raises BadPayload: the query leaves it out.
        """
        name = self.data.webhook.event if self.data else "repo:post-update" if self.refs is not None else None
        if not name:
            raise BadPayload(MISSING, "$.data.webhook.event")
        return name

    def happened(self) -> int | None:
        """The time of the event, in seconds since the epoch; None: a legacy payload does not have it.

        :raises BadPayload: the query leaves it out.
        """
        if self.data is None:
            return None
        found = epoch(self.data.webhook.date)
        if found is None:
            raise BadPayload(MISSING, "$.data.webhook.date")
        return found


def common_of(webhook: Webhook, event: str, server: str) -> RefUpdate:
    """The common fields of all ref updates in a push.

    :param server: the address of the installation.
    """
    pusher = webhook.pusher or Entity()
    who = pusher.canonicalName or pusher.canonical_name or pusher.name
    return RefUpdate(
        repository=repository_of(webhook.repository, server),
        ref="",
        sender=Person(login=who),
        when=epoch(webhook.date),
        name=event,
    )


def repository_of(named: Named | None, server: str) -> Repository:
    """A repository of an installation."""
    owner = named.owner.canonicalName if named and named.owner else None
    if named is None or owner is None:
        return Repository(name=named.name if named else None)
    path = f"{owner}/{named.name}"
    page, ssh = f"{server}/{path}", f"git@{server.partition('://')[2]}:{path}"
    return Repository(full_name=path, name=named.name, urls={"https": page, "ssh": ssh, "html": page})


def updates_of(updates: list[Update] | None, common: RefUpdate, where: str) -> list[Event]:
    """One event for each ref.

    :param common: the common fields of all refs.
    :param where: the path of the refs in the payload.
    :raises BadPayload: they are missing.
    """
    if updates is None:
        raise BadPayload(MISSING, where)
    found: list[Event] = []
    page = common.repository.urls.get("html")
    for place, update in enumerate(updates):
        name, new = (update.ref.name if update.ref else update.name) or "", update.new
        if new is not None and not name:
            raise BadPayload("is missing", f"{where}[{place}].ref")
        if new is not None and not new.id:
            raise BadPayload("is missing", f"{where}[{place}].new.id")
        found.append(
            replace(
                common,
                ref=name,
                before=update.old.id if update.old else None,
                after=new.id if new else None,
                created=update.old is None,
                head=commit_of(new) if new else None,
                url=f"{page}/commit/{new.id}" if page and new else "",
            )
        )
    return found


def commit_of(new: Object) -> Commit:
    """The head commit of a ref."""
    author = new.author or Entity()
    return Commit(new.id or "", new.message, person(author.name, author.email), None, epoch(new.timestamp))


__all__ = ["Answer", "Webhook", "common_of", "updates_of"]
