"""The ``gitlab`` dialect: GitLab, project and system hooks, versions 8 and later.

Source: GitLab, "Webhook events"; "Webhooks: secret token and signing token"; Standard Webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from msgspec.structs import replace

from change_hooks.core.change import TRUNCATED, Change, NoChange, person
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload
from change_hooks.core.options import ForgeOptions, Options, option, text, texts
from change_hooks.core.payload import Shape, decode, epoch
from change_hooks.core.verification import signing_key, verify_standard_webhook, verify_token
from change_hooks.dialects.handler import Changes, EventHandler, not_told, shaped


class Author(Shape):
    name: str | None = None
    email: str | None = None


class Commit(Shape):
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
    after: str
    checkout_sha: str | None = None
    message: str | None = None
    user_name: str | None = None
    user_username: str | None = None
    user_email: str | None = None
    project: Project | None = None
    repository: Project | None = None
    commits: list[Commit] | None = None
    total_commits_count: int | None = None
    push_options: PushOptions | list[Any] | None = None


class MergeRequestAttributes(Shape):
    iid: int
    target_branch: str
    title: str | None = None
    description: str | None = None
    state: str | None = None
    action: str | None = None
    oldrev: str | None = None
    source_branch: str | None = None
    source_project_id: int | None = None
    target_project_id: int | None = None
    source: Project | None = None
    target: Project | None = None
    last_commit: Commit | None = None
    url: str | None = None


class MergeRequestEvent(Shape):
    object_attributes: MergeRequestAttributes
    project: Project | None = None


class NoteAttributes(Shape):
    note: str | None = None
    action: str | None = None
    system: bool | None = None


class NoteEvent(Shape):
    object_attributes: NoteAttributes
    project: Project | None = None
    merge_request: MergeRequestAttributes | None = None


def pattern(value: Any) -> re.Pattern[str]:
    """Take a regular expression."""
    try:
        return re.compile(text(value))
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None


@dataclass(frozen=True)
class GitLabOptions(ForgeOptions):
    """What a user may write for ``gitlab``."""

    gitlab_property_whitelist: tuple[str, ...] = option((), texts)
    note_pattern: re.Pattern[str] | None = option(None, pattern)


class GitLabHandler(EventHandler):
    """Takes ``push``, ``tag_push``, ``merge_request``, and ``note`` on merge requests."""

    Options: ClassVar[type[Options] | None] = GitLabOptions
    forge = "gitlab"
    event_header = "X-Gitlab-Event"

    def check(self, delivery: Delivery, secrets: tuple[bytes, ...]) -> None:
        """A ``whsec_`` secret signs the body; any other is the token itself; each that can be is checked."""
        keys = tuple(secret for secret in secrets if signing_key(secret) is not None)
        tokens = tuple(secret for secret in secrets if secret not in keys)
        signature = delivery.header("webhook-signature")
        if signature is None or not keys:
            verify_token(delivery.getHeader(b"x-gitlab-token"), tokens or keys)
            return
        verify_standard_webhook(
            delivery.body,
            delivery.header("webhook-id"),
            delivery.header("webhook-timestamp"),
            signature,
            keys,
            now=delivery.received,
        )
        token = delivery.getHeader(b"x-gitlab-token")
        if token is not None and tokens:
            verify_token(token, tokens)

    def delivery_id(self, delivery: Delivery) -> str | None:
        """The idempotency key; of older versions, the webhook's and the event's UUIDs together."""
        key = delivery.header("Idempotency-Key")
        if key:
            return key
        hook, event = delivery.header("X-Gitlab-Webhook-UUID"), delivery.header("X-Gitlab-Event-UUID")
        return f"{hook}:{event}" if hook and event else delivery.header("webhook-id")

    def event(self, delivery: Delivery, document: bytes) -> str:
        """What the payload calls itself: system hooks all have the same header."""
        kind: Kind = decode(document, Kind)
        name = kind.object_kind or kind.event_name
        if not name:
            raise BadPayload("is missing; it names the event", "$.object_kind")
        return name

    def names(self, payload: Any) -> tuple[Iterable[str | None], Iterable[str | None]]:
        """A project by its path and each of its addresses."""
        if isinstance(payload, Push):
            return (*_names(payload.project), *_names(payload.repository)), ()
        if isinstance(payload, MergeRequestEvent | NoteEvent):
            merge_request = (
                payload.object_attributes if isinstance(payload, MergeRequestEvent) else payload.merge_request
            )
            target = merge_request.target if merge_request is not None else None
            return (*_names(payload.project), *_names(target)), ()
        return (), ()

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Changes:
        """One change for each commit listed; for a ref without new commits, one for where it is now."""
        project, repository = payload.project or Project(), payload.repository or Project()
        branch = re.sub(r"^refs/(heads|tags)/", "", payload.ref)
        if not payload.after.strip("0"):
            return NoChange("the branch or tag was deleted"), "git"
        commits = payload.commits or []
        refusal = self.skipped(_head_message(payload))
        if refusal is None and isinstance(payload.push_options, PushOptions):
            ci = payload.push_options.ci
            refusal = NoChange("the push option ci.skip is set") if ci is not None and ci.skip else None
        if refusal is not None:
            return refusal, "git"
        properties: dict[str, Any] = {"event": event}
        total = payload.total_commits_count
        if total is not None and total > len(commits) > 0:
            properties[TRUNCATED] = total
        common = Change(
            branch=branch,
            category=event,
            repository=_address(self, repository, project),
            project=project.name or repository.name or "",
            src="git",
        )
        if not commits:
            return [_unlisted(payload, properties, common)], "git"
        return [_commit_change(commit, properties, common) for commit in commits], "git"

    handle_tag_push = handle_push

    @shaped(MergeRequestEvent)
    def handle_merge_request(self, payload: MergeRequestEvent, event: str = "merge_request") -> Changes:
        """One change when it is opened, reopened, or has new commits."""
        attributes = payload.object_attributes
        action = attributes.action
        new = action in ("open", "reopen") or (action == "update" and attributes.oldrev)
        if not new and not (action is None and attributes.state in (None, "opened", "reopened")):
            return NoChange("there is no new commit after this action of a merge request"), "git"
        return self._merge_request_change(attributes, payload.project, event, {})

    @shaped(NoteEvent)
    def handle_note(self, payload: NoteEvent, event: str = "note") -> Changes:
        """One change for a new comment on a merge request."""
        note, attributes = payload.object_attributes, payload.merge_request
        if attributes is None:
            return NoChange("the comment is not on a merge request"), "git"
        if note.system or note.action not in (None, "create"):
            return NoChange("the comment is not a new one of a person"), "git"
        wanted = self.settings.note_pattern
        if wanted is not None and not wanted.search(note.note or ""):
            return NoChange("the comment does not match (option 'note_pattern')"), "git"
        return self._merge_request_change(attributes, payload.project, event, {"comments": note.note or ""})

    def _merge_request_change(
        self, attributes: MergeRequestAttributes, project: Project | None, event: str, more: dict[str, Any]
    ) -> Changes:
        target, source = attributes.target or project or Project(), attributes.source or Project()
        commit = attributes.last_commit
        refusal = self.skipped(commit.message if commit else None)
        if refusal is not None:
            return refusal, "git"
        author = (commit.author if commit else None) or Author()
        change = Change(
            author=person(author.name, author.email),
            comments=f"MR#{attributes.iid}: {attributes.title or ''}\n\n{attributes.description or ''}",
            revision=commit.id if commit else None,
            when_timestamp=epoch(commit.timestamp) if commit else None,
            branch=attributes.target_branch,
            category=event,
            revlink=attributes.url or "",
            repository=self.address(
                "https",
                https=target.git_http_url or target.http_url,
                ssh=target.git_ssh_url or target.ssh_url,
                html=target.web_url or target.homepage,
            ),
            project=target.name or "",
            properties={
                "source_branch": attributes.source_branch,
                "source_project_id": attributes.source_project_id,
                "source_repository": source.git_http_url or source.http_url,
                "source_git_ssh_url": source.git_ssh_url or source.ssh_url,
                "target_branch": attributes.target_branch,
                "target_project_id": attributes.target_project_id,
                "target_repository": target.git_http_url or target.http_url,
                "target_git_ssh_url": target.git_ssh_url or target.ssh_url,
                "event": event,
                **not_told("files"),
                **more,
            },
        )
        return [change], "git"


def _names(project: Project | None) -> tuple[str | None, ...]:
    if project is None:
        return ()
    return (
        project.path_with_namespace,
        project.name,
        project.web_url,
        project.homepage,
        project.git_http_url,
        project.git_ssh_url,
        project.url,
    )


def _head_message(payload: Push) -> str | None:
    for commit in reversed(payload.commits or []):
        if commit.id in (payload.checkout_sha, payload.after):
            return commit.message
    return payload.commits[-1].message if payload.commits else payload.message


def _address(handler: EventHandler, repository: Project, project: Project) -> str:
    return handler.address(
        "usual",
        usual=repository.url or project.git_ssh_url or project.url,
        https=repository.git_http_url or project.git_http_url or project.http_url,
        ssh=repository.git_ssh_url or project.git_ssh_url or project.ssh_url,
        html=repository.homepage or project.web_url or project.homepage,
    )


def _commit_change(commit: Commit, properties: dict[str, Any], common: Change) -> Change:
    author = commit.author or NOBODY
    added, modified, removed = commit.added, commit.modified, commit.removed
    if added is None and modified is None and removed is None:
        properties = {**properties, **not_told("files")}
    return common.for_commit(
        person(author.name, author.email),
        None,
        [*(added or ()), *(modified or ()), *(removed or ())],
        commit.message or "",
        commit.id,
        epoch(commit.timestamp),
        commit.url or "",
        properties,
    )


def _unlisted(payload: Push, properties: dict[str, Any], common: Change) -> Change:
    revision = payload.checkout_sha or payload.after
    page = (payload.project or Project()).web_url
    return replace(
        common,
        author=person(payload.user_name or payload.user_username, payload.user_email),
        comments=payload.message or "",
        revision=revision,
        revlink=f"{page}/-/commit/{revision}" if page else "",
        properties={**properties, **not_told(*(("files",) if payload.message else ("files", "comments")))},
    )


NOBODY = Author()

__all__ = ["GitLabHandler", "GitLabOptions"]
