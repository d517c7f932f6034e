"""The payloads of GitLab.

Source: GitLab, "Webhook events"; "System hooks".
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
from change_hooks.dialects.payloads import alike
from change_hooks.dialects.payloads.alike import PushedCommit, key_of, moved_to, names


class Author(Shape):
    name: str | None = None
    email: str | None = None


class CommitShape(PushedCommit):
    timestamp: str | None = None
    author: Author | None = None

    def commit(self) -> Commit:
        """Convert to the neutral form."""
        author = self.author or Author()
        return self.told(person(author.name, author.email), None, epoch(self.timestamp))


class Project(Shape):
    """A project, or the older ``repository``."""

    id: int | str | None = None
    name: str | None = None
    path_with_namespace: str | None = None
    default_branch: str | None = None
    web_url: str | None = None
    homepage: str | None = None
    git_http_url: str | None = None
    git_ssh_url: str | None = None
    http_url: str | None = None
    ssh_url: str | None = None
    url: str | None = None

    def page(self, revision: str | None) -> str:
        """The web page of a commit."""
        return f"{self.web_url}/-/commit/{revision}" if self.web_url and revision else ""


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

    def update(self, event: str) -> RefUpdate:
        """Convert to the neutral form.

        :raises BadPayload: the new head of the ref is missing.
        """
        project, after = self.project or Project(), self._after()
        commits = [commit.commit() for commit in self.commits or ()]
        head = next((commit for commit in commits if commit.id in (after, self.after)), None)
        if head is None and after is not None and (self.message or not commits):
            head = Commit(after, self.message or None)
        ci = self.push_options.ci if isinstance(self.push_options, PushOptions) else None
        return RefUpdate(
            repository=repository(self.repository or Project(), project),
            ref=self.ref,
            before=revision_or_none(self.before),
            after=after,
            commits=commits,
            head=head,
            total=self.total_commits_count if commits else None,
            created=was_created(self.before),
            sender=Person(self.user_name or self.user_username, self.user_email, self.user_username),
            url=project.page(after),
            name=event,
            since=self._since(project.default_branch),
            unwanted="the push option ci.skip is set" if ci is not None and ci.skip else None,
        )

    def _since(self, default: str | None) -> str | None:
        """The branch whose commits do not count as new on a new branch: the default branch."""
        new = was_created(self.before) and self.ref.startswith("refs/heads/")
        return default if new and default and self.ref != f"refs/heads/{default}" else None

    def _after(self) -> str | None:
        if self.after and revision_or_none(self.after) is None:
            return None
        return moved_to(self.checkout_sha or self.after, "$.after")


class RefChange(Shape):
    ref: str
    before: str | None = None
    after: str | None = None


class RepositoryUpdate(Shape):
    changes: list[RefChange]
    project: Project | None = None
    user_name: str | None = None
    user_email: str | None = None

    def updates(self) -> list[RefUpdate]:
        """Convert to the neutral form."""
        project = self.project or Project()
        return [
            RefUpdate(
                repository=repository(project, project),
                ref=change.ref,
                before=revision_or_none(change.before),
                after=moved_to(change.after, f"$.changes[{place}].after"),
                created=was_created(change.before),
                sender=Person(self.user_name, self.user_email),
                url=project.page(change.after),
                name="tag_push" if change.ref.startswith("refs/tags/") else "push",
            )
            for place, change in enumerate(self.changes)
        ]


class Label(alike.Label, rename={"name": "title"}):
    """A label, whose name is in ``title``."""

    name: str


class Changed(Shape):
    draft: Any = None
    labels: Any = None


class User(Shape):
    name: str | None = None
    username: str | None = None
    email: str | None = None
    id: int | str | None = None

    def person(self) -> Person:
        """Convert to the neutral form."""
        return Person(self.name, self.email, self.username, key_of(self.id))


class MergeRequestAttributes(Shape):
    iid: int = 0
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

    def neutral(self, project: Project | None, field: str, *, name: str, **more: Any) -> PullRequest:
        """Convert to the neutral form.

        :param project: the event's project.
        :param field: its path in the payload.
        :raises BadPayload: the target branch is missing.
        """
        target, source = self.target or project or Project(), self.source or Project()
        commit = self.last_commit.commit() if self.last_commit is not None else None
        if self.target_branch is None:
            raise BadPayload("is missing", f"$.{field}.target_branch")
        return PullRequest(
            repository=repository(target, target, usual="https"),
            number=self.iid,
            forge_action=self.action or "",
            title=self.title,
            body=self.description,
            head=Side(
                branch=self.source_branch,
                revision=commit.id if commit else None,
                repository=repository(source, source) if self.source is not None else None,
            ),
            base=Side(branch=self.target_branch),
            draft=self.work_in_progress if self.draft is None else self.draft,
            url=self.url or "",
            created=epoch(self.created_at),
            updated=epoch(self.updated_at),
            merge_commit=self.merge_commit_sha,
            head_commit=commit,
            name=name,
            properties={
                "source_branch": self.source_branch,
                "source_project_id": self.source_project_id,
                "source_repository": source.git_http_url or source.http_url,
                "source_git_ssh_url": source.git_ssh_url or source.ssh_url,
                "target_branch": self.target_branch,
                "target_project_id": self.target_project_id,
                "target_repository": target.git_http_url or target.http_url,
                "target_git_ssh_url": target.git_ssh_url or target.ssh_url,
            },
            **more,
        )


class MergeRequestEvent(Shape):
    object_attributes: MergeRequestAttributes
    project: Project | None = None
    user: User | None = None
    labels: list[Label] | None = None
    changes: Changed | None = None

    def neutral(self, event: str) -> PullRequest | None:
        """Convert to the neutral form; None: there is nothing to build."""
        action = self._action()
        if action is None:
            return None
        return self.object_attributes.neutral(
            self.project,
            "object_attributes",
            action=action,
            labels=names(self.labels),
            sender=(self.user or User()).person(),
            name=event,
        )

    def _action(self) -> Action | None:
        attributes, changes = self.object_attributes, self.changes or Changed()
        action = attributes.action
        if action is None:
            # Some versions leave the action out.
            return "opened" if attributes.state in (None, "opened", "reopened") else None
        if action != "update":
            return ACTIONS.get(action)
        if attributes.oldrev:
            return "updated"
        if changes.draft is not None:
            return "drafted" if attributes.draft else "ready"
        return "labeled" if changes.labels is not None else "edited"


class NoteAttributes(Shape):
    note: str | None = None
    created_at: str | None = None
    url: str | None = None
    action: str | None = None
    system: bool | None = None


class NoteEvent(Shape):
    object_attributes: NoteAttributes | None = None
    project: Project | None = None
    merge_request: MergeRequestAttributes | None = None
    user: User | None = None

    @property
    def text(self) -> str:
        """The text of the comment."""
        return (self.object_attributes.note if self.object_attributes is not None else None) or ""

    def neutral(self, merge_request: MergeRequestAttributes, event: str) -> Comment:
        """Convert to the neutral form.

        :param merge_request: the merge request that it is on.
        """
        note, sender = self.object_attributes or NoteAttributes(), (self.user or User()).person()
        return Comment(
            pull_request=merge_request.neutral(
                self.project, "merge_request", action="edited", sender=sender, name=event
            ),
            author=sender,
            text=self.text,
            created=epoch(note.created_at),
            url=note.url or "",
            is_new=not note.system and note.action in (None, "create"),
            name=event,
            properties={"comments": self.text},
        )


ACTIONS: dict[str | None, Action] = {
    "open": "opened",
    "reopen": "reopened",
    "merge": "merged",
    "close": "closed",
}


def repository(repository: Project, project: Project, usual: str = "usual") -> Repository:
    """A repository in neutral form, from the two descriptions of it in a payload.

    :param usual: the kind of address that a change gets.
    """
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
