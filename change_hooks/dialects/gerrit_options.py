"""What a user may write for ``gerrit``, and what its changes look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from change_hooks.core.events import PullRequest, RefUpdate
from change_hooks.core.options import ForgeOptions, option, text, texts
from change_hooks.core.style import Style


@dataclass(frozen=True)
class GerritOptions(ForgeOptions):
    """What a user may write for ``gerrit``."""

    git_base_url: str = option("", text)
    skip_kinds: tuple[str, ...] = option((), texts)
    gerrit_property_whitelist: tuple[str, ...] = option((), texts)


class GerritStyle(Style):
    """As users of Buildbot's ``GerritChangeSource`` know it."""

    def category(self, event: RefUpdate) -> str:
        """Gerrit's name of the event."""
        return event.name

    def pull(self, event: PullRequest, options: GerritOptions) -> dict[str, Any]:
        """The branch is the patch set's ref; of what is over, the one that it was for."""
        is_over = event.action in ("merged", "closed")
        message = event.head_commit.message if event.head_commit is not None else None
        return {
            "author": str(event.author),
            "branch": event.base.branch if is_over else event.head.branch or event.base.branch,
            "category": event.name,
            "comments": message or event.title or "",
            "revision": event.merge_commit or event.head.revision,
            "when_timestamp": event.updated,
        }


__all__ = ["GerritOptions", "GerritStyle"]
