"""The ``github`` dialect: GitHub and GitHub Enterprise.

Source: GitHub, "Webhook events and payloads"; "Validating webhook deliveries".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.change import person
from change_hooks.core.delivery import Delivery, Verification
from change_hooks.core.errors import BadPayload, SignatureMissing
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
from change_hooks.core.options import (
    ForgeOptions,
    Options,
    Source,
    anything,
    flag,
    option,
    recover,
    text,
    texts,
)
from change_hooks.core.payload import Shape, epoch
from change_hooks.core.style import Style
from change_hooks.core.verification import sign_hmac, verify_hmac
from change_hooks.dialects.event_handler import EventHandler, shaped


class User(Shape):
    name: str | None = None
    email: str | None = None
    login: str | None = None


class CommitShape(Shape):
    id: str
    message: str | None = None
    timestamp: str | int | None = None
    url: str | None = None
    author: User | None = None
    committer: User | None = None
    distinct: bool | None = None
    added: list[str] | None = None
    removed: list[str] | None = None
    modified: list[str] | None = None


class RepositoryShape(Shape):
    full_name: str | None = None
    name: str | None = None
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None


class Installation(Shape):
    id: str | int | None = None


class Push(Shape):
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
    sender: User | None = None


class SideShape(Shape):
    sha: str
    ref: str | None = None
    repo: RepositoryShape | None = None


class Label(Shape):
    name: str | None = None


class PullRequestShape(Shape):
    head: SideShape
    base: SideShape
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


class PullRequestEvent(Shape):
    number: int
    pull_request: PullRequestShape
    action: str | None = None
    repository: RepositoryShape | None = None
    sender: User | None = None
    installation: Installation | None = None


class MergeGroup(Shape):
    head_sha: str
    head_ref: str
    base_ref: str | None = None
    base_sha: str | None = None
    head_commit: CommitShape | None = None


class MergeGroupEvent(Shape):
    merge_group: MergeGroup
    repository: RepositoryShape
    action: str | None = None
    sender: User | None = None


class Linked(Shape):
    html_url: str | None = None


class Issue(Shape):
    number: int
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


class IssueCommentEvent(Shape):
    issue: Issue
    comment: CommentShape
    repository: RepositoryShape
    action: str | None = None
    sender: User | None = None
    installation: Installation | None = None


@dataclass(frozen=True)
class GitHubOptions(ForgeOptions):
    """What a user may write for ``github``."""

    replacement: Any = option(None, anything, "class")
    github_property_whitelist: tuple[str, ...] = option((), texts)
    github_api_endpoint: str = option("https://api.github.com", text)
    pullrequest_ref: str = option("merge", text)
    verify: bool = option(default=True, check=flag)
    debug: bool = option(default=False, check=flag)
    recover: tuple[Source, ...] = option((), recover)


class GitHubStyle(Style):
    """As the page of the dialect says."""

    def category(self, event: RefUpdate) -> str | None:
        """``tag`` for tags, none for branches."""
        return "tag" if event.is_tag else None

    def pull(self, event: PullRequest, options: GitHubOptions) -> dict[str, Any]:
        """The branch is the ref that GitHub makes for the pull request."""
        count = event.commits or 0
        title = f"GitHub Pull Request #{event.number} ({count} commit{'' if count == 1 else 's'})"
        author = event.author if event.sender == Person() else event.sender
        return {
            "author": author.login or author.name or "",
            "branch": f"refs/pull/{event.number}/{options.pullrequest_ref}"
            if event.number
            else event.head.branch,
            "category": "pull",
            "comments": "\n".join(filter(None, (title if event.number else None, event.title, event.body))),
            "revision": event.head.revision,
            "when_timestamp": (event.updated if event.action == "updated" else None) or event.created,
        }


class GitHubEventHandler(EventHandler[GitHubOptions]):
    """Takes ``ping``, ``push``, ``pull_request``, ``merge_group`` and ``issue_comment``."""

    sender = "GitHub, GitHub Enterprise"
    verified_by = "HMAC-SHA256, HMAC-SHA1"
    Options: ClassVar[type[Options] | None] = GitHubOptions
    forge = "github"
    event_header = "X-GitHub-Event"
    id_headers = ("X-GitHub-Delivery",)
    takes_form = True
    style = GitHubStyle()
    completes_pulls = True

    @property
    def signed(self) -> bool:
        """Only a strict endpoint demands a signature."""
        return self.settings.strict

    @classmethod
    def doubts(cls, options: Mapping[str, Any], protected: bool) -> list[str]:
        """Warn when a delivery may come without a signature."""
        if options.get("secret") and not options.get("strict") and not protected:
            return ["accepts unsigned deliveries although 'secret' is set: set 'strict': True"]
        return super().doubts(options, protected)

    def verify(self, delivery: Delivery, secrets: Sequence[bytes]) -> Verification:
        """SHA-256 decides where it is sent; SHA-1 counts only alone."""
        for header, algorithm in SIGNATURES:
            sent = delivery.getHeader(header)
            if sent and sent != f"{algorithm}=".encode():
                verify_hmac(delivery.body, sent, secrets, algorithm=algorithm, prefix=f"{algorithm}=")
                return "signature"
        if self.settings.strict:
            raise SignatureMissing("the signature is missing; set the same secret on GitHub")
        return "none"

    def sign(self, delivery: Delivery, secret: bytes) -> Delivery:
        """With both hashes, as GitHub does."""
        return delivery.replace(
            headers={
                header.decode("ascii"): sign_hmac(delivery.body, secret, algorithm, f"{algorithm}=")
                for header, algorithm in SIGNATURES
            }
        )

    def property_source(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of a pull request's payload, the pull request."""
        pull_request = payload.get("pull_request") if event == "pull_request" else None
        return pull_request if isinstance(pull_request, Mapping) else payload

    def handle_ping(self, payload: Mapping[str, Any]) -> Event:
        """GitHub tries a new webhook."""
        return Ignored("a ping; the webhook works")

    @shaped(Push)
    def handle_push(self, payload: Push, event: str = "push") -> Event:
        """A branch or tag was made, moved or deleted."""
        head = payload.head_commit
        pusher = payload.pusher or NOBODY
        return RefUpdate(
            repository=_repository(payload.repository),
            ref=payload.ref,
            before=revision_or_none(payload.before),
            after=_after(payload),
            commits=[_commit(commit) for commit in payload.commits or ([head] if head else ())],
            head=_commit(head) if head else None,
            created=payload.created,
            forced=payload.forced,
            sender=Person(pusher.name or pusher.login, pusher.email, _login(payload.sender)),
            url=payload.compare or "",
        )

    @shaped(PullRequestEvent)
    def handle_pull_request(self, payload: PullRequestEvent, event: str = "pull_request") -> Event:
        """Something happened to a pull request."""
        pull = payload.pull_request
        repository = pull.base.repo or payload.repository or RepositoryShape()
        action = ACTIONS.get(payload.action or "")
        if action is None:
            return Ignored("this action of a pull request gives no change (option 'actions')")
        return PullRequest(
            repository=_repository(repository, named=False),
            number=payload.number,
            action="merged" if action == "closed" and pull.merged else action,
            forge_action=payload.action or "",
            title=pull.title,
            body=pull.body,
            head=_side(pull.head),
            base=_side(pull.base),
            author=_person(pull.user),
            sender=_person(payload.sender),
            draft=pull.draft,
            labels=_labels(pull.labels),
            url=pull.html_url or "",
            created=epoch(pull.created_at),
            updated=epoch(pull.updated_at),
            merge_commit=pull.merge_commit_sha if pull.merged else None,
            commits=pull.commits,
            installation=_installation(payload.installation),
            properties={"pullrequesturl": pull.html_url, "basename": pull.base.ref},
        )

    @shaped(MergeGroupEvent)
    def handle_merge_group(self, payload: MergeGroupEvent, event: str = "merge_group") -> Event:
        """The merge queue wants a group of pull requests tried together."""
        group = payload.merge_group
        if payload.action != "checks_requested":
            return Ignored("there is nothing to build after this action of a merge queue")
        commit = _commit(group.head_commit) if group.head_commit else None
        return PullRequest(
            repository=_repository(payload.repository),
            number=0,
            action="queued",
            forge_action=payload.action,
            title=commit.message if commit else None,
            head=Side(branch=_short(group.head_ref), revision=group.head_sha),
            base=Side(branch=_short(group.base_ref), revision=group.base_sha),
            sender=_person(payload.sender),
            created=commit.when if commit else None,
            files=None,
            head_commit=commit,
            name=event,
            properties={"basename": _short(group.base_ref)},
        )

    @shaped(IssueCommentEvent)
    def handle_issue_comment(self, payload: IssueCommentEvent, event: str = "issue_comment") -> Event:
        """Somebody wrote a comment on a pull request."""
        issue, comment = payload.issue, payload.comment
        if issue.pull_request is None:
            return Ignored("the comment is not on a pull request")
        url = issue.pull_request.html_url
        return Comment(
            pull_request=PullRequest(
                repository=_repository(payload.repository),
                number=issue.number,
                action="edited",
                title=issue.title,
                body=issue.body,
                author=_person(issue.user),
                sender=_person(payload.sender),
                draft=issue.draft,
                labels=_labels(issue.labels),
                url=url or "",
                name=event,
                installation=_installation(payload.installation),
                properties={"pullrequesturl": url},
            ),
            author=_person(comment.user),
            association=comment.author_association,
            text=comment.body or "",
            created=epoch(comment.created_at),
            url=comment.html_url or "",
            is_new=payload.action in (None, "created"),
            name=event,
        )


SIGNATURES = ((b"x-hub-signature-256", "sha256"), (b"x-hub-signature", "sha1"))
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


def _after(payload: Push) -> str | None:
    if payload.deleted:
        return None
    if payload.after is not None:
        return revision_or_none(payload.after)
    head = payload.head_commit or (payload.commits[-1] if payload.commits else None)
    if head is None:
        raise BadPayload("is missing", "$.after")
    return head.id


def _short(ref: str | None) -> str | None:
    return ref.removeprefix("refs/heads/") if ref else None


def _person(user: User | None) -> Person:
    return Person(user.name, user.email, user.login) if user is not None else Person()


def _login(user: User | None) -> str | None:
    return user.login if user is not None else None


def _labels(labels: Sequence[Label] | None) -> list[str] | None:
    return None if labels is None else [label.name for label in labels if label.name]


def _installation(installation: Installation | None) -> str | None:
    return None if installation is None or installation.id is None else str(installation.id)


def _side(side: SideShape) -> Side:
    repository = None if side.repo is None else _repository(side.repo)
    return Side(branch=side.ref, revision=side.sha, repository=repository)


def _repository(repository: RepositoryShape, *, named: bool = True) -> Repository:
    return Repository(
        full_name=repository.full_name,
        name=repository.name,
        project=repository.full_name or (repository.name if named else None) or "",
        urls={"html": repository.html_url, "https": repository.clone_url, "ssh": repository.ssh_url},
    )


def _commit(commit: CommitShape) -> Commit:
    added, modified, removed = commit.added, commit.modified, commit.removed
    known = added is not None or modified is not None or removed is not None
    author, committer, stamp = commit.author or NOBODY, commit.committer or NOBODY, commit.timestamp
    return Commit(
        commit.id,
        commit.message or "",
        person(author.name or author.login, author.email),
        person(committer.name or committer.login, committer.email) or None,
        stamp if isinstance(stamp, int) else epoch(stamp),
        commit.url or "",
        [*(added or ()), *(modified or ()), *(removed or ())] if known else None,
        None,
        {} if commit.distinct is None else {"github_distinct": commit.distinct},
    )


__all__ = ["GitHubEventHandler", "GitHubOptions"]
