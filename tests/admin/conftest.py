"""A receiver in memory, and a client of what operators see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.web.resource import IResource

from change_hooks.testing import Receiver

from ..conftest import result_of

HERE = "http://localhost:8011/"
SAME = {"Origin": "http://localhost:8011", "Host": "localhost:8011"}


@dataclass
class Reply:
    status: int
    text: str
    headers: Any

    def header(self, name: str) -> str | None:
        values = self.headers.getRawHeaders(name)
        return values[0] if values else None


class Operator:
    """Somebody with a browser."""

    def __init__(self, resource: IResource) -> None:
        self._http = StubTreq(resource)

    def ask(self, method: str, path: str = "", **arguments: Any) -> Reply:
        started = self._http.request(method, HERE + path, allow_redirects=False, **arguments)
        self._http.flush()
        response = result_of(started)
        return Reply(response.code, result_of(response.content()).decode(), response.headers)

    def get(self, path: str = "", **arguments: Any) -> Reply:
        return self.ask("GET", path, **arguments)

    def token(self, path: str) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.get(path).text)
        assert found is not None
        return found[1]

    def post(self, path: str, data: Any, headers: dict[str, str] = SAME) -> Reply:
        return self.ask("POST", path, data=data, headers=headers)


Made = tuple[Receiver, Operator]


@pytest.fixture
def made() -> Iterator[Callable[..., Made]]:
    """Makes a receiver of the dialect base, unless said otherwise."""
    receivers: list[Receiver] = []

    def make(www: dict[str, Any] | None = None, **more: Any) -> Made:
        receiver = Receiver({"change_hook_dialects": {"base": True}, **(www or {})}, **more)
        receivers.append(receiver)
        return receiver, Operator(receiver.service.admin)

    yield make
    for each in receivers:
        each.stop()
