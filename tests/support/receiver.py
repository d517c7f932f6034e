"""A receiver of requests, in memory."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource


class Receiver(Resource):
    """Keeps the headers and the body of each request."""

    isLeaf = True

    def __init__(self, status: int = 204, headers: dict[str, str] | None = None, answer: bytes = b"") -> None:
        super().__init__()
        self.status, self.headers, self.answer = status, headers or {}, answer
        self.got: list[Any] = []

    def render_POST(self, request: Any) -> bytes:
        self.got.append((request.requestHeaders, request.content.read()))
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        return self.answer
