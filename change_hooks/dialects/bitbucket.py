"""The ``bitbucket`` dialect: Bitbucket's old POST service.

Source: Atlassian, "POST Service Management".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.payload import Shape, epoch
from change_hooks.dialects.handler import Changes, EventHandler, not_told, shaped


class File(Shape):
    file: str


class Commit(Shape):
    raw_node: str | None = None
    node: str | None = None
    raw_author: str | None = None
    author: str | None = None
    utctimestamp: str | None = None
    branch: str | None = None
    message: str | None = None
    files: list[File] | None = None


class Repository(Shape):
    absolute_url: str
    scm: str | None = None
    name: str | None = None
    slug: str | None = None


class Push(Shape):
    repository: Repository
    canon_url: str | None = None
    commits: list[Commit] | None = None


@dataclass(frozen=True)
class BitBucketOptions(ForgeOptions):
    """What a user may write for the ``bitbucket`` dialects."""

    bitbucket_property_whitelist: tuple[str, ...] = option((), texts)


class BitBucketHandler(EventHandler):
    """Takes a push: a form with the JSON in ``payload``."""

    Options: ClassVar[type[Options] | None] = BitBucketOptions
    forge = "bitbucket"
    takes_form = True
    takes_json = False

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The service sends nothing but pushes."""
        return "push"

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Changes:
        """One change for each commit."""
        repository, commits = payload.repository, payload.commits or []
        url = f"{payload.canon_url or ''}{repository.absolute_url}"
        src = repository.scm or "git"
        refusal = self.skipped(commits[-1].message if commits else None)
        if refusal is not None:
            return refusal, src
        return [_commit_change(commit, url) for commit in commits], src


def _commit_change(commit: Commit, url: str) -> Change:
    revision = commit.raw_node or commit.node
    properties: dict[str, Any] = {"event": "push"}
    if commit.files is None:
        properties.update(not_told("files"))
    return Change(
        author=commit.raw_author or commit.author or "",
        files=[file.file for file in commit.files or ()],
        comments=commit.message or "",
        revision=revision,
        when_timestamp=epoch(commit.utctimestamp),
        branch=commit.branch,
        revlink=f"{url}commits/{revision}" if revision else "",
        repository=url,
        properties=properties,
    )


__all__ = ["BitBucketHandler", "BitBucketOptions"]
