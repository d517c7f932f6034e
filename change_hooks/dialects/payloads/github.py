"""What GitHub sends.

Source: GitHub, "Webhook events and payloads".
"""

from __future__ import annotations

from change_hooks.core.change import person
from change_hooks.core.errors import BadPayload
from change_hooks.core.events import (
    NOTHING,
    Action,
    Comment,
    Commit,
    Person,
    PullRequest,
    RefUpdate,
    Repository,
    Side,
    revision_or_none,
)
from change_hooks.core.payload import Shape, epoch, when
from change_hooks.dialects.payloads.alike import (
    Label,
    PushedCommit,
    full_name_of,
    key_of,
    moved_to,
    names,
    page_at,
    short,
)

#: How many commits of a push are listed.
LISTED = 2_048


class User(Shape):
    name: str | None = None
    email: str | None = None
    login: str | None = None
    id: int | str | None = None

    def person(self) -> Person:
        """The same, in neutral terms."""
        return Person(self.name, self.email, self.login, key_of(self.id))


class CommitShape(PushedCommit):
    timestamp: str | int | None = None
    author: User | None = None
    committer: User | None = None
    distinct: bool | None = None

    def commit(self) -> Commit:
        """The same, in neutral terms."""
        author, committer, stamp = self.author or NOBODY, self.committer or NOBODY, self.timestamp
        wrote = person(author.name or author.login, author.email)
        return self.told(
            wrote,
            # Nearly always they are one.
            wrote if committer == author else person(committer.name or committer.login, committer.email),
            when(stamp) if isinstance(stamp, int) else epoch(stamp),
            NOTHING if self.distinct is None else {"github_distinct": self.distinct},
        )


class RepositoryShape(Shape):
    full_name: str | None = None
    name: str | None = None
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None
    url: str | None = None
    owner: User | None = None

    def repository(self, *, named: bool = True) -> Repository:
        """The same, in neutral terms.

        :param named: its name is the project when nothing else is known.
        """
        owner = self.owner or NOBODY
        full_name = self.full_name or full_name_of(owner.name or owner.login, self.name)
        return Repository(
            full_name=full_name,
            name=self.name,
            project=full_name or (self.name if named else None) or "",
            urls={"html": self.html_url or page_at(self.url), "https": self.clone_url, "ssh": self.ssh_url},
        )


class Installation(Shape):
    id: str | int | None = None


class Sent(Shape):
    """What all payloads have."""

    sender: User | None = None
    installation: Installation | None = None

    @property
    def app(self) -> str | None:
        """By which an App of GitHub gets its tokens."""
        found = self.installation
        return None if found is None or found.id is None else str(found.id)


class Push(Sent, kw_only=True):
    ref: str
    repository: RepositoryShape
    before: str | None = None
    after: str | None = None
    created: bool | None = None
    deleted: bool | None = None
    forced: bool | None = None
    commits: list[CommitShape] | None = None
    head_commit: CommitShape | None = None
    pusher: User | None = None
    compare: str | None = None

    def update(self, event: str) -> RefUpdate:
        """Convert to the neutral form.

        :param event: its name.
        :raises BadPayload: the ref's new commit is missing.
        """
        head, pusher = self.head_commit, self.pusher or NOBODY
        listed = self.commits or ([head] if head is not None else [])
        commits = [commit.commit() for commit in listed]
        return RefUpdate(
            repository=self.repository.repository(),
            ref=self.ref,
            before=revision_or_none(self.before),
            after=self._after(),
            commits=commits,
            # Nearly always it is the last one that is listed.
            head=None if head is None else commits[-1] if head == listed[-1] else head.commit(),
            total=True if len(self.commits or ()) >= LISTED else None,
            created=self.created,
            forced=self.forced,
            sender=Person(pusher.name or pusher.login, pusher.email, (self.sender or NOBODY).login),
            url=self.compare or "",
            name=event,
        )

    def _after(self) -> str | None:
        if self.deleted:
            return None
        head = self.head_commit or (self.commits[-1] if self.commits else None)
        return moved_to(self.after or (head.id if head else None), "$.after")


class SideShape(Shape):
    sha: str | None = None
    ref: str | None = None
    repo: RepositoryShape | None = None

    def side(self) -> Side:
        """The same, in neutral terms."""
        repository = None if self.repo is None else self.repo.repository()
        return Side(branch=self.ref, revision=self.sha, repository=repository)


class PullRequestShape(Shape):
    head: SideShape
    base: SideShape | None = None
    number: int = 0
    title: str | None = None
    body: str | None = None
    commits: int | None = None
    html_url: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    user: User | None = None
    draft: bool | None = None
    merged: bool | None = None
    merge_commit_sha: str | None = None
    labels: list[Label] | None = None


class PullRequestEvent(Sent, kw_only=True):
    pull_request: PullRequestShape
    number: int = 0
    action: str | None = None
    repository: RepositoryShape | None = None

    def neutral(self, event: str) -> PullRequest | None:
        """Convert to the neutral form; None: nothing is ever built after this action.

        :param event: its name.
        :raises BadPayload: the commit to be merged is missing.
        """
        pull, action = self.pull_request, ACTIONS.get(self.action or "")
        if action is None:
            return None
        if pull.head.sha is None:
            raise BadPayload("is missing", "$.pull_request.head.sha")
        base = pull.base or SideShape()
        return PullRequest(
            repository=(base.repo or self.repository or RepositoryShape()).repository(named=False),
            number=self.number or pull.number,
            action="merged" if action == "closed" and pull.merged else action,
            forge_action=self.action or "",
            title=pull.title,
            body=pull.body,
            head=pull.head.side(),
            base=base.side(),
            author=(pull.user or NOBODY).person(),
            sender=(self.sender or NOBODY).person(),
            draft=pull.draft,
            labels=names(pull.labels),
            url=pull.html_url or "",
            created=epoch(pull.created_at),
            updated=epoch(pull.updated_at),
            merge_commit=pull.merge_commit_sha if pull.merged else None,
            commits=pull.commits,
            installation=self.app,
            name=event,
            properties={"pullrequesturl": pull.html_url, "basename": base.ref},
        )


class MergeGroup(Shape):
    head_sha: str
    head_ref: str
    base_ref: str | None = None
    base_sha: str | None = None
    head_commit: CommitShape | None = None


class MergeGroupEvent(Sent, kw_only=True):
    merge_group: MergeGroup
    repository: RepositoryShape
    action: str | None = None

    def neutral(self, event: str) -> PullRequest:
        """The same, in neutral terms."""
        group = self.merge_group
        commit = group.head_commit.commit() if group.head_commit else None
        return PullRequest(
            repository=self.repository.repository(),
            number=0,
            action="queued",
            forge_action=self.action or "",
            title=commit.message if commit else None,
            head=Side(branch=short(group.head_ref), revision=group.head_sha),
            base=Side(branch=short(group.base_ref), revision=group.base_sha),
            sender=(self.sender or NOBODY).person(),
            created=commit.when if commit else None,
            files=None,
            head_commit=commit,
            name=event,
            properties={"basename": short(group.base_ref)},
        )


class Linked(Shape):
    html_url: str | None = None


class Issue(Shape):
    number: int = 0
    title: str | None = None
    body: str | None = None
    draft: bool | None = None
    labels: list[Label] | None = None
    user: User | None = None
    pull_request: Linked | None = None


class CommentShape(Shape):
    body: str | None = None
    user: User | None = None
    author_association: str | None = None
    created_at: str | None = None
    html_url: str | None = None


class IssueCommentEvent(Sent, kw_only=True):
    repository: RepositoryShape
    issue: Issue | None = None
    comment: CommentShape | None = None
    action: str | None = None

    def neutral(self, event: str) -> Comment | None:
        """The same, in neutral terms; None: it is not on a pull request."""
        issue, comment = self.issue, self.comment or CommentShape()
        if issue is None or issue.pull_request is None:
            return None
        url = issue.pull_request.html_url
        return Comment(
            pull_request=PullRequest(
                repository=self.repository.repository(),
                number=issue.number,
                action="edited",
                title=issue.title,
                body=issue.body,
                author=(issue.user or NOBODY).person(),
                sender=(self.sender or NOBODY).person(),
                draft=issue.draft,
                labels=names(issue.labels),
                url=url or "",
                name=event,
                installation=self.app,
                properties={"pullrequesturl": url},
            ),
            author=(comment.user or NOBODY).person(),
            association=comment.author_association,
            text=comment.body or "",
            created=epoch(comment.created_at),
            url=comment.html_url or "",
            is_new=self.action in (None, "created"),
            name=event,
        )


ACTIONS: dict[str, Action] = {
    "opened": "opened",
    "reopened": "reopened",
    "synchronize": "updated",
    # What Gitea, in GitHub's clothes, calls the same.
    "synchronized": "updated",
    "edited": "edited",
    "labeled": "labeled",
    "unlabeled": "unlabeled",
    "ready_for_review": "ready",
    "converted_to_draft": "drafted",
    "closed": "closed",
    "enqueued": "queued",
}
NOBODY = User()
