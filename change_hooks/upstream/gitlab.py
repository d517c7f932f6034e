"""GitLab, for subclasses of Buildbot's ``GitLabHandler``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from change_hooks.core.events import Event, RefUpdate
from change_hooks.dialects import gitlab as dialect
from change_hooks.upstream.common import Listed, Upstream, argument


class GitLabHandler(Upstream[dialect.GitLabOptions], dialect.GitLabHandler):
    """Accepts pushes, merge requests and notes on these."""

    def __init__(self, master: Any, options: Any = None) -> None:
        super().__init__(master, options)

    def handle_push(self, payload: Any, event: str = "push") -> Any:
        """A branch or tag was created, moved or deleted. Calls :meth:`_process_change`."""
        update = dialect.GitLabHandler.handle_push(self, payload, event)
        name, url = _place(update)
        user = payload.get("user_name")
        codebase = argument("codebase")
        return self._process_change(payload, user, name, url, event, codebase=codebase), "git"

    handle_tag_push = handle_push

    def handle_merge_request(self, payload: Any, event: str = "merge_request") -> Any:
        """A merge request event. Calls :meth:`_process_merge_request_change`."""
        codebase = argument("codebase")
        return self._process_merge_request_change(payload, event, codebase=codebase), "git"

    def handle_note(self, payload: Any, event: str = "note") -> Any:
        """Somebody wrote a comment. Calls :meth:`_process_note_addition_to_merge_request`."""
        codebase = argument("codebase")
        return self._process_note_addition_to_merge_request(payload, event, codebase=codebase), "git"

    def _process_change(
        self,
        payload: Mapping[str, Any],
        user: str | None,
        repo: str,
        repo_url: str,
        event: str,
        codebase: str | None = None,
    ) -> list[dict[str, Any]]:
        """The changes of a push.

        :param repo_url: for the changes, instead of the payload's.
        """
        update = dialect.GitLabHandler.handle_push(self, payload, event)
        changes = self._decided(update, payload, event, codebase)
        _, url = _place(update)
        for change in changes:
            if repo_url != url:
                change["repository"] = repo_url
        return changes

    def _process_merge_request_change(
        self, payload: Mapping[str, Any], event: str, codebase: str | None = None
    ) -> list[dict[str, Any]]:
        """The change of a merge request."""
        found = dialect.GitLabHandler.handle_merge_request(self, payload, event)
        return self._decided(found, payload, event, codebase)

    def _process_note_addition_to_merge_request(
        self, payload: Mapping[str, Any], event: str, codebase: str | None = None
    ) -> list[dict[str, Any]]:
        """The change of a note on a merge request."""
        found = dialect.GitLabHandler.handle_note(self, payload, event)
        return self._decided(found, payload, event, codebase)

    def _decided(
        self, events: Event | Sequence[Event], payload: Mapping[str, Any], event: str, codebase: str | None
    ) -> Listed:
        listed = self.extractProperties(self.property_source(event, payload))
        changes = self.decided(events, payload, event, listed=listed)
        for change in changes:
            if codebase is not None:
                change["codebase"] = codebase
        return changes

    property_basename = "gitlab"

    @property
    def external_property_whitelist(self) -> Sequence[str]:
        """The dialect's option."""
        return self.settings.gitlab_property_whitelist


def _place(event: object) -> tuple[str, str]:
    """The repository's name and address of a push."""
    if not isinstance(event, RefUpdate):
        return "", ""
    return event.repository.name or "", event.repository.urls.get("usual") or ""


__all__ = ["GitLabHandler"]
