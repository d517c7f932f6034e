"""A forge's API as handlers see it.

Strategy: a path is given as segments, and each segment is checked, so that nothing in a payload can redirect
a request. See :mod:`change_hooks.forges.segments`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from change_hooks.forges.client import Rest
from change_hooks.forges.rest import ANYTHING, Got, Query, Subject

#: How many pages :meth:`Api.all` reads at most, by default.
PAGES = 30


class Api:
    """Sends requests to a forge's API, with the endpoint's token.

    :param rest: sends the requests.
    :param path: the prefix of every path.
    :param about: the subject that the token must be valid for.
    :param repository_path: returns the path of a repository, given its full name.

    A request that fails raises :class:`~change_hooks.forges.rest.RestError`, whose ``status`` is that of the
    response, or 0 if there was none.
    """

    def __init__(
        self,
        rest: Rest,
        repository_path: Callable[[str], Sequence[str]],
        *,
        path: Sequence[str] = (),
        about: Subject = ANYTHING,
    ) -> None:
        self._rest = rest
        self._repository_path = repository_path
        self._path = tuple(path)
        self._about = about

    def repository(self, full_name: str, installation: str | int | None = None) -> Api:
        """The API of one repository: paths start there, and its token is used.

        :param full_name: ``owner/name``.
        :param installation: the App installation that provides the token, if known.
        """
        about = Subject(full_name, None if installation is None else str(installation))
        path = self._repository_path(full_name)
        return Api(self._rest, self._repository_path, path=path, about=about)

    async def get(self, *path: str | int, **query: str | int) -> Any:
        """GET *path*.

        :returns: the decoded response: plain objects.
        """
        got = await self._rest.get(*self._full(path), query=_query(query), about=self._about)
        return got.value

    async def all(self, *path: str | int, most: int = PAGES, **query: str | int) -> list[Any]:
        """The items of a list, from all of its pages.

        :param most: how many pages are read at most.
        """
        items, _ = await self._rest.all(
            *self._full(path), pager=self._linked, most=most, query=_query(query), about=self._about
        )
        return items

    def _linked(self, got: Got, items: list[Any], query: Query) -> Query | None:
        return self._rest.link(got)

    async def post(self, *path: str | int, json: Any = None) -> Any:
        """POST to *path*.

        :param json: the body; None: no body.
        """
        return await self._send("POST", path, json)

    async def put(self, *path: str | int, json: Any = None) -> Any:
        """PUT *path*."""
        return await self._send("PUT", path, json)

    async def patch(self, *path: str | int, json: Any = None) -> Any:
        """PATCH *path*."""
        return await self._send("PATCH", path, json)

    async def delete(self, *path: str | int) -> Any:
        """DELETE *path*."""
        return await self._send("DELETE", path, None)

    async def _send(self, method: str, path: Sequence[str | int], json: Any) -> Any:
        return (await self._rest.send(method, *self._full(path), json=json, about=self._about)).value

    def _full(self, path: Sequence[str | int]) -> tuple[str, ...]:
        return (*self._path, *map(str, path))


def _query(query: dict[str, str | int]) -> Query:
    return {name: str(value) for name, value in query.items()}


__all__ = ["PAGES", "Api"]
