"""The options of ``github``, and the look of its changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from change_hooks.core.events import Person, PullRequest, RefUpdate
from change_hooks.core.options import ForgeOptions, anything, flag, option, text, texts
from change_hooks.core.style import Style


@dataclass(frozen=True)
class GitHubOptions(ForgeOptions):
    """The options of ``github``."""

    replacement: Any = option(None, anything, "class")
    github_property_whitelist: tuple[str, ...] = option((), texts)
    github_api_endpoint: str = option("https://api.github.com", text)
    pullrequest_ref: str = option("merge", text)
    debug: bool = option(default=False, check=flag)


class GitHubStyle(Style):
    """The look that the dialect's page documents."""

    def category(self, event: RefUpdate) -> str | None:
        """``tag`` for tags, None for branches."""
        return "tag" if event.is_tag else None

    def pull(self, event: PullRequest, options: GitHubOptions) -> dict[str, Any]:
        """The branch is the ref that GitHub creates for the pull request."""
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


__all__ = ["GitHubOptions", "GitHubStyle"]
