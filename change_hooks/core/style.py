"""The form of a dialect's changes: what differs between forges, as documented on the dialect's page."""

from __future__ import annotations

from typing import Any, ClassVar

from change_hooks.core.events import Action, PullRequest, RefUpdate


class Style:
    """The form of changes. A dialect overrides what is different in its changes."""

    #: One change for each commit of a push; False: one for each branch or tag.
    per_commit: ClassVar[bool] = True
    #: ``branch`` is the whole ref, ``refs/heads/main``; False: ``main``.
    full_refs: ClassVar[bool] = False
    #: The category of the change for a deleted branch or tag; None: a deletion gives no change.
    deleted: ClassVar[str | None] = None
    #: The comments of a change for which the forge sends no message; ``{revision}`` is replaced.
    unnamed: ClassVar[str] = ""
    #: Changes have a property ``event``, the forge's name of it.
    event_property: ClassVar[bool] = True
    #: The actions of a pull request that give a change.
    pull_actions: ClassVar[tuple[Action, ...]] = ("opened", "reopened", "updated")
    #: A new comment on a pull request gives a change.
    comments: ClassVar[bool] = False

    def branch(self, event: RefUpdate) -> str:
        """The ``branch`` of a push."""
        return event.ref if self.full_refs else event.short

    def category(self, event: RefUpdate) -> str | None:
        """The ``category`` of a push."""
        return "tag" if event.is_tag else "push"

    def pull(self, event: PullRequest, options: Any) -> dict[str, Any]:
        """The fields of a pull request's change that differ between dialects.

        :param options: the handler's options.
        """
        return {
            "author": str(event.sender) or str(event.author),
            "branch": event.head.branch,
            "category": "pull",
            "comments": "\n".join(filter(None, (event.title, event.body))),
            "revision": event.head.revision,
            "when_timestamp": event.updated or event.created,
        }


__all__ = ["Style"]
