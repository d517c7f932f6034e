"""The dialect ``base``, and custom handlers, for subclasses of Buildbot's ``BaseHookHandler``."""

from __future__ import annotations

from typing import Any, ClassVar

from change_hooks.dialects import base as dialect
from change_hooks.flow import Steps, followed
from change_hooks.upstream.common import Listed, as_delivery


class BaseHookHandler(dialect.BaseHookHandler):
    """Accepts a change described field by field in the request. Subclasses may have options of their own."""

    as_upstream: ClassVar[bool] = True

    def __init__(self, master: Any, options: Any = None) -> None:
        super().__init__(master, options)

    def getChanges(self, request: Any) -> Any:
        """A Deferred of ``(changes, None)``, with one change as a dict."""
        return followed(self._listed(request))

    def _listed(self, request: Any) -> Steps[tuple[Listed, None]]:
        found, _ = yield from self._way(as_delivery(request))
        changes = [change.as_dict() for change in found]
        for change in changes:
            del change["src"]
        return Listed(changes, found.reason), None


__all__ = ["BaseHookHandler"]
