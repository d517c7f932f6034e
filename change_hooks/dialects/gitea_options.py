"""The options of ``gitea``, and the look of its changes: as in the plugin for Buildbot.

Source: the documentation of ``buildbot-gitea``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from change_hooks.core.events import PullRequest, RefUpdate
from change_hooks.core.options import ForgeOptions, anything, flag, option, texts
from change_hooks.core.style import Style
from change_hooks.core.verification import as_secrets


def header_values(value: object) -> tuple[bytes, ...]:
    """Accept a str, bytes, or a list of them."""
    return tuple(as_secrets(value))


@dataclass(frozen=True)
class GiteaOptions(ForgeOptions):
    """The options of ``gitea``, ``forgejo`` and ``gogs``."""

    secrets: ClassVar[tuple[str, ...]] = ("secret", "token", "authorization")

    replacement: Any = option(None, anything, "class")
    authorization: tuple[bytes, ...] = option((), header_values)
    only_push_commit: bool = option(default=False, check=flag, name="onlyIncludePushCommit")
    only_mergeable: bool = option(default=False, check=flag, name="onlyMergeablePullRequest")
    gitea_property_whitelist: tuple[str, ...] = option((), texts)


class GiteaStyle(Style):
    """The look that the dialect's page documents."""

    pull_actions = ("opened", "reopened", "updated", "edited", "ready", "drafted")

    def category(self, event: RefUpdate) -> str:
        """The forge's own name for the event."""
        return event.name

    def pull(self, event: PullRequest, options: GiteaOptions) -> dict[str, Any]:
        """The branch is the source branch."""
        return {
            "author": str(event.author),
            "branch": event.head.branch,
            "category": "pull_request",
            "comments": f"PR#{event.number}: {event.title or ''}\n\n{event.body or ''}",
            "revision": event.head.revision,
            "when_timestamp": event.updated,
        }


class NewestStyle(GiteaStyle):
    """The look of changes with the option ``onlyIncludePushCommit``."""

    per_commit = False


class ProcessMethods:
    """Calls the methods ``process_<event>(payload, event, codebase)`` of subclasses as the plugin does: they
    return a list of dicts. They get None as the codebase; that of the URL is set on their changes.
    """

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name in list(vars(cls)):
            if name.startswith("process_"):
                setattr(cls, f"handle_{name.removeprefix('process_')}", _processing(name))


def _processing(name: str) -> Callable[[Any, Mapping[str, Any], str], tuple[Any, str]]:
    def handle(handler: Any, payload: Mapping[str, Any], event: str) -> tuple[Any, str]:
        return getattr(handler, name)(payload, event, None), "git"

    return handle


__all__ = ["GiteaOptions", "GiteaStyle", "NewestStyle", "ProcessMethods"]
