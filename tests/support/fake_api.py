"""A forge's REST API, as a resource: in memory with StubTreq, or over a socket."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    json: Any = None


@dataclass
class Say:
    """An answer."""

    value: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass
class Fault:
    """What goes wrong with some requests.

    :param path: a regular expression; those whose path ends in it.
    :param say: what is answered; None: the truth, after :meth:`FakeApi.grow`.
    :param after: how many of them go right first.
    :param times: how many of them do not.
    """

    path: str
    say: Say | None = None
    after: int = 0
    times: int = 1


NOT_FOUND = Say({"message": "Not Found"}, 404)
HANG = Say(status=0)
Route = Callable[..., Any]


class FakeApi(Resource):
    """The base of the fakes.

    :param token: what ``Authorization`` must hold (or ``PRIVATE-TOKEN``); None: anything goes.
    """

    isLeaf = True
    #: The header with the token.
    token_header = "authorization"

    def __init__(self, token: str | None = None) -> None:
        super().__init__()
        self.token = token
        self.asked: list[Asked] = []
        #: How long each answer takes, in seconds of the reactor's clock.
        self.pause = 0.0
        #: Answers that are given instead of the true ones, in order; None: the true one.
        self.instead: list[Say | None] = []
        self.faults: list[Fault] = []
        self.routes: list[tuple[str, re.Pattern[str], Route]] = []

    def route(self, method: str, path: str, answer: Route) -> None:
        """*path* is a regular expression; its groups are given to *answer* behind the request."""
        self.routes.append((method, re.compile(path), answer))

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def render(self, request: Any) -> Any:
        raw = request.content.read()
        path = request.uri.decode().partition("?")[0]
        query = {key.decode(): values[-1].decode() for key, values in request.args.items()}
        headers = {
            key.decode().lower(): values[-1].decode()
            for key, values in request.requestHeaders.getAllRawHeaders()
        }
        asked = Asked(request.method.decode(), path, query, headers, json.loads(raw) if raw else None)
        self.asked.append(asked)
        said = (
            (self.instead.pop(0) if self.instead else None) or self._fault(asked) or self.true_answer(asked)
        )
        if said.status == 0:
            return NOT_DONE_YET
        request.setResponseCode(said.status)
        for name, value in said.headers.items():
            request.setHeader(name.encode(), value.encode())
        body = said.body
        if body is None:
            request.setHeader(b"content-type", b"application/json")
            body = b"" if said.value is None else json.dumps(said.value).encode()
        if not self.pause:
            return body
        from twisted.internet import reactor

        later: Any = reactor
        later.callLater(self.pause, lambda: (request.write(body), request.finish()))
        return NOT_DONE_YET

    def grow(self) -> None:
        """Something new happens."""

    def _fault(self, asked: Asked) -> Say | None:
        for fault in self.faults:
            if not re.search(f"(?:{fault.path})$", asked.path):
                continue
            fault.after -= 1
            if fault.after < 0 and fault.times > 0:
                fault.times -= 1
                if fault.say is None:
                    self.grow()
                return fault.say
        return None

    def true_answer(self, asked: Asked) -> Say:
        if self.token is not None and asked.headers.get(self.token_header) != self.token:
            return Say({"message": "Bad credentials"}, 401)
        for method, pattern, answer in self.routes:
            found = pattern.fullmatch(asked.path)
            if found and method == asked.method:
                said = answer(asked, *found.groups())
                return said if isinstance(said, Say) else Say(said)
        return NOT_FOUND


def page_of(items: list[Any], asked: Asked, *, size: str = "per_page", most: int = 100) -> list[Any]:
    """A page by number."""
    number, length = int(asked.query.get("page", "1")), min(int(asked.query.get(size, "30")), most)
    return items[(number - 1) * length : number * length]
