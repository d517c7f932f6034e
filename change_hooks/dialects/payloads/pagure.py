"""What Pagure sends, and what of it is read.

Source: Pagure, "Using web-hooks"; ``pagure/lib/tasks_services.py``, ``pagure/hooks/default.py``.
"""

from __future__ import annotations

from typing import Any

from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Action,
    Commit,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
)
from change_hooks.core.payload import Shape, when
from change_hooks.dialects.payloads.alike import whole_ref


class User(Shape):
    name: str | None = None
    fullname: str | None = None


class Project(Shape):
    name: str | None = None
    fullname: str | None = None
    full_url: str | None = None


class Note(Shape):
    comment: str | None = None
    notification: bool | None = None


class Pull(Shape):
    project: Project
    branch: str
    id: int = 0
    title: str | None = None
    initial_comment: str | None = None
    branch_from: str | None = None
    repo_from: Project | None = None
    remote_git: str | None = None
    commit_stop: str | None = None
    status: str | None = None
    user: User | None = None
    tags: list[str] | None = None
    full_url: str | None = None
    date_created: int | None = None
    last_updated: int | None = None
    comments: list[Note] | None = None


class Message(Shape):
    repo: Project | None = None
    agent: str | None = None
    authors: list[User] | None = None
    branch: str | None = None
    tag: str | None = None
    rev: str | None = None
    end_commit: str | None = None
    old_commit: str | None = None
    total_commits: int | None = None
    forced: bool | None = None
    changed_files: dict[str, Any] | None = None
    pagure_instance: str | None = None
    project_fullname: str | None = None
    pullrequest: Pull | None = None
    pull_request: Pull | None = None
    merged: bool | None = None


class Sent(Shape):
    msg: Message
    timestamp: int | None = None


class Envelope(Shape):
    topic: str
    msg_id: str | None = None


def needed(value: str | None, name: str) -> str:
    """A value of the message that must be there.

    :raises BadPayload: it is not.
    """
    if not value:
        raise BadPayload("is missing", f"$.msg.{name}")
    return value


def branch_of(message: Message) -> str:
    """The ref: a tag that was moved has its whole name."""
    return whole_ref(needed(message.branch, "branch"))


def ref_update(
    payload: Sent, event: str, ref: str, after: str | None, files: list[str] | None = None, **more: Any
) -> RefUpdate:
    """A branch or tag was made, moved or deleted.

    :param after: the commit that it is on; None: it was deleted.
    :param more: fields of the event.
    """
    message, project = payload.msg, payload.msg.repo or Project()
    authors = [author.fullname or author.name or "" for author in message.authors or ()]
    author = authors[0] if len(authors) == 1 else ""
    return RefUpdate(
        repository=repository_of(project, message),
        ref=ref,
        after=after,
        head=None if after is None else Commit(after, None, author, files=files),
        sender=Person(login=message.agent),
        url=f"{project.full_url}/c/{after}" if project.full_url and after else "",
        when=when(payload.timestamp),
        name=event,
        **more,
    )


def repository_of(project: Project, message: Message) -> Repository:
    """The repository of a project."""
    full_name = project.fullname or message.project_fullname
    server = (message.pagure_instance or "").rstrip("/")
    return Repository(
        full_name=full_name,
        name=project.name,
        urls={
            "https": f"{server}/{full_name}.git" if server and full_name else None,
            "html": project.full_url,
        },
    )


def pull_request_of(message: Message, event: str, action: Action) -> PullRequest:
    """What happened to a pull request.

    :raises BadPayload: the message has none.
    """
    pull = message.pullrequest or message.pull_request
    if pull is None:
        raise BadPayload("is missing", "$.msg.pullrequest")
    author, source = pull.user or User(), None
    if pull.repo_from is not None:
        source = repository_of(pull.repo_from, message)
    elif pull.remote_git:
        source = Repository(full_name=pull.remote_git, urls={"https": pull.remote_git})
    return PullRequest(
        repository=repository_of(pull.project, message),
        number=pull.id,
        action=action,
        forge_action=event.removeprefix("pull-request."),
        title=pull.title,
        body=pull.initial_comment,
        head=Side(
            branch=pull.branch_from,
            revision=pull.commit_stop,
            repository=source,
        ),
        base=Side(branch=pull.branch),
        author=Person(author.fullname, None, author.name),
        sender=Person(login=message.agent),
        labels=pull.tags,
        url=pull.full_url
        or (f"{pull.project.full_url}/pull-request/{pull.id}" if pull.project.full_url else ""),
        created=when(pull.date_created),
        updated=when(pull.last_updated),
        name=event,
        properties={
            "pr_number": pull.id,
            "base_branch": pull.branch,
            "head_branch": pull.branch_from,
            "head_sha": pull.commit_stop,
            "head_repository": source.urls["https"] if source is not None else None,
        },
    )


__all__ = [
    "Envelope",
    "Message",
    "Note",
    "Project",
    "Pull",
    "Sent",
    "User",
    "branch_of",
    "needed",
    "pull_request_of",
    "ref_update",
    "repository_of",
]
