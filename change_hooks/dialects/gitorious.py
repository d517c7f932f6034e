"""The ``gitorious`` dialect: installations of Gitorious.

Source: Gitorious, "Web hooks" (the service closed in 2015; installations remain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from change_hooks.core.change import Change, NoChange, person
from change_hooks.core.delivery import Delivery
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.payload import Shape, epoch
from change_hooks.dialects.handler import Changes, EventHandler, not_told, shaped


class Author(Shape):
    name: str | None = None
    email: str | None = None


class Commit(Shape):
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
    after: str | None = None
    project: Named | None = None
    pushed_by: str | None = None
    pushed_at: str | None = None
    commits: list[Commit] | None = None


@dataclass(frozen=True)
class GitoriousOptions(ForgeOptions):
    """What a user may write for ``gitorious``."""

    gitorious_property_whitelist: tuple[str, ...] = option((), texts)


class GitoriousHandler(EventHandler):
    """Takes a push: a form with the JSON in ``payload``."""

    Options: ClassVar[type[Options] | None] = GitoriousOptions
    forge = "gitorious"
    takes_form = True
    takes_json = False

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The service sends nothing but pushes."""
        return "push"

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Changes:
        """One change for each commit; for a branch without new commits, one for where it is now."""
        commits = payload.commits or []
        if payload.after is not None and not payload.after.strip("0"):
            return NoChange("the branch was deleted"), "git"
        refusal = self.skipped(commits[-1].message if commits else None)
        if refusal is not None:
            return refusal, "git"
        if not commits and payload.after:
            return [_unlisted(payload)], "git"
        return [_commit_change(commit, payload) for commit in commits], "git"


def _commit_change(commit: Commit, push: Push) -> Change:
    author = commit.author or Author()
    return Change(
        author=person(author.name, author.email),
        comments=commit.message or "",
        revision=commit.id,
        when_timestamp=epoch(commit.timestamp or commit.committed_at),
        branch=push.ref,
        revlink=commit.url or "",
        repository=push.repository.url or "",
        project=(push.project.name if push.project else None) or "",
        properties=not_told("files"),
    )


def _unlisted(push: Push) -> Change:
    return Change(
        author=push.pushed_by or "",
        revision=push.after,
        when_timestamp=epoch(push.pushed_at),
        branch=push.ref,
        repository=push.repository.url or "",
        project=(push.project.name if push.project else None) or "",
        properties=not_told("files", "comments"),
    )


__all__ = ["GitoriousHandler", "GitoriousOptions"]
