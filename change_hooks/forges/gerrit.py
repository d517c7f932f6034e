"""Gerrit's REST API.

Source: Gerrit, "REST API"; "/projects/ REST API".
"""

from __future__ import annotations

from change_hooks.forges.forge import Forge
from change_hooks.forges.tokens import basic


class Gerrit(Forge):
    """The API of Gerrit. The token is ``user:password``, with the HTTP password that Gerrit generated."""

    name = "gerrit"
    api_path = "/a"
    scheme = staticmethod(basic)


__all__ = ["Gerrit"]
