"""The payloads of Gitee.

Source: Gitee, "WebHook push data format"; "WebHook signature algorithm".
"""

from __future__ import annotations

from base64 import b64encode
from hmac import digest
from urllib.parse import quote

from change_hooks.core.change import person
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
    revision_or_none,
    was_created,
)
from change_hooks.core.payload import Shape, epoch
from change_hooks.dialects.payloads.alike import (
    Label,
    PushedCommit,
    moved_to,
    names,
    page_at,
    pull_properties,
)


class User(Shape):
    name: str | None = None
    email: str | None = None
    login: str | None = None
    username: str | None = None
    user_name: str | None = None

    def person(self) -> Person:
        """Convert to the neutral form."""
        return Person(self.name, self.email, self.login or self.username or self.user_name)


class CommitShape(PushedCommit):
    timestamp: str | None = None
    author: User | None = None
    committer: User | None = None

    def commit(self) -> Commit:
        """Convert to the neutral form."""
        author, committer = self.author or NOBODY, self.committer or NOBODY
        return self.told(
            person(author.name, author.email),
            person(committer.name, committer.email),
            epoch(self.timestamp),
        )


class RepositoryShape(Shape):
    id: int | str | None = None
    name: str | None = None
    full_name: str | None = None
    path_with_namespace: str | None = None
    html_url: str | None = None
    git_http_url: str | None = None
    git_ssh_url: str | None = None
    url: str | None = None

    def repository(self) -> Repository:
        """Convert to the neutral form."""
        return Repository(
            full_name=self.path_with_namespace or self.full_name,
            name=self.name,
            urls={
                "https": self.git_http_url,
                "ssh": self.git_ssh_url,
                "html": self.html_url or page_at(self.url),
            },
            id=None if self.id is None else str(self.id),
        )


class Kind(Shape):
    """The event's name in the payload."""

    hook_name: str | None = None


class Push(Shape):
    ref: str
    repository: RepositoryShape
    before: str | None = None
    after: str | None = None
    created: bool | None = None
    deleted: bool | None = None
    commits: list[CommitShape] | None = None
    head_commit: CommitShape | None = None
    total_commits_count: int | None = None
    commits_more_than_ten: bool | None = None
    user: User | None = None
    pusher: User | None = None
    sender: User | None = None
    compare: str | None = None

    def update(self, event: str) -> RefUpdate:
        """Convert to the neutral form.

        :raises BadPayload: the new head of the ref is missing.
        """
        return RefUpdate(
            repository=self.repository.repository(),
            ref=self.ref,
            before=revision_or_none(self.before),
            after=None if self.deleted else moved_to(self.after, "$.after"),
            commits=[commit.commit() for commit in self.commits or ()],
            head=self.head_commit.commit() if self.head_commit is not None else None,
            total=self.total_commits_count or (True if self.commits_more_than_ten else None),
            created=was_created(self.before) if self.created is None else self.created,
            sender=(self.pusher or self.sender or self.user or NOBODY).person(),
            url=self.compare or "",
            name=event,
        )


class SideShape(Shape):
    ref: str | None = None
    sha: str | None = None
    repo: RepositoryShape | None = None

    def side(self) -> Side:
        """Convert to the neutral form."""
        repository = None if self.repo is None else self.repo.repository()
        return Side(branch=self.ref, revision=self.sha, repository=repository)


class Pull(Shape):
    number: int = 0
    title: str | None = None
    body: str | None = None
    html_url: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    merge_commit_sha: str | None = None
    merge_reference_name: str | None = None
    draft: bool | None = None
    user: User | None = None
    labels: list[Label] | None = None
    head: SideShape | None = None
    base: SideShape | None = None

    def neutral(self, repository: Repository, action: Action, forge_action: str, who: User) -> PullRequest:
        """Convert to the neutral form.

        :raises BadPayload: the commit to be merged is missing.
        """
        head, base = self.head or SideShape(), self.base or SideShape()
        if not head.sha:
            raise BadPayload("is missing", "$.pull_request.head.sha")
        source, target = head.side(), base.side()
        return PullRequest(
            repository=repository,
            number=self.number,
            action=action,
            forge_action=forge_action,
            title=self.title,
            body=self.body,
            head=source,
            base=target,
            author=(self.user or NOBODY).person(),
            sender=who.person(),
            draft=self.draft,
            labels=names(self.labels),
            url=self.html_url or "",
            created=epoch(self.created_at),
            updated=epoch(self.updated_at),
            merge_commit=self.merge_commit_sha if action == "merged" else None,
            merge_ref=self.merge_reference_name,
            name="pull_request",
            properties=pull_properties(self.number, source, target, merge_ref=self.merge_reference_name),
        )


class PullEvent(Shape):
    pull_request: Pull
    repository: RepositoryShape
    action: str | None = None
    action_desc: str | None = None
    sender: User | None = None

    def neutral(self) -> PullRequest | None:
        """Convert to the neutral form; None: there is nothing to build."""
        action = ACTIONS.get(self.action or "")
        if self.action == "update":
            action = CHANGED.get(self.action_desc or "", "edited")
        if action is None:
            return None
        said = self.action_desc if self.action == "update" else self.action
        repository = self.repository.repository()
        return self.pull_request.neutral(repository, action, said or "", self.sender or NOBODY)


class Note(Shape):
    body: str | None = None
    html_url: str | None = None
    created_at: str | None = None
    user: User | None = None


class NoteEvent(Shape):
    repository: RepositoryShape
    pull_request: Pull | None = None
    comment: Note | None = None
    noteable_type: str | None = None
    action: str | None = None
    sender: User | None = None

    def comment_on(self, pull: Pull) -> Comment:
        """Convert to the neutral form.

        :param pull: the pull request that it is on.
        """
        note = self.comment or Note()
        author = note.user or self.sender or NOBODY
        return Comment(
            pull_request=pull.neutral(self.repository.repository(), "edited", "", author),
            author=author.person(),
            text=note.body or "",
            created=epoch(note.created_at),
            url=note.html_url or "",
            is_new=self.action in (None, "comment"),
            name="note",
        )


NOBODY = User()
ACTIONS: dict[str, Action] = {"open": "opened", "reopen": "reopened", "merge": "merged", "close": "closed"}
#: The actions of an update, by what it has changed.
CHANGED: dict[str, Action] = {"source_branch_changed": "updated", "update_label": "labeled"}


def signatures(timestamp: str, secret: bytes) -> list[bytes]:
    """The valid signatures of *timestamp* (milliseconds, as sent): as they are, or quoted for a URL."""
    signature = b64encode(digest(secret, b"%s\n%s" % (timestamp.encode(), secret), "sha256"))
    return [signature, quote(signature, safe="").encode()]
