"""The pages of a forge's log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from change_hooks.forges.rest import Page, RestError

#: What to do when a log that is read by time is too long, and what is wrong with one that cannot be read.
SHORTER = "; recover a shorter period (--since)"
UNREADABLE = "no log entry has an id and a time"

T = TypeVar("T")


async def log_pages(
    pages: AsyncIterator[Page],
    read: Callable[[list[Any]], list[T]],
    *,
    most: int,
    hint: str = "",
    unreadable: str,
) -> AsyncIterator[tuple[Page, list[T]]]:
    """Each page of a log, newest first, with those of its entries that can be read.

    :param read: the entries among the items of a page that can be read.
    :param most: how many pages are read.
    :param hint: what to do when there are more.
    :param unreadable: what an error says when there are entries, and none can be read.
    :raises RestError: not all of them could be read.
    """
    number, there, readable = 0, 0, 0
    async for page in pages:
        number += 1
        entries = read(page.items)
        there, readable = there + len(page.items), readable + len(entries)
        yield page, entries
        if number == most and page.more is not None:
            raise RestError(f"the log has more than {most} pages{hint}")
    if there and not readable:
        raise RestError(unreadable, 200)


__all__ = ["SHORTER", "UNREADABLE", "log_pages"]
