"""The ``gitlab`` dialect: GitLab, project, group and system hooks, versions 8 and later.

Source: GitLab, "Webhook events"; "System hooks"; "Webhooks: secret token and signing token"; Standard
Webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar
from uuid import uuid4

from change_hooks.core.change import person
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
    revision_or_none,
)
from change_hooks.core.options import ForgeOptions, Options, option, regular_expression, texts
from change_hooks.core.payload import Shape, decode, epoch
from change_hooks.core.style import Style
from change_hooks.core.verification import (
    sign_standard_webhook,
    signing_key,
    verify_standard_webhook,
    verify_token,
)
from change_hooks.dialects.event_handler import EventHandler, shaped


class Author(Shape):
    name: str | None = None
    email: str | None = None


class CommitShape(Shape):
    id: str
    message: str | None = None
    timestamp: str | None = None
    url: str | None = None
    author: Author | None = None
    added: list[str] | None = None
    modified: list[str] | None = None
    removed: list[str] | None = None


class Project(Shape):
    """A project, or the older ``repository``."""

    id: int | str | None = None
    name: str | None = None
    path_with_namespace: str | None = None
    web_url: str | None = None
    homepage: str | None = None
    git_http_url: str | None = None
    git_ssh_url: str | None = None
    http_url: str | None = None
    ssh_url: str | None = None
    url: str | None = None


class Kind(Shape):
    object_kind: str | None = None
    event_name: str | None = None


class Ci(Shape):
    skip: Any = None


class PushOptions(Shape):
    ci: Ci | None = None


class Push(Shape):
    ref: str
    before: str | None = None
    after: str | None = None
    checkout_sha: str | None = None
    message: str | None = None
    user_name: str | None = None
    user_username: str | None = None
    user_email: str | None = None
    project: Project | None = None
    repository: Project | None = None
    commits: list[CommitShape] | None = None
    total_commits_count: int | None = None
    push_options: PushOptions | list[Any] | None = None


class RefChange(Shape):
    ref: str
    before: str | None = None
    after: str | None = None


class RepositoryUpdate(Shape):
    changes: list[RefChange]
    project: Project | None = None
    user_name: str | None = None
    user_email: str | None = None


class Label(Shape):
    title: str | None = None


class Changed(Shape):
    title: Any = None
    description: Any = None
    target_branch: Any = None
    draft: Any = None
    labels: Any = None


class User(Shape):
    name: str | None = None
    username: str | None = None
    email: str | None = None


class MergeRequestAttributes(Shape):
    iid: int
    target_branch: str | None = None
    title: str | None = None
    description: str | None = None
    state: str | None = None
    action: str | None = None
    oldrev: str | None = None
    source_branch: str | None = None
    source_project_id: int | str | None = None
    target_project_id: int | str | None = None
    source: Project | None = None
    target: Project | None = None
    last_commit: CommitShape | None = None
    url: str | None = None
    draft: bool | None = None
    work_in_progress: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    merge_commit_sha: str | None = None


class MergeRequestEvent(Shape):
    object_attributes: MergeRequestAttributes
    project: Project | None = None
    user: User | None = None
    labels: list[Label] | None = None
    changes: Changed | None = None


class NoteAttributes(Shape):
    note: str | None = None
    created_at: str | None = None
    url: str | None = None
    action: str | None = None
    system: bool | None = None


class NoteEvent(Shape):
    object_attributes: NoteAttributes
    project: Project | None = None
    merge_request: MergeRequestAttributes | None = None
    user: User | None = None


@dataclass(frozen=True)
class GitLabOptions(ForgeOptions):
    """What a user may write for ``gitlab``."""

    gitlab_property_whitelist: tuple[str, ...] = option((), texts)
    note_pattern: re.Pattern[str] | None = option(None, regular_expression)


class GitLabStyle(Style):
    """As the page of the dialect says."""

    comments = True

    def category(self, event: RefUpdate) -> str | None:
        """GitLab's own name of the event."""
        return event.name

    def pull(self, event: PullRequest, options: GitLabOptions) -> dict[str, Any]:
        """The branch is the one that it is for."""
        commit = event.head_commit
        return {
            "author": commit.author if commit else str(event.sender),
            "branch": event.base.branch,
            "category": event.name,
            "comments": f"MR#{event.number}: {event.title or ''}\n\n{event.body or ''}",
            "revision": event.head.revision,
            "when_timestamp": commit.when if commit else None,
        }


class GitLabHandler(EventHandler[GitLabOptions]):
    """Takes pushes (``repository_update`` too), ``merge_request``, and ``note`` on merge requests."""

    sender = "GitLab"
    verified_by = "token, Standard Webhooks signature"
    Options: ClassVar[type[Options] | None] = GitLabOptions
    forge = "gitlab"
    event_header = "X-Gitlab-Event"
    secret_headers = ("X-Gitlab-Token",)
    style = GitLabStyle()

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """A ``whsec_`` secret signs the body; any other is the token itself; each that can be is checked."""
        keys = [secret for secret in secrets if signing_key(secret) is not None]
        tokens = [secret for secret in secrets if secret not in keys]
        signature = delivery.header("webhook-signature")
        if not signature or not keys:
            verify_token(delivery.getHeader(b"x-gitlab-token") or None, tokens or keys)
            return "token"
        verify_standard_webhook(
            delivery.body,
            delivery.header("webhook-id"),
            delivery.header("webhook-timestamp"),
            signature,
            keys,
            now=delivery.received,
        )
        token = delivery.getHeader(b"x-gitlab-token")
        if token and tokens:
            verify_token(token, tokens)
        return "signature"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """A ``whsec_`` secret signs; any other is sent."""
        if signing_key(secret) is None:
            return delivery.replace(headers={"X-Gitlab-Token": secret.decode("utf-8", "surrogateescape")})
        name, now = delivery.header("Idempotency-Key") or f"msg_{uuid4().hex}", int(delivery.received)
        signature = sign_standard_webhook(delivery.body, name, now, secret)
        return delivery.replace(
            headers={"webhook-id": name, "webhook-timestamp": str(now), "webhook-signature": signature}
        )

    def naming(self, event: str, id: str) -> Mapping[str, str]:
        """The header has names of its own for events, and one for all of those of system hooks."""
        header = next((header for header, name in _HEADERS.items() if name == event), "System Hook")
        return {self.event_header: header, "Idempotency-Key": id}

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The id that is signed, where one is; else the idempotency key; of older versions, the event's UUID
        with a digest of the body, since several hooks share it and the webhook's is drawn anew for each try.
        """
        signed = delivery.header("webhook-id")
        if signed and delivery.verification == "signature":
            return signed
        key = delivery.header("Idempotency-Key")
        if key:
            return key
        event = delivery.header("X-Gitlab-Event-UUID")
        return f"{event}:{sha256(delivery.body).hexdigest()[:16]}" if event else signed

    def event(self, delivery: Delivery, document: bytes) -> str:
        """What the payload calls itself: system hooks all have the same header."""
        kind: Kind = decode(document, Kind)
        name = kind.object_kind or kind.event_name or _HEADERS.get(delivery.header(self.event_header) or "")
        if not name:
            raise BadPayload("is missing; it names the event", "$.object_kind")
        return name

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Event:
        """A branch or tag was made, moved or deleted."""
        project, repository = payload.project or Project(), payload.repository or Project()
        commits = [_commit(commit) for commit in payload.commits or ()]
        after = payload.checkout_sha or payload.after
        if payload.after is not None and revision_or_none(payload.after) is None:
            after = None
        elif after is None:
            raise BadPayload("is missing", "$.after")
        head = next((commit for commit in commits if commit.id in (after, payload.after)), None)
        if head is None and after is not None and (payload.message or not commits):
            head = Commit(after, payload.message or None)
        ci = payload.push_options.ci if isinstance(payload.push_options, PushOptions) else None
        return RefUpdate(
            repository=_repository(repository, project),
            ref=payload.ref,
            before=revision_or_none(payload.before),
            after=after,
            commits=commits,
            head=head,
            total=payload.total_commits_count if commits else None,
            created=payload.before is not None and revision_or_none(payload.before) is None,
            sender=Person(
                payload.user_name or payload.user_username, payload.user_email, payload.user_username
            ),
            url=_page(project, after),
            name=event,
            unwanted="the push option ci.skip is set" if ci is not None and ci.skip else None,
        )

    handle_tag_push = handle_push

    @shaped(RepositoryUpdate)
    def handle_repository_update(self, payload: RepositoryUpdate) -> list[Event]:
        """All that a system hook says of a push to many branches or tags."""
        project = payload.project or Project()
        return [
            RefUpdate(
                repository=_repository(project, project),
                ref=change.ref,
                before=revision_or_none(change.before),
                after=revision_or_none(change.after),
                created=revision_or_none(change.before) is None,
                sender=Person(payload.user_name, payload.user_email),
                url=_page(project, change.after),
                name="tag_push" if change.ref.startswith("refs/tags/") else "push",
            )
            for change in payload.changes
        ]

    @shaped(MergeRequestEvent)
    def handle_merge_request(self, payload: MergeRequestEvent, event: str = "merge_request") -> Event:
        """Something happened to a merge request."""
        action = _action(payload)
        if action is None:
            return Ignored("this action of a merge request gives no change (option 'actions')")
        labels = [label.title for label in payload.labels or () if label.title]
        return _merge_request(
            payload.object_attributes,
            payload.project,
            action=action,
            labels=None if payload.labels is None else labels,
            sender=_person(payload.user),
            name=event,
        )

    @shaped(NoteEvent)
    def handle_note(self, payload: NoteEvent, event: str = "note") -> Event:
        """Somebody wrote a comment on a merge request."""
        note, attributes = payload.object_attributes, payload.merge_request
        if attributes is None:
            return Ignored("the comment is not on a merge request")
        wanted = self.settings.note_pattern
        if wanted is not None and not wanted.search(note.note or ""):
            return Ignored("the comment does not match (option 'note_pattern')")
        sender = _person(payload.user)
        return Comment(
            pull_request=_merge_request(
                attributes, payload.project, action="edited", sender=sender, name=event
            ),
            author=sender,
            text=note.note or "",
            created=epoch(note.created_at),
            url=note.url or "",
            is_new=not note.system and note.action in (None, "create"),
            name=event,
            properties={"comments": note.note or ""},
        )


_HEADERS = {
    "Push Hook": "push",
    "Tag Push Hook": "tag_push",
    "Merge Request Hook": "merge_request",
    "Note Hook": "note",
}
_ACTIONS: dict[str | None, Action] = {
    "open": "opened",
    "reopen": "reopened",
    "merge": "merged",
    "close": "closed",
}


def _action(payload: MergeRequestEvent) -> Action | None:
    attributes, changes = payload.object_attributes, payload.changes or Changed()
    action = attributes.action
    if action is None:
        # Some versions leave it out.
        return "opened" if attributes.state in (None, "opened", "reopened") else None
    if action != "update":
        return _ACTIONS.get(action)
    if attributes.oldrev:
        return "updated"
    if changes.draft is not None:
        return "drafted" if attributes.draft else "ready"
    return "labeled" if changes.labels is not None else "edited"


def _merge_request(
    attributes: MergeRequestAttributes, project: Project | None, *, name: str, **more: Any
) -> PullRequest:
    target, source = attributes.target or project or Project(), attributes.source or Project()
    commit = _commit(attributes.last_commit) if attributes.last_commit is not None else None
    if attributes.target_branch is None:
        raise BadPayload("is missing", "$.object_attributes.target_branch")
    return PullRequest(
        repository=_repository(target, target, usual="https"),
        number=attributes.iid,
        forge_action=attributes.action or "",
        title=attributes.title,
        body=attributes.description,
        head=Side(
            branch=attributes.source_branch,
            revision=commit.id if commit else None,
            repository=_repository(source, source) if attributes.source is not None else None,
        ),
        base=Side(branch=attributes.target_branch),
        draft=attributes.work_in_progress if attributes.draft is None else attributes.draft,
        url=attributes.url or "",
        created=epoch(attributes.created_at),
        updated=epoch(attributes.updated_at),
        merge_commit=attributes.merge_commit_sha,
        head_commit=commit,
        name=name,
        properties={
            "source_branch": attributes.source_branch,
            "source_project_id": attributes.source_project_id,
            "source_repository": source.git_http_url or source.http_url,
            "source_git_ssh_url": source.git_ssh_url or source.ssh_url,
            "target_branch": attributes.target_branch,
            "target_project_id": attributes.target_project_id,
            "target_repository": target.git_http_url or target.http_url,
            "target_git_ssh_url": target.git_ssh_url or target.ssh_url,
        },
        **more,
    )


def _page(project: Project, revision: str | None) -> str:
    return f"{project.web_url}/-/commit/{revision}" if project.web_url and revision else ""


def _person(user: User | None) -> Person:
    return Person(user.name, user.email, user.username) if user is not None else Person()


def _repository(repository: Project, project: Project, usual: str = "usual") -> Repository:
    urls = {
        "usual": repository.url or project.git_ssh_url or project.url,
        "https": repository.git_http_url or project.git_http_url or project.http_url,
        "ssh": repository.git_ssh_url or project.git_ssh_url or project.ssh_url,
        "html": repository.homepage or project.web_url or project.homepage,
    }
    return Repository(
        full_name=project.path_with_namespace or repository.path_with_namespace,
        name=repository.name,
        project=project.name or repository.name or "",
        urls={**urls, "usual": urls[usual]},
        id=None if project.id is None else str(project.id),
        names=(project.web_url, project.url, repository.url),
    )


def _commit(commit: CommitShape) -> Commit:
    added, modified, removed = commit.added, commit.modified, commit.removed
    known = added is not None or modified is not None or removed is not None
    author = commit.author or NOBODY
    return Commit(
        commit.id,
        commit.message or "",
        person(author.name, author.email),
        None,
        epoch(commit.timestamp),
        commit.url or "",
        [*(added or ()), *(modified or ()), *(removed or ())] if known else None,
    )


NOBODY = Author()

__all__ = ["GitLabHandler", "GitLabOptions"]
