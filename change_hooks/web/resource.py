"""The resource mounted at ``change_hook``, with a child for each endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from change_hooks.web.answers import NOT_FOUND, Refusal
from change_hooks.web.tracing import Tracer, name_in, no_trace


class ChangeHookResource(Resource):
    """The resource mounted at ``change_hook``, with a child for each dialect; its own URL means ``base``.

    :param endpoints: the resources of the dialects, by name: an :class:`~change_hooks.web.endpoint.Endpoint`,
        or one wrapped in a resource that asks for a password.
    :param tracer: keeps a trace of each request to a wrong URL.
    """

    def __init__(self, endpoints: Mapping[str, IResource], tracer: Tracer = no_trace) -> None:
        super().__init__()
        self._tracer = tracer
        self._endpoints = {name.encode(): endpoint for name, endpoint in endpoints.items()}

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        """The endpoint whose name is exactly *path*."""
        if path == b"":
            if request.postpath:
                return self  # A double slash counts as one.
            path = b"base"
        return self._endpoints.get(path) or self._refusal(name_in(path))

    def _refusal(self, name: str) -> IResource:
        return Refusal(NOT_FOUND, self._tracer, name)

    def render(self, request: IRequest) -> Any:
        """The URL without a dialect means ``base``."""
        return (self._endpoints.get(b"base") or self._refusal("")).render(request)


__all__ = ["ChangeHookResource"]
