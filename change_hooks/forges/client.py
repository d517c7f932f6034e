"""Requests to a forge's REST API, made so that nothing a sender wrote decides where they go.

Every address is the configured base and path segments that match a strict pattern. Redirections are not
followed, and addresses found in answers are not used, so a token goes to the configured server alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger

from change_hooks.core.payload import decode
from change_hooks.http_answers import LARGEST_ANSWER, AnswerTooLarge, NoAnswer, ask

log = Logger()

_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,200}")


class RestError(Exception):
    """The forge did not give what was asked for; the message says why."""


class RestApi:
    """One forge's API.

    :param base: ``https://api.github.com``.
    :param http: a treq ``HTTPClient``.
    :param clock: the reactor, or a clock in tests.
    :param timeout: for each request, in seconds.
    """

    def __init__(self, base: str, http: Any, clock: Any, timeout: float) -> None:
        self._base = base.rstrip("/")
        self._http = http
        self._clock = clock
        self._timeout = timeout

    def get(self, path: str, headers: Mapping[str, str], **query: str) -> Deferred[Any]:
        """GET *path* and decode the JSON of its answer.

        :param path: segments of letters, digits, ``_``, ``.`` and ``-``, separated by slashes.
        :raises RestError: (fails with) another status than 200, no JSON, no answer in time.
        """
        if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
            raise RestError("a part of the address is no plain name")
        return self._get(path, dict(headers), query)

    @inlineCallbacks
    def _get(self, path: str, headers: dict[str, str], query: dict[str, str]) -> Any:
        try:
            answer = yield ask(
                self._http,
                "GET",
                f"{self._base}/{path}",
                clock=self._clock,
                time_limit=self._timeout,
                most=LARGEST_ANSWER,
                headers=headers,
                params=query,
            )
        except (AnswerTooLarge, NoAnswer) as error:
            raise RestError(str(error)) from error
        except Exception as error:
            raise RestError(f"{type(error).__name__}") from error
        if answer.status != 200:
            raise RestError(f"status {answer.status}")
        try:
            return decode(answer.body, Any)
        except ValueError as error:
            raise RestError("the answer is no JSON") from error

    @inlineCallbacks
    def pages(self, path: str, headers: Mapping[str, str], *, size: int, most: int) -> Any:
        """All items of a list that comes in pages.

        :param size: of a page.
        :param most: pages.
        :raises RestError: (fails with) see :meth:`get`; or a page is no list.
        """
        items: list[Any] = []
        for page in range(1, most + 1):
            found = yield self.get(path, headers, per_page=str(size), page=str(page))
            if not isinstance(found, list):
                raise RestError("the answer is no list")
            items += found
            if len(found) < size:
                break
        return items


__all__ = ["RestApi", "RestError"]
