"""What a request to a forge's REST API is about, what comes of it, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from change_hooks.http_answers import Answer

Query = Mapping[str, str]


class RestError(Exception):
    """The forge did not give what was asked for.

    :param message: why, and what to do; holds nothing that was sent.
    :param status: the answer's; 0: there was none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def transient(self) -> bool:
        """The same request may succeed soon."""
        return self.status in (0, 408) or self.status >= 500


class Unsupported(Exception):
    """This forge's API has no such thing."""


class RateLimited(RestError):
    """The forge wants no more requests for a while.

    :param wait: in seconds.
    :param sent: False: it said so before, and so this request was not sent.
    """

    def __init__(self, wait: float, status: int = 429, *, sent: bool = True) -> None:
        super().__init__(f"the forge's rate limit is reached; asking again in {wait:.0f} s", status)
        self.wait = wait
        self.sent = sent


class Subject(msgspec.Struct, frozen=True):
    """What a request is about, for tokens that depend on it.

    :param repository: its full name.
    :param installation: by which an App of the forge gets its tokens.
    :param organization: when it is about an organization.
    """

    repository: str = ""
    installation: str | None = None
    organization: str = ""


ANYTHING = Subject()


class Authorization(Protocol):
    """Gives the headers by which requests are authorized."""

    async def headers(self, subject: Subject) -> Mapping[str, str]:
        """For a request about *subject*; empty: without a token."""

    def refused(self, subject: Subject) -> bool:
        """The forge did not take the token. True: it is worth another attempt, with a new one."""


class Got(msgspec.Struct, frozen=True):
    """An answer, decoded.

    :param value: plain objects; None for an empty body.
    :param fresh: False: the forge says that it is the same as the time before.
    """

    status: int
    value: Any
    answer: Answer
    fresh: bool = True


class Page(msgspec.Struct, frozen=True):
    """A page of a list.

    :param more: the query of the next one; None: this is the last.
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
