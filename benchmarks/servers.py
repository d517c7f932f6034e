"""The receivers that are compared: python servers.py KIND PORT FOLDER"""

from __future__ import annotations

import gc
import hmac
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

SECRET = "a long secret"
DIALECTS: dict[str, Any] = {
    "base": {"secret": SECRET},
    "bitbucket": True,
    "bitbucketcloud": {"secret": SECRET},
    "bitbucketserver": {"secret": SECRET},
    "github": {"secret": SECRET, "strict": True},
    "gitlab": {"secret": SECRET},
    "gitorious": True,
}
WWW: dict[str, Any] = {"change_hook_dialects": DIALECTS}


def minimal(folder: Path) -> Any:
    """Reads, verifies, decodes, responds: the minimum that a receiver has to do."""
    from twisted.web.resource import Resource

    class Minimal(Resource):
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

    return Minimal()


def plain(folder: Path) -> Any:
    from change_hooks import make_resource

    return make_resource(WWW, sink=lambda change: None)


def journal(folder: Path, **more: Any) -> Any:
    from change_hooks import ChangeHookService

    hooks = ChangeHookService({**WWW, **more}, base=folder)
    hooks.startService()
    return hooks.resource


def one_by_one(folder: Path) -> Any:
    """The journal with a commit for every delivery."""
    from change_hooks.journal import writer

    writer.GROUP = 1
    writer.Writer._pass_on = _singly  # type: ignore[method-assign]
    return journal(folder)


def _singly(self: Any) -> None:
    submitted, self._submitted = self._submitted, []
    for each in submitted:
        self._queue.put([each])


def postgresql(folder: Path) -> Any:
    return journal(folder, change_hook_journal=(folder / "url").read_text())


def buildbot(folder: Path) -> Any:
    """Buildbot's own resource, with a master that accepts the changes and does nothing with them."""
    from buildbot.www.change_hook import ChangeHookResource
    from twisted.internet.defer import succeed

    class Master:
        class www:  # noqa: N801
            @staticmethod
            def resourceNeedsReconfigs(resource: Any) -> None: ...

        class config:  # noqa: N801
            codebaseGenerator = None

        class data:  # noqa: N801
            class updates:  # noqa: N801
                @staticmethod
                def addChange(**change: Any) -> Any:
                    return succeed(1)

    # It requires the header with GitHub's older signature.
    return ChangeHookResource(dialects={"github": {"secret": SECRET, "strict": True}}, master=Master())


def gidgethub(port: int) -> None:
    """gidgethub on aiohttp."""
    from aiohttp import web
    from gidgethub.sansio import Event

    async def receive(request: web.Request) -> web.Response:
        Event.from_http(request.headers, await request.read(), secret=SECRET)
        return web.Response(status=202, text="1 change found\n")

    app = web.Application(client_max_size=30 * 1024 * 1024)
    app.router.add_post("/change_hook/github", receive)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


class Stall:
    """Measures the longest time for which the event loop was blocked."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._last = time.monotonic()
        self.longest = 0.0
        self._turn()

    def _turn(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self._last - 0.001)
        self._last = now
        self._reactor.callLater(0.001, self._turn)


def twisted(make: Any, port: int, folder: Path, *how: str) -> None:
    """Serve it: with ``own``, behind the HTTP front of ``change-hooks serve``; with ``measure``, that and a clock."""
    from twisted.internet import reactor
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    from change_hooks.web.front import HookSite

    clock: Any = reactor
    root = Resource()
    root.putChild(b"change_hook", make(folder))
    site: Any = Site(root)
    if how:
        site = HookSite(root, 25 * 1024 * 1024 + 1024, clock)
    if "measure" in how:
        stall = Stall(clock)

        class Longest(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                longest, stall.longest = stall.longest, 0.0
                return b"%f" % longest

        root.putChild(b"stall", Longest())
    if how:
        # As ``serve`` does.
        gc.collect()
        gc.freeze()
    clock.listenTCP(port, site, backlog=512, interface="127.0.0.1")
    clock.run()


KINDS = {
    "minimal": minimal,
    "plain": plain,
    "journal": journal,
    "one_by_one": one_by_one,
    "postgresql": postgresql,
    "buildbot": buildbot,
}

if __name__ == "__main__":
    kind, port, folder, *more = sys.argv[1:]
    if kind == "gidgethub":
        gidgethub(int(port))
    else:
        twisted(KINDS[kind], int(port), Path(folder), *more)
