"""The ``gitorious`` dialect: installations of Gitorious.

Source: Gitorious, "Web hooks" (the service closed in 2015; installations remain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from change_hooks.core.change import person
from change_hooks.core.delivery import Delivery
from change_hooks.core.events import Commit, Event, Person, RefUpdate, Repository, revision_or_none
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.payload import Shape, epoch
from change_hooks.core.style import Style
from change_hooks.dialects.event_handler import EventHandler
from change_hooks.dialects.methods import shaped
from change_hooks.dialects.payloads.alike import moved_to


class Author(Shape):
    name: str | None = None
    email: str | None = None


class CommitShape(Shape):
    id: str
    message: str | None = None
    timestamp: str | None = None
    committed_at: str | None = None
    url: str | None = None
    author: Author | None = None


class Named(Shape):
    name: str | None = None
    url: str | None = None


class Push(Shape):
    ref: str
    repository: Named
    before: str | None = None
    after: str | None = None
    project: Named | None = None
    pushed_by: str | None = None
    pushed_at: str | None = None
    commits: list[CommitShape] | None = None


@dataclass(frozen=True)
class GitoriousOptions(ForgeOptions):
    """The options of ``gitorious``."""

    gitorious_property_whitelist: tuple[str, ...] = option((), texts)


class GitoriousStyle(Style):
    """The look that the dialect's page documents."""

    event_property = False

    def category(self, event: RefUpdate) -> str | None:
        """None."""
        return None


class GitoriousHandler(EventHandler[GitoriousOptions]):
    """Handles a push: a form with the JSON in ``payload``."""

    sender = "Gitorious installations"
    verified_by = "HTTP Basic"
    Options: ClassVar[type[Options] | None] = GitoriousOptions
    forge = "gitorious"
    headers = ()
    takes_form = True
    takes_json = False
    style = GitoriousStyle()

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The service sends only pushes."""
        return "push"

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Event:
        """A branch was created, moved or deleted; ``ref`` is its bare name."""
        commits = [_commit(commit) for commit in payload.commits or ()]
        last = commits[-1].id if commits else None
        project = payload.project or Named()
        return RefUpdate(
            repository=Repository(
                name=payload.repository.name,
                project=project.name or "",
                urls={"https": payload.repository.url},
            ),
            ref=payload.ref,
            before=revision_or_none(payload.before),
            after=moved_to(payload.after or last, "$.after"),
            commits=commits,
            sender=Person(payload.pushed_by),
            when=epoch(payload.pushed_at),
        )


def _commit(commit: CommitShape) -> Commit:
    author = commit.author or Author()
    return Commit(
        commit.id,
        commit.message or "",
        person(author.name, author.email),
        None,
        epoch(commit.timestamp or commit.committed_at),
        commit.url or "",
    )


__all__ = ["GitoriousHandler", "GitoriousOptions"]
