"""What is mounted at ``change_hook``: a child for each endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from change_hooks.web.answers import NOT_FOUND, Refusal


class ChangeHookResource(Resource):
    """What is mounted at ``change_hook``: a child for each dialect; the address itself is ``base``.

    :param endpoints: the resources of the dialects, by name: an :class:`~change_hooks.web.endpoint.Endpoint`,
        or one wrapped in what asks for a password.
    """

    def __init__(self, endpoints: Mapping[str, IResource]) -> None:
        super().__init__()
        self._endpoints = {name.encode(): endpoint for name, endpoint in endpoints.items()}

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        """The endpoint whose name is exactly *path*."""
        if path == b"" and not request.postpath:
            path = b"base"
        return self._endpoints.get(path) or Refusal(NOT_FOUND)

    def render(self, request: IRequest) -> Any:
        """The address without a dialect means ``base``."""
        return (self._endpoints.get(b"base") or Refusal(NOT_FOUND)).render(request)


__all__ = ["ChangeHookResource"]
