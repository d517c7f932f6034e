"""Gitorious, for subclasses of Buildbot's ``GitoriousHandler``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from change_hooks.core.events import RefUpdate
from change_hooks.dialects import gitorious as dialect
from change_hooks.upstream.common import Upstream


class GitoriousHandler(Upstream[dialect.GitoriousOptions], dialect.GitoriousHandler):
    """Accepts a push."""

    property_basename = "gitorious"

    def __init__(self, master: Any, options: Any = None) -> None:
        super().__init__(master, options)
        self.external_property_whitelist = self.settings.gitorious_property_whitelist

    def handle_push(self, payload: Any, event: str = "push") -> Any:
        """A branch was created, moved or deleted. Calls :meth:`process_change`."""
        user, repo, url, project = self._place(payload)
        return self.process_change(payload, user, repo, url, project), "git"

    def _place(self, payload: Mapping[str, Any]) -> tuple[str, str, str, str]:
        update = dialect.GitoriousHandler.handle_push(self, payload)
        if not isinstance(update, RefUpdate):
            return "", "", "", ""
        repository, owner = update.repository, payload["repository"].get("owner") or {}
        return (
            owner.get("name") or "",
            repository.name or "",
            repository.urls.get("https") or "",
            repository.project or "",
        )

    def process_change(
        self, payload: Mapping[str, Any], user: str, repo: str, repo_url: str, project: str
    ) -> list[dict[str, Any]]:
        """The changes of a push.

        :param repo_url, project: for the changes, instead of the payload's.
        """
        update = dialect.GitoriousHandler.handle_push(self, payload)
        changes = self.decided(update, payload, "push", listed=self.extractProperties(payload))
        _, _, url, name = self._place(payload)
        for change in changes:
            if repo_url != url:
                change["repository"] = repo_url
            if project != name:
                change["project"] = project
        return changes


__all__ = ["GitoriousHandler"]
