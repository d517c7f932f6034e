"""What is asked about an event that was found at the forge: all that a payload would have said of it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from msgspec.structs import replace

from change_hooks.core.events import PullRequest, RefUpdate, is_zeros
from change_hooks.forges.forge import MOST_COMMIT_FILES, Forge, Unsupported
from change_hooks.forges.rest import RestError

Found = TypeVar("Found")


async def completed(forge: Forge, event: RefUpdate | PullRequest) -> RefUpdate | PullRequest:
    """The event, with its commits and their files as far as the forge says them.

    :raises RestError: the forge cannot be asked now; an event without them would be stored for good.
    """
    if isinstance(event, PullRequest):
        found = await forge.enrich(event, complete=True)
        return found if isinstance(found, PullRequest) else event
    return await _update(forge, event)


async def _update(forge: Forge, update: RefUpdate) -> RefUpdate:
    commits = []
    try:
        if not is_zeros(update.before) and not update.is_tag:
            commits = await _there(forge.commits(update)) or []
        # The newest ones first: these are what is built when there are too many.
        for place in reversed(range(max(0, len(commits) - MOST_COMMIT_FILES), len(commits))):
            if commits[place].files is None:
                files = await _there(forge.commit_files(update.repository, commits[place].id))
                commits[place] = replace(commits[place], files=files)
        head = update.head
        if not commits and update.after is not None:
            head = await _there(forge.commit(update.repository, update.after))
            if head is not None and head.files is None:
                head = replace(head, files=await _there(forge.commit_files(update.repository, head.id)))
    except Unsupported:
        return replace(update, commits=commits)
    return replace(update, commits=commits, head=head)


async def _there(asked: Coroutine[Any, Any, Found]) -> Found | None:
    """What was asked for; None when the forge does not have it, and what is known must do."""
    try:
        return await asked
    except RestError as error:
        if error.status in (400, 404, 409, 422):
            return None
        raise


__all__ = ["completed"]
