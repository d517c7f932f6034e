"""The ``pagure`` dialect: pagure.io, the package sources of Fedora and CentOS, and other installations.

Source: Pagure, "Using web-hooks"; ``pagure/lib/tasks_services.py``, ``pagure/hooks/default.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    Action,
    Comment,
    Commit,
    Event,
    Ignored,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
)
from change_hooks.core.options import ForgeOptions, Options, option, texts
from change_hooks.core.payload import Shape, decode, when
from change_hooks.core.style import Style
from change_hooks.core.verification import SignatureHeader, sign_hmac, verify_together
from change_hooks.dialects.event_handler import EventHandler, shaped


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


@dataclass(frozen=True)
class PagureOptions(ForgeOptions):
    """What a user may write for ``pagure``."""

    pagure_property_whitelist: tuple[str, ...] = option((), texts)


class PagureStyle(Style):
    """As the page of the dialect says."""

    per_commit = False


class PagureHandler(EventHandler[PagureOptions]):
    """Takes pushes, and what happens to pull requests."""

    sender = "Pagure: pagure.io, Fedora, CentOS"
    verified_by = "HMAC-SHA256"
    Options: ClassVar[type[Options] | None] = PagureOptions
    forge = "pagure"
    headers = ()
    style = PagureStyle()

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """Both signatures are checked; that with SHA-1 alone is not enough."""
        headers = [(header, delivery.header(header.name)) for header in _HEADERS]
        verify_together(delivery.body, headers, secrets)
        return "signature"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """With both hashes, as Pagure does."""
        return delivery.replace(
            headers={
                header.name: sign_hmac(delivery.body, secret, header.algorithm, header.prefix)
                for header in _HEADERS
            }
        )

    def event(self, delivery: Delivery, document: bytes) -> str:
        """The topic in the body: the header is not signed."""
        envelope: Envelope = decode(document, Envelope)
        return envelope.topic

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The id of the message, in the body."""
        try:
            envelope: Envelope = decode(self.document(delivery), Envelope)
        except BadPayload:
            return None
        return envelope.msg_id

    @shaped(Sent)
    def handle_git_receive(self, payload: Sent, event: str) -> Event:
        """New commits on a branch; how many, but not what they say."""
        message = payload.msg
        if (message.old_commit or "").startswith("^"):
            return Ignored("git.branch.creation and git.tag.creation report what is new")
        files, total = message.changed_files, message.total_commits
        return _update(
            payload,
            event,
            _branch(message),
            _needed(message.end_commit, "end_commit"),
            None if files is None else list(files),
            # Of a forced push it is the merge base.
            before=None if message.forced else message.old_commit,
            total=total if total is not None and total > 1 else None,
            forced=message.forced,
        )

    @shaped(Sent)
    def handle_git_branch_creation(self, payload: Sent, event: str) -> Event:
        """A branch was made, with or without new commits."""
        return _update(payload, event, _branch(payload.msg), _needed(payload.msg.rev, "rev"), created=True)

    @shaped(Sent)
    def handle_git_tag_creation(self, payload: Sent, event: str) -> Event:
        """A tag was made."""
        ref = f"refs/tags/{_needed(payload.msg.tag, 'tag')}"
        return _update(payload, event, ref, _needed(payload.msg.rev, "rev"), created=True)

    @shaped(Sent)
    def handle_git_branch_deletion(self, payload: Sent, event: str) -> Event:
        """A branch or tag was deleted."""
        ref = f"refs/tags/{payload.msg.tag}" if payload.msg.tag else _branch(payload.msg)
        return _update(payload, event, ref, None, before=payload.msg.rev)

    handle_git_tag_deletion = handle_git_branch_deletion

    @shaped(Sent)
    def handle_pull_request_new(self, payload: Sent, event: str) -> Event:
        """Something happened to a pull request."""
        return _pull(payload.msg, event, _ACTIONS.get(event, "edited"))

    handle_pull_request_reopened = handle_pull_request_new
    handle_pull_request_updated = handle_pull_request_new
    handle_pull_request_rebased = handle_pull_request_new
    handle_pull_request_initial_comment_edited = handle_pull_request_new
    handle_pull_request_tag_added = handle_pull_request_new
    handle_pull_request_tag_removed = handle_pull_request_new

    @shaped(Sent)
    def handle_pull_request_closed(self, payload: Sent, event: str) -> Event:
        """It was merged, or closed without that."""
        pull = payload.msg.pullrequest
        merged = payload.msg.merged or (pull is not None and pull.status == "Merged")
        return _pull(payload.msg, event, "merged" if merged else "closed")

    @shaped(Sent)
    def handle_pull_request_comment_added(self, payload: Sent, event: str) -> Event:
        """Somebody wrote a comment, or Pagure did: that is a notification."""
        pull = _pull(payload.msg, event, "edited")
        found = payload.msg.pullrequest or payload.msg.pull_request
        note = found.comments[-1] if found is not None and found.comments else Note()
        return Comment(
            pull_request=pull,
            author=pull.sender,
            text=note.comment or "",
            url=pull.url,
            is_new=bool(note.comment) and not note.notification,
            name=event,
        )


_HEADERS = (SignatureHeader("X-Pagure-Signature-256"), SignatureHeader("X-Pagure-Signature", "", "sha1"))
_ACTIONS: dict[str, Action] = {
    "pull-request.new": "opened",
    "pull-request.reopened": "reopened",
    "pull-request.updated": "updated",
    "pull-request.rebased": "updated",
    "pull-request.initial_comment.edited": "edited",
    "pull-request.tag.added": "labeled",
    "pull-request.tag.removed": "unlabeled",
}


def _needed(value: str | None, name: str) -> str:
    if not value:
        raise BadPayload("is missing", f"$.msg.{name}")
    return value


def _branch(message: Message) -> str:
    """The ref: a tag that was moved has its whole name."""
    name = _needed(message.branch, "branch")
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def _update(
    payload: Sent, event: str, ref: str, after: str | None, files: list[str] | None = None, **more: Any
) -> RefUpdate:
    message, project = payload.msg, payload.msg.repo or Project()
    authors = [author.fullname or author.name or "" for author in message.authors or ()]
    author = authors[0] if len(authors) == 1 else ""
    return RefUpdate(
        repository=_repository(project, message),
        ref=ref,
        after=after,
        head=None if after is None else Commit(after, None, author, files=files),
        sender=Person(login=message.agent),
        url=f"{project.full_url}/c/{after}" if project.full_url and after else "",
        when=when(payload.timestamp),
        name=event,
        **more,
    )


def _repository(project: Project, message: Message) -> Repository:
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


def _pull(message: Message, event: str, action: Action) -> PullRequest:
    pull = message.pullrequest or message.pull_request
    if pull is None:
        raise BadPayload("is missing", "$.msg.pullrequest")
    author, source = pull.user or User(), None
    if pull.repo_from is not None:
        source = _repository(pull.repo_from, message)
    elif pull.remote_git:
        source = Repository(full_name=pull.remote_git, urls={"https": pull.remote_git})
    return PullRequest(
        repository=_repository(pull.project, message),
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


__all__ = ["PagureHandler", "PagureOptions"]
