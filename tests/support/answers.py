"""A server that answers the same to everything."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource


class Answers(Resource):
    isLeaf = True

    def __init__(self, status: int, body: bytes = b"") -> None:
        super().__init__()
        self.status = status
        self.body = body
        self.login: tuple[bytes, bytes] | None = None

    def render_POST(self, request: Any) -> bytes:
        request.setResponseCode(self.status)
        self.login = (request.getUser(), request.getPassword())
        return self.body
