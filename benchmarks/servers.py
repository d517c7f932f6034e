"""The receivers that are compared: python servers.py KIND PORT FOLDER"""

from __future__ import annotations

import hmac
import sys
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from change_hooks import ChangeHookService, make_resource

SECRET = "a long secret"
WWW: dict[str, Any] = {"change_hook_dialects": {"github": {"secret": SECRET, "strict": True}}}


class Minimal(Resource):
    """Reads, checks, decodes, answers: what any honest receiver must do."""

    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        body = request.content.read()
        made = "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex()
        sent = request.getHeader(b"x-hub-signature-256") or b""
        if not hmac.compare_digest(made.encode(), sent):
            request.setResponseCode(403)
            return b""
        msgspec.json.decode(body)
        request.setResponseCode(202)
        return b"1 change found\n"


def minimal(folder: Path) -> Any:
    return Minimal()


def plain(folder: Path) -> Any:
    return make_resource(WWW, sink=lambda change: None)


def journal(folder: Path) -> Any:
    hooks = ChangeHookService(WWW, base=folder)
    hooks.startService()
    return hooks.resource


KINDS = {"minimal": minimal, "plain": plain, "journal": journal}

if __name__ == "__main__":
    kind, port, folder = sys.argv[1:]
    root = Resource()
    root.putChild(b"change_hook", KINDS[kind](Path(folder)))
    clock: Any = reactor
    clock.listenTCP(int(port), Site(root), backlog=512, interface="127.0.0.1")
    clock.run()
