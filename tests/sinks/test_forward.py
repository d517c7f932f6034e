from __future__ import annotations

from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.web.http_headers import Headers

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import NotAuthenticated
from change_hooks.core.fetched import FETCH, POLL
from change_hooks.core.sink_answers import SinkError, SinkRefused
from change_hooks.core.stored import Stored
from change_hooks.core.verification import (
    sign_hmac,
    sign_standard_webhook,
    verify_hmac,
    verify_standard_webhook,
)
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.interfaces import IChangeSink, IDeliverySink
from change_hooks.plugins import installed
from change_hooks.sinks.forward import Forward, headers_to_forward
from tests.conftest import delivery, result_of
from tests.support.receiver import Receiver

BODY = b'{"ref" :\n"refs/heads/\xc3\xa4", "config": {}}'
NOW = 1_700_000_000
CHANGE = {"change": {"branch": "ref"}}
STRIPE = {
    "header": "Stripe-Signature",
    "prefix": "v1=",
    "separator": ",",
    "signed": "{timestamp}.{body}",
    "timestamp": {"header": "Stripe-Signature", "prefix": "t=", "separator": ","},
}
SLACK = {
    "header": "X-Slack-Signature",
    "prefix": "v0=",
    "signed": "v0:{timestamp}:{body}",
    "timestamp": "X-Slack-Request-Timestamp",
}
MILLISECONDS = {
    "header": "X-Signature",
    "encoding": "base64",
    "signed": "{id}.{timestamp}.{body}",
    "timestamp": {"header": "X-Time", "unit": "ms", "tolerance": 1},
    "id": "X-Id",
}
ALL_IN_ONE = {
    **STRIPE,
    "signed": "{id}.{timestamp}.{body}",
    "id": {"header": "Stripe-Signature", "prefix": "id=", "separator": ","},
}


def forward(received: Delivery, status: int = 204, **options: Any) -> Any:
    receiver = Receiver(status)
    clock, http = Clock(), StubTreq(receiver)
    clock.advance(NOW)
    sink = Forward("https://ci.example/hook", http=http, clock=clock, **options)
    assert IDeliverySink.providedBy(sink)
    assert not IChangeSink.providedBy(sink)
    assert (sink.per, sink.time_limit) == ("delivery", None)
    accepted = sink.add_delivery(received)
    http.flush()
    result_of(accepted)
    ((headers, body),) = receiver.got
    return headers, body


def stored(body: bytes, headers: dict[str, str]) -> Delivery:
    """A delivery that has been in the journal."""
    received = delivery(body, headers=headers, id="1", dialect="x", stored=Stored(signatures=True))
    return Delivery.restore(*received.dump(), id="1", dialect="x")


def test_the_body_is_the_same_and_the_forges_signature_is_kept() -> None:
    sent = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "guid",
        "X-Hub-Signature-256": sign_hmac(BODY, b"s3cret"),
        "User-Agent": "GitHub-Hookshot/1",
    }
    headers, body = forward(stored(BODY, sent))
    assert body == BODY
    for name, value in sent.items():
        assert headers.getRawHeaders(name) == [value]
    assert headers.getRawHeaders("content-type") == ["application/json"]


def test_what_is_about_the_connection_or_of_a_proxy_stays_behind() -> None:
    received = Headers(
        {
            "Connection": ["close, X-Hop", "TE"],
            "X-Hop": ["1"],
            "Transfer-Encoding": ["chunked"],
            "Host": ["hooks.example"],
            "Content-Length": ["5"],
            "X-Forwarded-For": ["192.0.2.1"],
            "Forwarded": ["for=192.0.2.1"],
            "Cookie": ["a=b"],
            "X-Event-Key": ["repo:push"],
        }
    )
    assert [name.lower() for name, _ in headers_to_forward(received).getAllRawHeaders()] == [b"x-event-key"]


def test_a_token_is_the_sinks_own() -> None:
    sent = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "ours"}
    headers, _ = forward(stored(BODY, sent), secret="theirs")
    assert headers.getRawHeaders("x-gitlab-token") == ["theirs"]
    headers, _ = forward(stored(BODY, sent))
    assert not headers.hasHeader("x-gitlab-token")


def test_a_signature_with_a_time_is_made_anew() -> None:
    sent = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1",
        "webhook-signature": sign_standard_webhook(BODY, "msg_1", 1, b"ours"),
    }
    headers, body = forward(stored(BODY, sent), secret="theirs")
    name, at, signature = (headers.getRawHeaders(header)[0] for header in sent)
    assert (name, at) == ("msg_1", str(NOW))
    verify_standard_webhook(body, name, at, signature, [b"theirs"], now=NOW)


def test_a_signature_with_a_time_and_no_id_gets_the_deliverys() -> None:
    headers, _ = forward(stored(BODY, {"webhook-signature": "v1,x"}), secret="theirs")
    assert headers.getRawHeaders("webhook-id") == ["1"]


@pytest.mark.parametrize(
    ("header", "algorithm", "prefix"),
    [
        ("X-Hub-Signature-256", "sha256", "sha256="),
        ("X-Hub-Signature", "sha1", "sha1="),
        ("X-Hub-Signature", "sha256", "sha256="),
        ("X-Gitea-Signature", "sha256", ""),
        ("X-Gogs-Signature", "sha256", ""),
        ("X-Forgejo-Signature", "sha256", ""),
    ],
)
def test_a_signature_over_the_body_is_made_anew_for_another_secret(
    header: str, algorithm: str, prefix: str
) -> None:
    sent = {header: sign_hmac(BODY, b"ours", algorithm, prefix)}
    headers, body = forward(stored(BODY, sent), secret="theirs")
    (signature,) = headers.getRawHeaders(header)
    verify_hmac(body, signature, [b"theirs"], algorithm=algorithm, prefix=prefix)


def test_githubs_is_made_when_it_did_not_come() -> None:
    headers, body = forward(stored(BODY, {"X-GitHub-Event": "push"}), secret="theirs")
    verify_hmac(body, headers.getRawHeaders("x-hub-signature-256")[0], [b"theirs"])


@pytest.mark.parametrize(
    ("dialect", "options", "headers"),
    [
        ("pagure", {}, {}),
        ("gitee", {}, {"X-Gitee-Timestamp": "1700000000000"}),
        ("azuredevops", {"secret_header": "X-Secret"}, {}),
        ("gitlab", {}, {"X-Gitlab-Event": "Push Hook"}),
        ("github", {}, {"X-GitHub-Event": "push"}),
        ("generic", {**CHANGE, "signature": {"header": "X-Sent", "algorithm": "sha512", "prefix": "v="}}, {}),
        ("generic", {**CHANGE, "signature": STRIPE}, {}),
        ("generic", {**CHANGE, "signature": SLACK}, {}),
        ("generic", {**CHANGE, "signature": MILLISECONDS}, {"X-Id": "evt_1"}),
        ("generic", {**CHANGE, "signature": ALL_IN_ONE}, {"Stripe-Signature": "t=1,id=evt_1,v1=old"}),
        ("generic", {**CHANGE, "signature": "standard-webhooks"}, {"webhook-id": "msg_1"}),
        ("generic", {**CHANGE, "token_in": {"header": "X-Token"}}, {}),
        ("generic", {**CHANGE, "token_in": "bearer"}, {}),
        ("generic", {**CHANGE, "token_in": {"body": "config.secret"}}, {}),
    ],
)
def test_what_an_endpoint_verifies_is_made_anew_as_its_sender_makes_it(
    dialect: str, options: dict[str, Any], headers: dict[str, str]
) -> None:
    def handler(secret: str) -> Any:
        return make_handler(installed().load(dialect), {"secret": secret, **options}, Context(name=dialect))

    ours, theirs = handler("ours, which is long"), handler("theirs, which is long")
    # Hours have passed since it came.
    received = delivery(BODY, headers=headers, dialect=dialect, received=NOW - 10_000)
    sent = ours.sign(received, b"ours, which is long")
    receiver = Receiver()
    clock, http = Clock(), StubTreq(receiver)
    clock.advance(NOW)
    sink = Forward("https://ci.example/", http=http, clock=clock, secret="theirs, which is long")
    sink.sign_as = ours.sign
    accepted = sink.add_delivery(sent)
    http.flush()
    result_of(accepted)
    ((got, body),) = receiver.got
    again = Delivery(b"POST", b"/", got, body, dialect=dialect, received=NOW)
    # An id is the same at every attempt.
    assert str(headers).count("evt_1") == str(list(got.getAllRawHeaders())).count("evt_1")
    assert theirs.verify(again, [b"theirs, which is long"]) in ("signature", "token")
    with pytest.raises(NotAuthenticated):
        ours.verify(again, [b"ours, which is long"])


def test_what_cannot_be_signed_is_never_accepted() -> None:
    def fails(received: Delivery, secret: bytes) -> Delivery:
        raise ValueError("the payload has no place for the token")

    sink = Forward("https://ci.example/", secret="theirs", clock=Clock())
    sink.sign_as = fails
    with pytest.raises(SinkRefused, match="cannot be signed: the payload has no place"):
        sink.add_delivery(delivery(BODY))


def test_a_receiver_that_refuses_is_asked_again() -> None:
    with pytest.raises(SinkError, match="403"):
        forward(stored(BODY, {}), status=403)


@pytest.mark.parametrize("method", [POLL, FETCH])
def test_what_did_not_come_with_a_request_is_not_sent(method: bytes) -> None:
    with pytest.raises(SinkRefused, match="not received as a request"):
        forward(delivery(BODY, method=method))


def test_it_closes_its_connections() -> None:
    result_of(Forward("http://127.0.0.1:1/").close())
