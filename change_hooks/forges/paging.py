"""How the forges paginate lists.

A pager gets a response, its items and the query that led to it, and returns the query of the next page, or
None after the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from change_hooks.forges.client import Rest
from change_hooks.forges.rest import Got, Pager, Query, RestError


def by_number(size: int) -> Pager:
    """Pages by the query ``page``; a page with fewer than *size* items is the last."""

    def following(_: Got, items: list[Any], query: Query) -> Query | None:
        return None if len(items) < size else _next_number(query)

    return following


def until_empty(_: Got, items: list[Any], query: Query) -> Query | None:
    """Pages by the query ``page``; the list ends with an empty page, because the forge (Gitea) may return
    fewer items than it was asked for.
    """
    return _next_number(query) if items else None


def by_link(rest: Rest) -> Pager:
    """Pages by the header ``Link``."""
    return lambda got, items, query: rest.link(got)


def by_next(rest: Rest) -> Pager:
    """Pages by the address in ``next`` (Bitbucket Cloud)."""

    def following(got: Got, _items: list[Any], _query: Query) -> Query | None:
        link = got.value.get("next") if isinstance(got.value, Mapping) else None
        return rest.query_of(link) if isinstance(link, str) else None

    return following


def by_start(got: Got, _: list[Any], query: Query) -> Query | None:
    """Pages by the query ``start`` (Bitbucket Data Center).

    :raises RestError: the response does not say whether it is the last page.
    """
    value = got.value if isinstance(got.value, Mapping) else {}
    if value.get("isLastPage") is True:
        return None
    start = value.get("nextPageStart")
    if type(start) is not int:
        raise RestError("the response does not say whether there is another page", 200)
    return {**query, "start": str(start)}


def by_skip(size: int) -> Pager:
    """Pages by the query ``skip`` (Azure DevOps)."""

    def following(_: Got, items: list[Any], query: Query) -> Query | None:
        return None if len(items) < size else {**query, "skip": str(int(query.get("skip", "0")) + size)}

    return following


def by_next_skip(got: Got, _: list[Any], query: Query) -> Query | None:
    """Pages by ``nextSkip``, the next ``$skip`` (Azure DevOps, the files of pull requests)."""
    skip = got.value.get("nextSkip") if isinstance(got.value, Mapping) else None
    return {**query, "$skip": str(skip)} if type(skip) is int and skip > 0 else None


def _next_number(query: Query) -> Query:
    return {**query, "page": str(int(query.get("page", "1")) + 1)}


__all__ = ["by_link", "by_next", "by_next_skip", "by_number", "by_skip", "by_start", "until_empty"]
