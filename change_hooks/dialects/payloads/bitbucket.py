"""The payloads of Bitbucket's POST service.

Source: Atlassian, "POST Service Management".
"""

from __future__ import annotations

from change_hooks.core.events import Commit
from change_hooks.core.payload import Shape, epoch


class File(Shape):
    file: str | None = None


class CommitShape(Shape):
    raw_node: str | None = None
    node: str | None = None
    raw_author: str | None = None
    author: str | None = None
    utctimestamp: str | None = None
    branch: str | None = None
    message: str | None = None
    files: list[File] | None = None


class RepositoryShape(Shape):
    absolute_url: str
    scm: str | None = None
    name: str | None = None
    slug: str | None = None


class Push(Shape):
    repository: RepositoryShape
    canon_url: str | None = None
    user: str | None = None
    commits: list[CommitShape] | None = None


def commit_of(commit: CommitShape, url: str) -> Commit:
    """One commit.

    :param url: the repository's web page.
    """
    revision = commit.raw_node or commit.node or ""
    files = commit.files
    return Commit(
        revision,
        commit.message or "",
        commit.raw_author or commit.author or "",
        None,
        epoch(commit.utctimestamp),
        f"{url}commits/{revision}" if "://" in url else "",
        None if files is None else [file.file for file in files if file.file],
        commit.branch,
    )


__all__ = ["CommitShape", "File", "Push", "RepositoryShape", "commit_of"]
