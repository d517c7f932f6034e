"""Bitbucket, Bitbucket Cloud and Bitbucket Server, for subclasses of Buildbot's classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import TypeVar

from change_hooks.core.options import ForgeOptions
from change_hooks.dialects import bitbucket as old
from change_hooks.dialects import bitbucketcloud as cloud
from change_hooks.dialects import bitbucketserver as server
from change_hooks.upstream.common import Upstream

Forge = TypeVar("Forge", bound=ForgeOptions, default=ForgeOptions)

#: The categories of pull requests, by event.
EVENTS = {
    "pull-created": "pullrequest:created",
    "pull-updated": "pullrequest:updated",
    "pull-fulfilled": "pullrequest:fulfilled",
    "pull-rejected": "pullrequest:rejected",
}


class _Bitbucket(Upstream[Forge]):
    """The common base: results are returned at once, and all pull request events share one method."""

    property_basename = "bitbucket"
    at_once: ClassVar[bool] = True

    def __init__(self, master: Any, options: Any = None) -> None:
        super().__init__(master, options)
        self._codebase = self.options.get("codebase")
        self.external_property_whitelist = self.options.get("bitbucket_property_whitelist") or []

    def attributes(self) -> Mapping[str, Any]:
        """See :meth:`Upstream.attributes`."""
        return {
            "codebase": self._codebase,
            "bitbucket_property_whitelist": self.external_property_whitelist or None,
        }

    def _src(self, payload: Mapping[str, Any]) -> str:
        """The version control system that the payload names."""
        repository = payload.get("repository")
        named = repository if isinstance(repository, Mapping) else {}
        return str(named.get("scm") or named.get("scmId") or "git")

    def _pushed(self, payload: Mapping[str, Any], event: str) -> Any:
        update = getattr(self._dialect, f"handle_{event.replace(':', '_')}")(self, payload, event)
        return self.decided(update, payload, event), self._src(payload)

    #: The dialect's own class.
    _dialect: ClassVar[Any]

    def handle_repo_push(self, payload: Any) -> Any:
        """Branches and tags were created, moved or deleted."""
        return self._pushed(payload, "repo:push")

    def handle_pullrequest_created(self, payload: Any) -> Any:
        """Something happened to a pull request. Calls :meth:`handle_pullrequest`."""
        return self._named(payload, "pullrequest:created")

    def handle_pullrequest_updated(self, payload: Any) -> Any:
        """See :meth:`handle_pullrequest_created`."""
        return self._named(payload, "pullrequest:updated")

    def handle_pullrequest_fulfilled(self, payload: Any) -> Any:
        """See :meth:`handle_pullrequest_created`."""
        return self._named(payload, "pullrequest:fulfilled")

    def handle_pullrequest_rejected(self, payload: Any) -> Any:
        """See :meth:`handle_pullrequest_created`."""
        return self._named(payload, "pullrequest:rejected")

    def _named(self, payload: Mapping[str, Any], event: str) -> Any:
        found = self._pull(payload, event)
        if not found:
            return found, self._src(payload)
        return self.handle_pullrequest(payload, found[0]["branch"], found[0]["category"])

    def handle_pullrequest(self, payload: Any, refname: str, category: str) -> Any:
        """The change of a pull request.

        :param refname: its branch.
        :param category: its category.
        """
        changes = self._pull(payload, EVENTS.get(category, "pullrequest:updated"))
        for change in changes:
            change["branch"], change["category"] = refname, category
        return changes, self._src(payload)

    def _pull(self, payload: Mapping[str, Any], event: str) -> list[dict[str, Any]]:
        found = self._dialect.handle_pullrequest_created(self, payload, event)
        listed = self.extractProperties(self.property_source(event, payload))
        return self.decided(found, payload, event, listed=listed)


class BitbucketCloudEventHandler(_Bitbucket[old.BitBucketOptions], cloud.BitbucketCloudEventHandler):
    """Accepts ``repo:push`` and pull request events."""

    _dialect = cloud.BitbucketCloudEventHandler


class BitbucketServerEventHandler(
    _Bitbucket[server.BitbucketServerOptions], server.BitbucketServerEventHandler
):
    """Accepts ``repo:refs_changed`` and pull request events, also with the names of newer servers."""

    _dialect = server.BitbucketServerEventHandler

    def handle_repo_refs_changed(self, payload: Any) -> Any:
        """Branches and tags were created, moved or deleted."""
        return self._handle_repo_refs_changed_common(payload)

    def handle_repo_push(self, payload: Any) -> Any:
        """See :meth:`handle_repo_refs_changed`."""
        return self._handle_repo_refs_changed_common(payload)

    def _handle_repo_refs_changed_common(self, payload: Any) -> Any:
        return self._pushed(payload, "repo:refs_changed")


class BitBucketHandler(Upstream[old.BitBucketOptions], old.BitBucketHandler):
    """Accepts a push from the old service."""

    property_basename = "bitbucket"

    def __init__(self, master: Any, options: Any = None) -> None:
        super().__init__(master, options)
        self.external_property_whitelist = self.settings.bitbucket_property_whitelist

    def handle_push(self, payload: Any, event: str = "push") -> Any:
        """Commits on any number of branches."""
        updates = old.BitBucketHandler.handle_push(self, payload)
        changes = self.decided(updates, payload, event, listed=self.extractProperties(payload))
        repository = payload.get("repository")
        scm = repository.get("scm") if isinstance(repository, Mapping) else None
        return changes, scm or "git"


__all__ = ["BitBucketHandler", "BitbucketCloudEventHandler", "BitbucketServerEventHandler"]
