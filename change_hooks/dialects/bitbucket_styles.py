"""The form of the changes of ``bitbucketcloud`` and ``bitbucketserver``, as their pages document it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from change_hooks.core.events import PullRequest, RefUpdate
from change_hooks.core.style import Style
from change_hooks.dialects.payloads.alike import whole_ref


class BitbucketStyle(Style):
    """The common form of changes in both dialects."""

    per_commit = False
    full_refs = True
    deleted = "ref-deleted"
    event_property = False
    pull_actions = ("opened", "updated", "edited", "merged", "closed")
    #: The beginning of the title of a pull request's change.
    title: ClassVar[str] = ""

    def category(self, event: RefUpdate) -> str | None:
        """``push``, for tags too."""
        return "push"

    def pull(self, event: PullRequest, options: Any) -> dict[str, Any]:
        """The branch is the merge ref while there is one; then the target, or the source."""
        title = f"{self.title} Pull Request #{event.number}"
        return {
            "author": str(event.sender),
            "branch": self.pull_branch(event),
            "category": CATEGORIES.get(event.action, "pull-updated"),
            "comments": "\n".join(filter(None, (title, event.title, event.body))),
            "revision": (event.merge_commit if event.action == "merged" else None) or event.head.revision,
            "when_timestamp": event.created if event.action == "opened" else event.updated,
        }

    def pull_branch(self, event: PullRequest) -> str | None:
        """The whole ref."""
        if event.action == "merged":
            return event.base.branch and whole_ref(event.base.branch)
        if event.action == "closed":
            return source_ref(event)
        return event.merge_ref


def source_ref(event: PullRequest) -> str | None:
    """The ref that a pull request comes from. If it is in another repository, its name is changed to one that
    no branch here has; so it is if the repository is not named, because that may be deleted. The older form
    never names it.
    """
    if event.from_fork or (event.from_fork is None and event.merge_ref is None):
        return f"refs/pull-requests/{event.number}/from"
    return event.head.branch and whole_ref(event.head.branch)


#: The categories of pull requests, by action; for all other actions, ``pull-updated``.
CATEGORIES: Mapping[str, str] = {
    "opened": "pull-created",
    "reopened": "pull-created",
    "merged": "pull-fulfilled",
    "closed": "pull-rejected",
}


class BitbucketCloudStyle(BitbucketStyle):
    """There is no merge ref on Cloud: the branch is the source."""

    unnamed = "Bitbucket Cloud commit {revision}"
    title = "Bitbucket Cloud"

    def pull_branch(self, event: PullRequest) -> str | None:
        """The older form has a merge ref."""
        if event.action in ("merged", "closed"):
            return super().pull_branch(event)
        return event.merge_ref or source_ref(event)


class BitbucketServerStyle(BitbucketStyle):
    """The form that the dialect's page documents."""

    unnamed = "Bitbucket Server commit {revision}"
    title = "Bitbucket Server"

    def pull(self, event: PullRequest, options: Any) -> dict[str, Any]:
        """The date is that of the event."""
        return {**super().pull(event, options), "when_timestamp": event.updated}


__all__ = ["BitbucketCloudStyle", "BitbucketServerStyle"]
