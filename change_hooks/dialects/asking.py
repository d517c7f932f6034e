"""Options that query the forge's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from change_hooks.plugins import FORGE_GROUPS, installed


def without_effect(forge: str, options: Mapping[str, Any]) -> list[str]:
    """Warnings about options that query the forge's API but cannot work, with what to do."""
    asking = [name for name in ("complete", "commands") if options.get(name)]
    if not asking:
        return []
    try:
        client: Any = installed(FORGE_GROUPS).load(forge)
    except KeyError:
        client = None
    supports = () if client is None else getattr(client, "supports", asking)
    doubts = [
        f"{name!r} has no effect: the API of {forge!r} is not used for it; leave it out"
        for name in asking
        if name not in supports
    ]
    asking = [name for name in asking if name in supports]
    address = getattr(client, "api_option", "api")
    if getattr(client, "api", "") is None and not options.get(address):
        doubts += [
            f"{name!r} has no effect without {address!r}, the address of the server" for name in asking
        ]
    elif "commands" in asking and not options.get("token"):
        doubts.append(
            "'commands' has no effect without a 'token': the permissions of a comment's author cannot be"
            " looked up"
        )
    return doubts


__all__ = ["without_effect"]
