"""Requests to a forge's REST API; neither a payload nor a response can decide where they go.

Strategy: every address is built from the configured base and path segments that match a strict pattern.
Redirects are not followed. Of a link to the next page only the query is used, and only if the link names the
same server. So a token is sent to the configured server only. The forge's rate limits are obeyed: until a
limit is over, requests fail without being sent.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from change_hooks.core.payload import decode
from change_hooks.forges.limits import asked_to_wait, date_of
from change_hooks.forges.rest import (
    ANYTHING,
    Authorization,
    Got,
    Page,
    Pager,
    Query,
    RateLimited,
    RestError,
    Subject,
)
from change_hooks.forges.segments import segment
from change_hooks.http_answers import Answer, AnswerTooLarge, NoAnswer, ask

#: The largest response that is read, in bytes.
LARGEST_ANSWER = 16 * 1024 * 1024
#: How long a rate limit is obeyed at most, in seconds, whatever the forge says.
LONGEST_WAIT = 2 * 60 * 60.0
#: The pauses before the second and the third attempt, in seconds.
PAUSES = (1.0, 4.0)
#: The names under which a page may hold its items, if it is not itself a list.
LISTS = ("values", "value", "results", "changes", "changeEntries")
#: How many responses are kept for conditional requests.
REMEMBERED = 64

_LINK = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel\s*=\s*"?next"?', re.IGNORECASE)


class Rest:
    """One forge's API, with one token.

    :param base: ``https://api.github.com``.
    :param http: a treq ``HTTPClient``.
    :param clock: the reactor, or a clock in tests.
    :param authorization: provides the token; None: there is none.
    :param accept: the media type to ask for.
    :param time_limit: for each request, in seconds.
    :param attempts: how often a reading request is attempted, if there is no response or a server error.
    """

    def __init__(
        self,
        base: str,
        http: Any,
        clock: Any,
        *,
        authorization: Authorization | None = None,
        accept: str = "application/json",
        time_limit: float = 10.0,
        attempts: int = 1,
    ) -> None:
        self._base = base.rstrip("/")
        self._http = http
        self._clock = clock
        self._authorization = authorization
        self._accept = accept
        self._time_limit = time_limit
        self._attempts = attempts
        #: How far the forge's clock is ahead of ours, by its last response, in seconds; None: not known.
        self.ahead: float | None = None
        self._until: dict[tuple[tuple[str, str], ...], float] = {}
        self._remembered: OrderedDict[str, Got] = OrderedDict()

    @classmethod
    def like(cls, other: Rest, authorization: Authorization) -> Rest:
        """The same API with another token."""
        return cls(
            other._base,
            other._http,
            other._clock,
            authorization=authorization,
            accept=other._accept,
            time_limit=other._time_limit,
            attempts=other._attempts,
        )

    async def get(
        self, *path: str, query: Query | None = None, about: Subject = ANYTHING, conditional: bool = False
    ) -> Got:
        """GET *path*.

        :param conditional: ask only for changes since the last request; an unchanged response does not count
            against the forge's rate limit, and has ``fresh`` False.
        :raises RestError: the status is not 2xx, the body is not JSON, or there was no response in time.
        """
        for pause in PAUSES[: self._attempts - 1]:
            try:
                return await self._get(path, query or {}, about, conditional)
            except RestError as error:
                if not error.transient:
                    raise
            await deferLater(self._clock, pause, lambda: None)
        return await self._get(path, query or {}, about, conditional)

    async def _get(self, path: Sequence[str], query: Query, about: Subject, conditional: bool) -> Got:
        if not conditional:
            return await self._send("GET", path, query, about, {})
        name = f"{'/'.join(path)}?{sorted(query.items())}|{about}"
        known = self._remembered.get(name)
        tag = None if known is None else known.answer.header("etag")
        got = await self._send("GET", path, query, about, {} if tag is None else {"if-none-match": tag})
        if got.status == 304 and known is not None:
            return msgspec.structs.replace(known, fresh=False)
        self._remembered[name] = got
        self._remembered.move_to_end(name)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return got

    async def send(
        self, method: str, *path: str, json: Any = None, query: Query | None = None, about: Subject = ANYTHING
    ) -> Got:
        """Send a request that changes something; it is never retried.

        :param json: the body; None: no body.
        :raises RestError: the status is not 2xx, the body is not JSON, or there was no response in time.
        """
        more: dict[str, Any] = {}
        if json is not None:
            more = {"data": msgspec.json.encode(json)}
        return await self._send(method, path, query or {}, about, {}, **more)

    async def post(
        self, *path: str, json: Any = None, query: Query | None = None, about: Subject = ANYTHING
    ) -> Got:
        """See :meth:`send`."""
        return await self.send("POST", *path, json=json, query=query, about=about)

    async def put(
        self, *path: str, json: Any = None, query: Query | None = None, about: Subject = ANYTHING
    ) -> Got:
        """See :meth:`send`."""
        return await self.send("PUT", *path, json=json, query=query, about=about)

    async def patch(self, *path: str, json: Any = None, about: Subject = ANYTHING) -> Got:
        """See :meth:`send`."""
        return await self.send("PATCH", *path, json=json, about=about)

    async def delete(self, *path: str, about: Subject = ANYTHING) -> Got:
        """See :meth:`send`."""
        return await self.send("DELETE", *path, about=about)

    async def pages(
        self,
        *path: str,
        pager: Pager,
        query: Query | None = None,
        about: Subject = ANYTHING,
        conditional: bool = False,
    ) -> AsyncIterator[Page]:
        """The pages of a list, fetched one by one as they are iterated over.

        :param pager: finds the query of the next page.
        :param conditional: see :meth:`get`; applies to the first page.
        :raises RestError: see :meth:`get`; or a page is not a list.
        """
        now: Query | None = query or {}
        asked: list[Query] = []
        before: list[Any] = []
        while now is not None:
            asked.append(now)
            got = await self.get(*path, query=now, about=about, conditional=conditional)
            conditional = False
            items = listed(got.value)
            now = pager(got, items, now)
            if now in asked or (items and items == before):
                raise RestError("the forge returned the same page of a list twice", 200)
            before = items
            yield Page(items, now, got.fresh)

    async def all(
        self, *path: str, pager: Pager, most: int, query: Query | None = None, about: Subject = ANYTHING
    ) -> tuple[list[Any], bool]:
        """The items of a list.

        :param most: how many pages are read at most.
        :returns: the items, and whether these are all: the forge may have more than *most* pages.
        :raises RestError: see :meth:`pages`.
        """
        items: list[Any] = []
        read = 0
        async for page in self.pages(*path, pager=pager, query=query, about=about):
            items += page.items
            read += 1
            if page.more is not None and read == most:
                return items, False
        return items, True

    def link(self, got: Got) -> Query | None:
        """The query of the next page, according to the header ``Link``; None: there is no next page.

        :raises RestError: the link names another server.
        """
        found = _LINK.search(got.answer.header("link") or "")
        return None if found is None else self.query_of(found[1])

    def query_of(self, link: str) -> Query:
        """The query of a link that the forge returned.

        :raises RestError: the link names another server.
        """
        there, here = urlsplit(link), urlsplit(self._base)
        if there.netloc and (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise RestError(
                "the next page is not at the configured address, so it is not fetched (set the option for the"
                " API's address to the one that the forge itself uses)"
            )
        return dict(parse_qsl(there.query, keep_blank_values=True))

    # Every request goes through here.

    async def _send(
        self,
        method: str,
        path: Sequence[str],
        query: Query,
        about: Subject,
        headers: Mapping[str, str],
        **more: Any,
    ) -> Got:
        url = f"{self._base}/{'/'.join(map(segment, path))}"
        for last in (False, True):
            token = {} if self._authorization is None else await self._authorization.headers(about)
            answer = await self._ask(method, url, {**headers}, token, {"params": query, **more})
            again = answer.status == 401 and self._authorization is not None and not last
            if not again or not self._authorization.refused(about):  # type: ignore[union-attr]
                break
        return self._read(answer, bool(token))

    async def _ask(
        self, method: str, url: str, headers: dict[str, str], token: Mapping[str, str], more: Any
    ) -> Answer:
        who = tuple(sorted(token.items()))
        now: float = self._clock.seconds()
        until = self._until.get(who, 0.0)
        if until > now:
            raise RateLimited(until - now, sent=False)
        self._until.pop(who, None)
        headers = {"accept": self._accept, "user-agent": "change-hooks", **headers, **token}
        if "data" in more:
            headers["content-type"] = "application/json"
        try:
            answer = await ask(
                self._http,
                method,
                url,
                clock=self._clock,
                time_limit=self._time_limit,
                most=LARGEST_ANSWER,
                headers=headers,
                **more,
            )
        except CancelledError:
            raise
        except NoAnswer as error:
            raise RestError(f"the forge gave {error}") from None
        except AnswerTooLarge as error:
            raise RestError(str(error), 200) from None
        except Exception as error:
            if any(reason.check(CancelledError) for reason in getattr(error, "reasons", ())):
                raise CancelledError from error
            raise RestError(f"the forge cannot be reached ({type(error).__name__})") from error
        told = date_of(answer)
        self.ahead = None if told is None else told - self._clock.seconds()
        wait = asked_to_wait(answer, self._clock.seconds())
        if wait:
            self._until[who] = self._clock.seconds() + min(wait, LONGEST_WAIT)
            if answer.status in (403, 429):
                raise RateLimited(min(wait, LONGEST_WAIT), answer.status)
        return answer

    def _read(self, answer: Answer, with_token: bool) -> Got:
        status = answer.status
        if status == 304:
            return Got(status, None, answer, fresh=False)
        if not 200 <= status < 300:
            raise RestError(_why(status, with_token), status)
        body = answer.body
        if body.startswith(b")]}'"):
            body = body.partition(b"\n")[2]
        if not body.strip():
            return Got(status, None, answer)
        try:
            return Got(status, decode(body, Any), answer)
        except ValueError as error:
            raise RestError("the response is not valid JSON", status) from error


def listed(value: Any) -> list[Any]:
    """The items of a page: a list, or the list under one of :data:`LISTS`.

    :raises RestError: *value* is neither.
    """
    if isinstance(value, Mapping):
        value = next((value[name] for name in LISTS if name in value), None)
    if not isinstance(value, list):
        raise RestError("the response is not a list", 200)
    return value


def _why(status: int, with_token: bool) -> str:
    if status == 401:
        if with_token:
            return "the forge does not accept the token (401): it is wrong or has expired (option 'token')"
        return "the forge requires a token (401); set the option 'token'"
    if status == 403:
        return "the token lacks this permission (403); grant it, or use another token (option 'token')"
    if status == 404:
        return "the forge does not know this (404), or the token has no access to it (option 'token')"
    if 300 <= status < 400:
        return (
            f"the forge redirects ({status}), which is not followed; correct the option for the API's address"
        )
    return f"the forge responded with {status}"


__all__ = ["Rest", "listed"]
