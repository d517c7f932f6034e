"""The options of ``gitlab``, and the look of its changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from change_hooks.core.events import PullRequest, RefUpdate
from change_hooks.core.options import ForgeOptions, option, regular_expression, texts
from change_hooks.core.style import Style


@dataclass(frozen=True)
class GitLabOptions(ForgeOptions):
    """The options of ``gitlab``."""

    gitlab_property_whitelist: tuple[str, ...] = option((), texts)
    note_pattern: re.Pattern[str] | None = option(None, regular_expression)


class GitLabStyle(Style):
    """The look that the dialect's page documents."""

    comments = True

    def category(self, event: RefUpdate) -> str | None:
        """GitLab's own name for the event."""
        return event.name

    def pull(self, event: PullRequest, options: GitLabOptions) -> dict[str, Any]:
        """The branch is the target branch."""
        commit = event.head_commit
        return {
            "author": commit.author if commit else str(event.sender),
            "branch": event.base.branch,
            "category": event.name,
            "comments": f"MR#{event.number}: {event.title or ''}\n\n{event.body or ''}",
            "revision": event.head.revision,
            "when_timestamp": commit.when if commit else None,
        }


__all__ = ["GitLabOptions", "GitLabStyle"]
