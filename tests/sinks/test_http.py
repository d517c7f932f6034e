from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from change_hooks.core.change import Change
from change_hooks.core.verification import verify_standard_webhook
from change_hooks.interfaces import IChangeSink, SinkError
from change_hooks.journal import ChangeKey
from change_hooks.sinks import Http
from change_hooks.sinks.http import retry_after

from ..conftest import result_of

KEY = ChangeKey("github", "guid", 3)


class Receiver(Resource):
    isLeaf = True

    def __init__(self, status: int = 204, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.status, self.headers = status, headers or {}
        self.got: list[Any] = []

    def render_POST(self, request: Any) -> bytes:
        self.got.append((request.requestHeaders, request.content.read()))
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        return b""


def post(receiver: Receiver, key: Any = KEY, **options: Any) -> Any:
    clock, http = Clock(), StubTreq(receiver)
    clock.advance(1_700_000_000)
    sink = Http("https://ci.example/hook", http=http, clock=clock, **options)
    assert IChangeSink.providedBy(sink)
    taken = sink.add_change(Change(branch="\u00e4"), key)
    http.flush()
    return taken


def test_a_change_is_posted_and_signed() -> None:
    receiver = Receiver()
    assert result_of(post(receiver, secret="s3cret")) is None
    ((headers, body),) = receiver.got
    fields = json.loads(body)
    assert (fields["branch"], fields["dialect"], fields["delivery"], fields["index"]) == (
        "\u00e4",
        "github",
        "guid",
        3,
    )
    name, at, signature = (
        headers.getRawHeaders(f"webhook-{part}")[0] for part in ("id", "timestamp", "signature")
    )
    verify_standard_webhook(body, name, at, signature, [b"s3cret"], now=1_700_000_000)


def test_the_id_is_the_same_at_every_attempt_and_another_for_every_change() -> None:
    receiver = Receiver()
    for key in (KEY, KEY, KEY._replace(index=4), None):
        result_of(post(receiver, key))
    first, second, third, fourth = (headers.getRawHeaders("webhook-id") for headers, _ in receiver.got)
    assert first == second
    assert len({first[0], third[0], fourth[0]}) == 3
    assert receiver.got[0][0].getRawHeaders("webhook-signature") is None


@pytest.mark.parametrize("status", [301, 400, 429, 500, 503])
def test_another_status_is_a_failure(status: int) -> None:
    with pytest.raises(SinkError, match=str(status)) as caught:
        result_of(post(Receiver(status, {"Retry-After": "120", "Location": "https://other.example/"})))
    assert caught.value.retry_after == 120


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        (["17"], 17),
        (["Wed, 21 Oct 2026 07:28:00 GMT"], 60),
        (["Wed, 21 Oct 2020 07:28:00 GMT"], 0),
        (["soon"], 0),
        (["-1"], 0),
        (["\u0663"], 0),
    ],
)
def test_retry_after(header: Any, seconds: float) -> None:
    assert retry_after(header, 1792567620) == seconds


def test_a_server_that_hangs_is_given_up() -> None:
    clock = Clock()

    class Hanging:
        def post(self, url: str, *, timeout: float, reactor: Any, **_: Any) -> Deferred[Any]:
            return Deferred().addTimeout(timeout, reactor)

    taken = Http("http://ci.example/", http=Hanging(), clock=clock, time_limit=5).add_change(Change(), KEY)
    clock.advance(5)
    with pytest.raises(Exception, match="5"):
        result_of(taken)


def test_the_client_is_made_when_it_is_needed() -> None:
    from twisted.internet import reactor

    sink = Http("http://127.0.0.1:1/")
    waiting = sink.add_change(Change(), None)
    waiting.addErrback(lambda failure: None)
    waiting.cancel()
    assert sink._clock is reactor
    assert sink._http is not None


def test_another_address_is_refused() -> None:
    with pytest.raises(ValueError, match="url"):
        Http("file:///etc/passwd")
