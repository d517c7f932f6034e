"""How much the server takes at once, unless its configuration says otherwise."""

from __future__ import annotations

#: The largest body, in bytes: GitHub's limit for a payload.
DEFAULT_MAX_BODY = 25 * 1024 * 1024
#: How many connections may be open at once.
CONNECTIONS = 512

__all__ = ["CONNECTIONS", "DEFAULT_MAX_BODY"]
