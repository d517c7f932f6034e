"""The pages of a forge's log, whatever the forge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from change_hooks.forges.log_pages import log_pages
from change_hooks.forges.rest import Page, RestError
from tests.conftest import all_of


async def served(pages: Sequence[list[Any]]) -> AsyncIterator[Page]:
    for number, items in enumerate(pages, 1):
        yield Page(items, None if number == len(pages) else {"page": str(number + 1)})


def read(*pages: list[Any], most: int = 3) -> list[list[int]]:
    """The entries of pages, of which the numbers can be read."""
    found = log_pages(
        served(pages),
        lambda items: [item for item in items if isinstance(item, int)],
        most=most,
        hint="; ask for less",
        unreadable="no entry is a number",
    )
    return [entries for _, entries in all_of(found)]


def test_what_can_be_read_comes_page_by_page() -> None:
    assert read([1, "x", 2], ["x"], [3]) == [[1, 2], [], [3]]
    assert read([]) == [[]]


def test_that_nothing_can_be_read_is_an_error() -> None:
    with pytest.raises(RestError, match="no entry is a number"):
        read(["x"], [])


def test_that_there_are_more_pages_than_are_read_is_an_error() -> None:
    assert len(read([1], [2], [3])) == 3
    with pytest.raises(RestError, match="more than 2 pages; ask for less"):
        read([1], [2], [3], most=2)
