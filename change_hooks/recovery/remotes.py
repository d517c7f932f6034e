"""The heads of branches and tags, as Git lists them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from change_hooks.core.address import parse_address, without_password
from change_hooks.core.events import Repository
from change_hooks.forges.forge import Forge
from change_hooks.forges.rest import RestError, Subject, Unsupported
from change_hooks.vcs.git import Remote
from change_hooks.vcs.tools import Interruption, ToolError, text

T = TypeVar("T")


def in_thread(function: Callable[[], T]) -> Deferred[T]:
    """Call *function* in a thread; cancelling the result ends the program that it runs."""
    interruption = Interruption()
    outer: Deferred[T] = Deferred(lambda _: interruption.interrupt())

    def covered() -> T:
        with interruption.covers_this_thread():
            return function()

    def over(result: T | Failure) -> None:
        if not outer.called:
            outer.callback(result)

    deferToThread(covered).addBoth(over)
    return outer


async def refs_of(url: str) -> dict[str, str]:
    """The branches and tags of a repository, and the objects that they point to.

    :param url: with a user and password, if the repository needs them.
    :raises RestError: the repository cannot be read.
    """
    try:
        found = await in_thread(Remote(url).refs)
    except ToolError as error:
        raise RestError(f"the repository cannot be read: {error}") from None
    return {text(name): tip for name, tip in found.items()}


class Named:
    """A repository that the forge knows by its full name."""

    def __init__(self, forge: Forge, full_name: str) -> None:
        self._forge = forge
        self._full_name = full_name
        self._known: Repository | None = None

    async def repository(self) -> Repository:
        """The repository, as payloads describe it.

        :raises RestError: the forge did not return it.
        """
        if self._known is None:
            try:
                self._known = await self._forge.repository(self._full_name)
            except Unsupported:
                self._known = addressed(self._forge.git_url(self._full_name))
        return self._known

    async def refs(self) -> dict[str, str]:
        """See :func:`refs_of`. The address, and so the token, belongs to the configured server."""
        url = self._forge.git_url(self._full_name)
        password = await _password(self._forge, self._full_name)
        if password:
            user, _, word = password.rpartition(":")
            login = f"{quote(user or self._forge.git_user, safe='')}:{quote(word, safe='')}"
            url = url.replace("://", f"://{login}@", 1)
        return await refs_of(url)


class Addressed:
    """A repository that is known only by its address."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def repository(self) -> Repository:
        """See :meth:`Named.repository`."""
        return addressed(without_password(self._url))

    async def refs(self) -> dict[str, str]:
        """See :func:`refs_of`."""
        return await refs_of(self._url)


def addressed(address: str) -> Repository:
    """The repository at an address, of which nothing else is known."""
    path = parse_address(address).path.strip("/").removesuffix(".git")
    return Repository(full_name=path, name=path.rpartition("/")[2], urls={"usual": address})


async def _password(forge: Forge, full_name: str) -> str:
    """The token that would authorize an API request, as ``user:token`` if it has a user."""
    if forge.authorization is None or urlsplit(forge.base).scheme not in ("http", "https"):
        return ""
    headers: Any = await forge.authorization.headers(Subject(full_name))
    value = next(iter(headers.values()), "")
    kind, _, word = value.rpartition(" ")
    return b64decode(word).decode("utf-8", "replace") if kind == "Basic" else word


__all__ = ["Addressed", "Named", "addressed", "in_thread", "refs_of"]
