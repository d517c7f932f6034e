"""Buildbot's own resource as the judge, and ours beside it, with the same configuration and the same requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from buildbot.www import change_hook
from treq.testing import StubTreq
from twisted.internet.defer import succeed
from twisted.web.resource import Resource

from change_hooks import Change, make_resource
from tests.adoption.payloads import B, Sent
from tests.conftest import Client, Reply

FILES = [{"filename": "src/app.py"}, {"filename": "moved.py", "previous_filename": "old.py"}]
API = {f"/repos/acme/app/commits/{B}": {"sha": B, "commit": {"message": "The head's message"}}}
API["/repos/acme/app/pulls/7/files"] = FILES  # type: ignore[assignment]


class Session:
    """GitHub's API, in the place of Buildbot's client."""

    def __init__(self, service: Any, base: str, **more: Any) -> None:
        self.headers = more.get("headers", {})

    def get(self, path: str, **more: Any) -> Any:
        if path not in API:
            return succeed(SimpleNamespace(code=404))
        return succeed(SimpleNamespace(code=200, json=lambda: succeed(API[path])))


class Forge(Resource):
    """The same API, for our client."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        found = API.get(request.path.decode())
        request.setResponseCode(200 if found is not None else 404)
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(found).encode()


class Master(SimpleNamespace):
    """As much of a master as the handlers use."""

    def __init__(self) -> None:
        super().__init__(httpservice=None, config=SimpleNamespace(www={}))
        self.www = SimpleNamespace(resourceNeedsReconfigs=lambda resource: None)
        self.polled: list[str] = []
        self.change_svc: list[Any] = []
        self.added: list[Change] = []
        self.data = SimpleNamespace(updates=SimpleNamespace(addChange=self._add))

    def _add(self, **change: Any) -> Any:
        self.added.append(Change.from_mapping(change))
        return succeed(len(self.added))


@contextmanager
def github_api() -> Iterator[None]:
    """Both clients of GitHub's API are answered from above."""
    with (
        patch("buildbot.util.httpclientservice.HTTPSession", Session),
        patch("change_hooks.http_client.http_client", lambda *_, **__: StubTreq(Forge())),
    ):
        yield


def their_client(dialects: Mapping[str, Any], master: Master) -> Client:
    """A client of Buildbot's own resource."""
    resource: Any = change_hook.ChangeHookResource(master=master, dialects=dict(dialects))
    return Client(resource)


def our_client(dialects: Mapping[str, Any], sink: Any) -> Client:
    """A client of our resource."""
    www = {"change_hook_dialects": dialects}
    return Client(make_resource(www, sink=sink, master=Master(), http=StubTreq(Forge())))


def judged(dialects: Mapping[str, Any], *requests: Sent) -> tuple[list[int], list[Change]]:
    """What Buildbot's own resource makes of requests: the statuses, and the changes."""
    master = Master()
    with github_api():
        return [reply.status for reply in sent(their_client(dialects, master), *requests)], master.added


def ours(dialects: Mapping[str, Any], *requests: Sent) -> tuple[list[int], list[Change]]:
    """What our resource makes of them."""
    changes: list[Change] = []
    with github_api():
        return [reply.status for reply in sent(our_client(dialects, changes.append), *requests)], changes


def sent(client: Client, *requests: Sent) -> list[Reply]:
    """The answers to requests."""
    return [
        client(request.method, f"/{request.path}", data=request.body, headers=request.headers)
        for request in requests
    ]


def plain(change: Change, differs: tuple[str, ...]) -> dict[str, Any]:
    fields = change.as_dict()
    properties = {name: value for name, value in fields["properties"].items() if name not in differs}
    return {
        **{name: value for name, value in fields.items() if name not in differs},
        "properties": properties,
    }
