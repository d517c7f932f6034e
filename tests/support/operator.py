"""Whoever looks at what operators see."""

from __future__ import annotations

from typing import Any, NamedTuple

from treq.testing import StubTreq
from twisted.internet.defer import Deferred

from change_hooks.admin.root import Admin
from change_hooks.testing import Receiver


class Page(NamedTuple):
    status: int
    text: str
    type: str


class Operator:
    """Asks a service's admin resource, from this machine."""

    def __init__(self, admin: Admin) -> None:
        self._client: Any = StubTreq(admin)  # type: ignore[no-untyped-call]

    def asks(self, path: str, method: str = "GET", **headers: str) -> Deferred[Page]:
        """Ask; the answer may take a while."""
        asked = self._client.request(method, f"http://localhost/{path}", headers=headers)
        pages: Deferred[Page] = asked.addCallback(
            lambda answer: answer.text().addCallback(
                lambda text: Page(answer.code, text, answer.headers.getRawHeaders("content-type", [""])[0])
            )
        )
        self._client.flush()
        return pages

    def flush(self) -> None:
        self._client.flush()

    def get(self, path: str, method: str = "GET", **headers: str) -> Page:
        """Ask what is answered at once."""
        got: list[Page] = []
        self.asks(path, method, **headers).addCallback(got.append)
        self.flush()
        (page,) = got
        return page


def operator_of(receiver: Receiver) -> Operator:
    return Operator(receiver.service.admin)
