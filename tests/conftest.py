"""What the tests share: a client without sockets, and how to look into a Deferred."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any, TypeVar

import hypothesis
import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource

from change_hooks import plugins
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from tests.support.inputs import FEW

T = TypeVar("T")

pytest.register_assert_rewrite("tests.journal.sightings", "tests.journal.suite")
hypothesis.settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("few", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("few" if FEW else "ci" if os.environ.get("CI") else "dev")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background of a script: the programs that tests start would ignore Ctrl-C, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where mutmut has brought libcst, hypothesis uses it to write a patch with the example that failed. It looks at
# all attributes of its classes, and fails itself at what zope.interface has put into abc.ABC.
sys.modules["hypothesis.extra._patching"] = None  # type: ignore[assignment]

if "MUTANT_UNDER_TEST" in os.environ:
    # Each function is called by way of one of mutmut's, so the stack is twice as deep.
    sys.setrecursionlimit(2 * sys.getrecursionlimit())


def pytest_collection_finish() -> None:
    """The ten thousand tests stay to the end, so the garbage collector need not look at them each time."""
    gc.freeze()


def result_of(deferred: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired; raises its error; fails the test when it has not fired."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "the Deferred has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


def has_fired(deferred: Deferred[Any]) -> bool:
    """Whether a Deferred has a result."""
    fired: list[Any] = []

    def look(result: Any) -> Any:
        fired.append(result)
        return result

    deferred.addBoth(look)
    return bool(fired)


def all_of(items: AsyncIterator[T]) -> list[T]:
    """What an asynchronous iterator gives that waits for nothing."""

    async def collected() -> list[T]:
        return [item async for item in items]

    every: list[T] = result_of(Deferred.fromCoroutine(collected()))
    return every


@dataclass
class Reply:
    """A response, read to its end."""

    status: int
    text: str
    headers: Headers
    phrase: bytes
    json: Any = field(repr=False, default=None)

    def header(self, name: str) -> str | None:
        values = self.headers.getRawHeaders(name)
        return values[0] if values else None


class Client:
    """Sends requests to a resource, mounted at ``/change_hook``, in memory."""

    def __init__(self, resource: IResource) -> None:
        root = Resource()
        root.putChild(b"change_hook", resource)
        self._http = StubTreq(root)
        self.flush = self._http.flush

    def start(self, method: str, path: str, **arguments: Any) -> Deferred[Any]:
        """Send a request; the Deferred fires with the treq response."""
        started: Deferred[Any] = self._http.request(
            method, f"http://forge.example/change_hook{path}", **arguments
        )
        return started

    def finish(self, started: Deferred[Any]) -> Reply:
        self.flush()
        response = result_of(started)
        body = result_of(response.content())
        is_json = (response.headers.getRawHeaders("content-type") or [""])[0] == "application/json"
        return Reply(
            response.code,
            body.decode(),
            response.headers,
            response.phrase,
            result_of(response.json()) if is_json and body else None,
        )

    def __call__(self, method: str, path: str, **arguments: Any) -> Reply:
        return self.finish(self.start(method, path, **arguments))

    def post(self, path: str, **arguments: Any) -> Reply:
        return self("POST", path, **arguments)

    def get(self, path: str, **arguments: Any) -> Reply:
        return self("GET", path, **arguments)


@pytest.fixture
def client() -> Callable[[IResource], Client]:
    return Client


@pytest.fixture(autouse=True, scope="session")
def entry_points_are_read_once() -> Iterator[None]:
    """What is installed stays the same, and to look through hundreds of packages takes 10 ms each time."""
    read = SimpleNamespace(select=cache(entry_points))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "entry_points", lambda: read)
        yield


@pytest.fixture
def untraced() -> Iterator[None]:
    """The coverage of this test is not measured, which takes three times as long as the test itself.

    For one that sends thousands of deliveries by ways that other tests have shown. The marker ``no_cover`` does
    not do it in a process of xdist, where coverage is started twice.
    """
    tracing = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracing)


@pytest.fixture
def changes() -> list[Change]:
    """A sink's memory: pass ``changes.append`` as the sink."""
    return []


def delivery(
    body: bytes = b"",
    *,
    method: bytes = b"POST",
    uri: bytes = b"/change_hook/x",
    content_type: bytes | None = b"application/json",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Delivery:
    """A delivery of a JSON body, unless said otherwise."""
    raw = Headers({name: [value] for name, value in (headers or {}).items()})
    if content_type is not None:
        raw.setRawHeaders(b"content-type", [content_type])
    return Delivery(method, uri, raw, body, **more)
