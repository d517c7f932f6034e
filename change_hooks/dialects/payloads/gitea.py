"""The payloads of Gitea, Forgejo and Gogs.

Source: Gitea, ``modules/structs/hook.go``, ``pull.go``, ``issue.go``; Gogs, ``internal/types/webhook.go``.
"""

from __future__ import annotations

from typing import Any

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
    full_name_of,
    key_of,
    moved_to,
    names,
    page_at,
    whole_ref,
)

#: How many commits of a push are listed (the newest), unless an administrator has changed that.
LISTED = 5


class User(Shape):
    """A user of the forge; or a commit's author or committer, who has a ``name``."""

    login: str | None = None
    username: str | None = None
    full_name: str | None = None
    name: str | None = None
    email: str | None = None
    id: int | str | None = None

    def person(self) -> Person:
        """Convert to the neutral form."""
        login = self.login or self.username
        return Person(self.full_name or self.name or login, self.email, login, key_of(self.id))


class CommitShape(PushedCommit):
    author: User | None = None
    committer: User | None = None
    timestamp: str | None = None

    def commit(self) -> Commit:
        """Convert to the neutral form."""
        author, committer = self.author or NOBODY, self.committer or NOBODY
        return self.told(
            person(author.name or author.username, author.email),
            person(committer.name or committer.username, committer.email),
            epoch(self.timestamp),
        )


class RepositoryShape(Shape):
    id: int | None = None
    name: str | None = None
    full_name: str | None = None
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None
    url: str | None = None
    owner: User | None = None

    def repository(self) -> Repository:
        """Convert to the neutral form."""
        owner, page = self.owner or NOBODY, self.html_url or page_at(self.url)
        return Repository(
            full_name=self.full_name or full_name_of(owner.username or owner.login or owner.name, self.name),
            name=self.name,
            urls={"usual": self.ssh_url, "https": self.clone_url, "ssh": self.ssh_url, "html": page},
            id=None if self.id is None else str(self.id),
        )

    def properties(self) -> dict[str, Any]:
        """The properties of every change."""
        owner = self.owner or NOBODY
        return {"repository_name": self.name, "owner": owner.username or owner.login}


class Sent(Shape):
    """The common part of all payloads."""

    repository: RepositoryShape
    sender: User | None = None


class RefEvent(Sent, kw_only=True):
    ref: str

    def about(self, revision: str | None, pusher: User | None, event: str) -> dict[str, Any]:
        """The common fields of a ref update, whichever event reports it."""
        page = self.repository.html_url
        return {
            "repository": self.repository.repository(),
            "sender": (pusher or self.sender or NOBODY).person(),
            "url": f"{page}/commit/{revision}" if page and revision else "",
            "name": event,
            "properties": self.repository.properties(),
        }


class Push(RefEvent, kw_only=True):
    after: str
    before: str | None = None
    commits: list[CommitShape] | None = None
    total_commits: int | None = None
    head_commit: CommitShape | None = None
    pusher: User | None = None

    def update(self, event: str) -> RefUpdate:
        """Convert to the neutral form. The newest commit comes first; the commits that are listed for a new
        branch are older than the branch.
        """
        after, created = moved_to(self.after, "$.after"), was_created(self.before)
        commits = [] if created else [commit.commit() for commit in reversed(self.commits or ())]
        head = self.head_commit or next(iter(self.commits or ()), None)
        return RefUpdate(
            ref=self.ref,
            before=revision_or_none(self.before),
            after=after,
            commits=commits,
            head=head.commit() if head is not None else None,
            # Gogs, and older versions of the others, do not send a count.
            total=(self.total_commits or len(commits) >= LISTED or None) if commits else None,
            created=created,
            **self.about(after, self.pusher, event),
        )


class MadeOrDeleted(RefEvent, kw_only=True):
    """A branch or tag was created or deleted. *ref* is a bare name."""

    ref_type: str | None = None
    sha: str | None = None

    def made(self) -> RefUpdate:
        """The creation as an event.

        :raises BadPayload: the commit is missing.
        """
        if not self.sha:
            raise BadPayload("is missing", "$.sha")
        return self._update("create", self.sha)

    def deleted(self, event: str) -> RefUpdate:
        """The deletion as an event."""
        return self._update(event, None)

    def _update(self, event: str, after: str | None) -> RefUpdate:
        return RefUpdate(
            ref=whole_ref(self.ref, tag=self.ref_type == "tag"),
            after=after,
            created=after is not None,
            **self.about(after, None, event),
        )


class SideShape(Shape):
    sha: str | None = None
    ref: str | None = None
    repo_id: int | None = None
    repo: RepositoryShape | None = None

    def side(self) -> Side:
        """Convert to the neutral form."""
        repository = None if self.repo is None else self.repo.repository()
        return Side(branch=self.ref, revision=self.sha, repository=repository)

    def properties(self, side: str) -> dict[str, Any]:
        """The properties that describe a *side* (``base`` or ``head``) of a pull request."""
        repository = self.repo or RepositoryShape()
        return {
            f"{side}_branch": self.ref,
            f"{side}_sha": self.sha,
            f"{side}_repo_id": repository.id if self.repo_id is None else self.repo_id,
            f"{side}_repository": repository.clone_url,
            f"{side}_git_ssh_url": repository.ssh_url,
        }


class Pull(Shape):
    """A pull request; or the part of it that its issue contains."""

    number: int = 0
    id: int | None = None
    title: str | None = None
    body: str | None = None
    user: User | None = None
    labels: list[Label] | None = None
    draft: bool | None = None
    mergeable: bool | None = None
    merged: bool | None = None
    merge_commit_sha: str | None = None
    html_url: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    base: SideShape | None = None
    head: SideShape | None = None
    # Gogs sends these instead, without the commits.
    base_branch: str | None = None
    base_repo: RepositoryShape | None = None
    head_branch: str | None = None
    head_repo: RepositoryShape | None = None
    #: In an issue: it is a pull request.
    pull_request: Any = None

    def sides(self) -> tuple[SideShape, SideShape]:
        """The target and the source: what to merge into, and what to merge."""
        base = self.base or SideShape(ref=self.base_branch, repo=self.base_repo)
        return base, self.head or SideShape(ref=self.head_branch, repo=self.head_repo)

    def neutral(self, payload: Sent, action: Action, name: str, forge_action: str = "") -> PullRequest:
        """Convert to the neutral form."""
        base, head = self.sides()
        return PullRequest(
            repository=payload.repository.repository(),
            number=self.number,
            action=action,
            forge_action=forge_action,
            title=self.title,
            body=self.body,
            head=head.side(),
            base=base.side(),
            author=(self.user or NOBODY).person(),
            sender=(payload.sender or NOBODY).person(),
            draft=is_draft(self.title) if self.draft is None else self.draft,
            labels=names(self.labels),
            url=self.html_url or "",
            created=epoch(self.created_at),
            updated=epoch(self.updated_at),
            merge_commit=self.merge_commit_sha if self.merged else None,
            name=name,
            properties={
                **base.properties("base"),
                **head.properties("head"),
                "pr_id": self.id,
                "pr_number": self.number,
                **payload.repository.properties(),
            },
        )


class Old(Shape, rename={"value": "from"}):
    """The previous value of a field."""

    value: str | None = None


class Changes(Shape):
    title: Old | None = None


class Review(Shape):
    content: str | None = None


class PullEvent(Sent, kw_only=True):
    pull_request: Pull
    action: str | None = None
    changes: Changes | None = None
    review: Review | None = None

    def neutral(self, name: str) -> PullRequest | None:
        """Convert to the neutral form; None: there is nothing to build.

        :raises BadPayload: the commit to be merged is missing.
        """
        pull, action = self.pull_request, self._action()
        if action is None:
            return None
        if not (pull.head_branch or pull.sides()[1].sha):
            raise BadPayload("is missing", "$.pull_request.head.sha")
        return pull.neutral(self, action, name, self.action or "")

    def _action(self) -> Action | None:
        action = ACTIONS.get(self.action or "")
        if action == "closed" and self.pull_request.merged:
            return "merged"
        title = self.changes.title if action == "edited" and self.changes is not None else None
        if title is not None and is_draft(title.value) != is_draft(self.pull_request.title):
            return "ready" if is_draft(title.value) else "drafted"
        return action

    def comment(self, name: str) -> Comment:
        """The comment of a review."""
        pull = self.pull_request.neutral(self, "edited", name)
        text = (self.review.content if self.review is not None else None) or ""
        return Comment(pull_request=pull, author=pull.sender, text=text, url=pull.url, name=name)


class Note(Shape):
    body: str | None = None
    html_url: str | None = None
    created_at: str | None = None
    user: User | None = None


class CommentEvent(Sent, kw_only=True):
    issue: Pull | None = None
    comment: Note | None = None
    is_pull: bool | None = None
    pull_request: Pull | None = None
    action: str | None = None

    @property
    def on_a_pull_request(self) -> bool:
        """Whether it is on a pull request, which versions report differently."""
        there = self.pull_request or (self.issue is not None and self.issue.pull_request)
        return bool(self.is_pull or there)

    def written(self, name: str) -> Comment:
        """Convert to the neutral form. Only newer versions send the pull request's head commit."""
        pull, note = self.pull_request or self.issue or Pull(), self.comment or Note()
        return Comment(
            pull_request=pull.neutral(self, "edited", name),
            author=(note.user or self.sender or NOBODY).person(),
            text=note.body or "",
            created=epoch(note.created_at),
            url=note.html_url or "",
            is_new=self.action in (None, "created"),
            name=name,
        )


ACTIONS: dict[str, Action] = {
    "opened": "opened",
    "reopened": "reopened",
    "synchronized": "updated",
    "synchronize": "updated",
    "edited": "edited",
    "label_updated": "labeled",
    "label_cleared": "unlabeled",
    "closed": "closed",
}
NOBODY = User()


def is_draft(title: str | None) -> bool:
    """Whether a title has a draft's prefix. An administrator may have configured other prefixes."""
    return (title or "").lower().startswith(("wip:", "[wip]", "draft:", "[draft]"))
