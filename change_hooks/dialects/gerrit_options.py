"""The options of ``gerrit``, and the look of its changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from change_hooks.core.events import PullRequest, RefUpdate
from change_hooks.core.options import ForgeOptions, option, text, texts
from change_hooks.core.style import Style


@dataclass(frozen=True)
class GerritOptions(ForgeOptions):
    """The options of ``gerrit``."""

    git_base_url: str = option("", text)
    skip_kinds: tuple[str, ...] = option((), texts)
    gerrit_property_whitelist: tuple[str, ...] = option((), texts)


class GerritStyle(Style):
    """The look of the changes of Buildbot's ``GerritChangeSource``."""

    def category(self, event: RefUpdate) -> str:
        """Gerrit's name for the event."""
        return event.name

    def pull(self, event: PullRequest, options: GerritOptions) -> dict[str, Any]:
        """The branch is the patch set's ref; once the change is merged or abandoned, the target branch."""
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
