"""The payloads of Pagure.

Source: Pagure, "Using web-hooks"; ``pagure/lib/tasks_services.py``, ``pagure/hooks/default.py``.
"""

from __future__ import annotations

from typing import Any

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
)
from change_hooks.core.payload import Shape, when
from change_hooks.dialects.payloads.alike import pull_properties, whole_ref


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
    date_created: int | str | None = None
    last_updated: int | str | None = None
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

    @property
    def pull(self) -> Pull | None:
        """The pull request, which has one of two names."""
        return self.pullrequest or self.pull_request


class Sent(Shape):
    msg: Message
    timestamp: int | None = None

    def received(self, event: str) -> RefUpdate | None:
        """The number of new commits on a branch, not the commits. None: other events report the update.

        :raises BadPayload: the branch or its new head is missing.
        """
        message = self.msg
        if (message.old_commit or "").startswith("^"):
            return None
        files, total = message.changed_files, message.total_commits
        return self._update(
            event,
            branch_of(message),
            needed(message.end_commit, "end_commit"),
            None if files is None else list(files),
            # For a forced push, this is the merge base.
            before=None if message.forced else message.old_commit,
            total=total if total is not None and total > 1 else None,
            forced=message.forced,
        )

    def branch_made(self, event: str) -> RefUpdate:
        """A branch was created, with or without new commits."""
        return self._update(event, branch_of(self.msg), needed(self.msg.rev, "rev"), created=True)

    def tag_made(self, event: str) -> RefUpdate:
        """A tag was created."""
        ref = f"refs/tags/{needed(self.msg.tag, 'tag')}"
        return self._update(event, ref, needed(self.msg.rev, "rev"), created=True)

    def deleted(self, event: str) -> RefUpdate:
        """A branch or tag was deleted."""
        ref = f"refs/tags/{self.msg.tag}" if self.msg.tag else branch_of(self.msg)
        return self._update(event, ref, None, before=self.msg.rev)

    def _update(
        self, event: str, ref: str, after: str | None, files: list[str] | None = None, **more: Any
    ) -> RefUpdate:
        """A branch or tag was created, moved or deleted.

        :param after: its new head; None: it was deleted.
        :param more: more fields of the event.
        """
        message, project = self.msg, self.msg.repo or Project()
        authors = [author.fullname or author.name or "" for author in message.authors or ()]
        author = authors[0] if len(authors) == 1 else ""
        return RefUpdate(
            repository=repository_of(project, message),
            ref=ref,
            after=after,
            head=None if after is None else Commit(after, None, author, files=files),
            sender=Person(login=message.agent),
            url=f"{project.full_url}/c/{after}" if project.full_url and after else "",
            when=when(self.timestamp),
            name=event,
            **more,
        )

    def closed(self, event: str) -> PullRequest:
        """A pull request was merged, or closed without merging."""
        pull = self.msg.pull
        merged = self.msg.merged or (pull is not None and pull.status == "Merged")
        return pull_request_of(self.msg, event, "merged" if merged else "closed")

    def written(self, event: str) -> Comment:
        """Somebody wrote a comment, or Pagure did (a notification)."""
        pull = pull_request_of(self.msg, event, "edited")
        found = self.msg.pull
        note = found.comments[-1] if found is not None and found.comments else Note()
        return Comment(
            pull_request=pull,
            author=pull.sender,
            text=note.comment or "",
            url=pull.url,
            is_new=bool(note.comment) and not note.notification,
            name=event,
        )


class Envelope(Shape):
    topic: str
    msg_id: str | None = None


def needed(value: str | None, name: str) -> str:
    """A required value of the message.

    :raises BadPayload: it is missing.
    """
    if not value:
        raise BadPayload("is missing", f"$.msg.{name}")
    return value


def branch_of(message: Message) -> str:
    """The whole ref; the payload has the whole name only for a tag that was moved."""
    return whole_ref(needed(message.branch, "branch"))


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
    """A pull request event.

    :raises BadPayload: the message has no pull request.
    """
    pull = message.pull
    if pull is None:
        raise BadPayload("is missing", "$.msg.pullrequest")
    author, source = pull.user or User(), None
    if pull.repo_from is not None:
        source = repository_of(pull.repo_from, message)
    elif pull.remote_git:
        source = Repository(full_name=pull.remote_git, urls={"https": pull.remote_git})
    head = Side(branch=pull.branch_from, revision=pull.commit_stop, repository=source)
    base = Side(branch=pull.branch)
    return PullRequest(
        repository=repository_of(pull.project, message),
        number=pull.id,
        action=action,
        forge_action=event.removeprefix("pull-request."),
        title=pull.title,
        body=pull.initial_comment,
        head=head,
        base=base,
        author=Person(author.fullname, None, author.name),
        sender=Person(login=message.agent),
        labels=pull.tags,
        url=pull.full_url
        or (f"{pull.project.full_url}/pull-request/{pull.id}" if pull.project.full_url else ""),
        created=when(pull.date_created),
        updated=when(pull.last_updated),
        name=event,
        properties=pull_properties(pull.id, head, base),
    )


ACTIONS: dict[str, Action] = {
    "pull-request.new": "opened",
    "pull-request.reopened": "reopened",
    "pull-request.updated": "updated",
    "pull-request.rebased": "updated",
    "pull-request.initial_comment.edited": "edited",
    "pull-request.tag.added": "labeled",
    "pull-request.tag.removed": "unlabeled",
}

__all__ = ["ACTIONS", "Envelope", "Sent", "pull_request_of"]
