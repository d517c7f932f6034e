"""Requests to a forge's REST API: their subject, their results and their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from change_hooks.http_answers import Answer

Query = Mapping[str, str]


class RestError(Exception):
    """A request to the forge failed.

    :param message: why, and what to do; contains nothing that a sender sent.
    :param status: that of the response; 0: there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed soon."""
        return self.status in (0, 408) or self.status >= 500


class Unsupported(Exception):
    """This forge's API does not support the request."""


class RateLimited(RestError):
    """The forge's rate limit is reached.

    :param wait: how long to wait, in seconds.
    :param sent: False: the limit was known before, so this request was not sent.
    """

    def __init__(self, wait: float, status: int = 429, *, sent: bool = True) -> None:
        super().__init__(f"the forge's rate limit is reached; asking again in {wait:.0f} s", status)
        self.wait = wait
        self.sent = sent


class Subject(msgspec.Struct, frozen=True):
    """What a request is about, for tokens that depend on it.

    :param repository: the repository's full name.
    :param installation: the App installation that provides the token.
    :param organization: the organization, if the request is about one.
    """

    repository: str = ""
    installation: str | None = None
    organization: str = ""


ANYTHING = Subject()


class Authorization(Protocol):
    """Provides the headers that authorize requests."""

    async def headers(self, subject: Subject) -> Mapping[str, str]:
        """The headers for a request about *subject*; empty: there is no token."""

    def refused(self, subject: Subject) -> bool:
        """Called when the forge rejected the token. True: retry with a new one."""


class Got(msgspec.Struct, frozen=True):
    """A decoded response.

    :param value: plain objects; None for an empty body.
    :param fresh: False: the forge says that it is unchanged since the last request.
    """

    status: int
    value: Any
    answer: Answer
    fresh: bool = True


class Page(msgspec.Struct, frozen=True):
    """A page of a list.

    :param more: the query of the next page; None: this is the last.
    """

    items: list[Any]
    more: Query | None
    fresh: bool = True


Pager = Callable[[Got, list[Any], Query], "Query | None"]

__all__ = [
    "ANYTHING",
    "Authorization",
    "Got",
    "Page",
    "Pager",
    "Query",
    "RateLimited",
    "RestError",
    "Subject",
    "Unsupported",
]
