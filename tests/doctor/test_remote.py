"""What can be seen from outside: webhooks, whether the forge gets here, clocks, certificates."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.error import ConnectionRefusedError as Refused

import change_hooks.doctor.remote as remote
from change_hooks.doctor.remote import look_at_certificate, look_at_receiver, look_at_webhook
from tests.conftest import result_of
from tests.support.answers import Answers
from tests.support.certificates import certificate
from tests.support.fake_api import Say
from tests.support.fake_webhooks import FakeGitHubWebhooks
from tests.support.keeping import URL, Keeping

NOW = 1_800_000_000.0
HOOK = f"{URL}/change_hook/github"
EVENTS = ["pull_request", "push"]


def run(coroutine: Any) -> list[tuple[str, str, str]]:
    found = result_of(Deferred.fromCoroutine(coroutine))
    return [(finding.topic, finding.verdict, finding.said) for finding in found]


def keeping() -> Keeping:
    kept = Keeping("github", FakeGitHubWebhooks("token T"), strict=True)
    kept.clock.advance(3600)
    return kept


def look(kept: Keeping, **date: str) -> list[tuple[str, str, str]]:
    true = kept.api.render

    def render(request: Any) -> Any:
        request.setHeader(b"date", date.get("date", "Thu, 01 Jan 1970 01:00:20 GMT").encode())
        return true(request)

    kept.api.render = render
    return run(look_at_webhook(kept.place, kept.clock))


def test_one_that_works() -> None:
    kept = keeping()
    hook = kept.api.add(HOOK, events=EVENTS)
    kept.api.deliver(hook, "push", {})
    kept.api.log[5][0].update(status_code=202, status="OK")
    assert look(kept) == [
        ("webhook", "good", "github, o/r: webhook 5 is set up correctly"),
        (
            "reach",
            "good",
            "github, o/r: the forge reaches this receiver; the last delivery: 202 (OK), 1970-01-01T00:00:00Z",
        ),
        ("clock", "good", "github, o/r: this clock and the forge's agree"),
    ]


def test_a_forge_that_does_not_get_here() -> None:
    kept = keeping()
    kept.api.deliver(kept.api.add(HOOK, events=EVENTS), "push", {})
    found = look(kept)
    assert [(topic, verdict) for topic, verdict, _ in found] == [
        ("webhook", "problem"),
        ("reach", "problem"),
        ("clock", "good"),
    ]
    assert found[1][2].startswith(
        "github, o/r: the forge does not reach this receiver: no answer (failed to connect"
    )


def test_one_to_which_nothing_has_been_sent_and_what_is_doubtful() -> None:
    kept = keeping()
    kept.api.add(HOOK, events=EVENTS, insecure_ssl="1")
    found = look(kept)
    assert [verdict for _, verdict, _ in found] == ["warning", "good", "good", "good"]
    assert "does not say" in found[2][2]


def test_none_at_all() -> None:
    assert look(keeping())[:1] == [("webhook", "problem", "github, o/r: there is no webhook")]


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("Thu, 01 Jan 1970 01:05:00 GMT", "this clock is 300 s behind the forge's"),
        ("Thu, 01 Jan 1970 00:55:00 GMT", "this clock is 300 s ahead of the forge's"),
    ],
)
def test_a_clock_that_is_wrong(date: str, said: str) -> None:
    topic, verdict, text = look(keeping(), date=date)[-1]
    assert (topic, verdict) == ("clock", "problem")
    assert said in text


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_forge_that_does_not_say_what_time_it_is(date: str) -> None:
    assert "clock" not in [topic for topic, _, _ in look(keeping(), date=date)]


def test_a_forge_that_cannot_be_asked() -> None:
    kept = keeping()
    kept.api.instead = [Say({}, 401)]
    ((topic, verdict, said),) = look(kept)
    assert (topic, verdict) == ("webhook", "problem")
    assert "webhooks need" in said


# The receiver at its address --------------------------------------------------------------------


class Gone:
    def request(self, *arguments: Any, **more: Any) -> Any:
        return fail(Refused())


@pytest.mark.parametrize(
    ("http", "verdict", "said"),
    [
        (StubTreq(Answers(202)), "good", "accepts a delivery signed with the secret"),
        (StubTreq(Answers(403)), "problem", "does not accept a signed delivery: the response is 403"),
        (StubTreq(Answers(403, b"deliveries from this address are not accepted\n")), "warning", "'allow'"),
        (Gone(), "warning", "cannot be reached from here"),
    ],
)
def test_whether_the_receiver_takes_what_is_signed(http: Any, verdict: str, said: str) -> None:
    kept = keeping()
    ((topic, found, text),) = run(look_at_receiver(kept.place, http, kept.clock))
    assert (topic, found) == ("reach", verdict)
    assert text.startswith(HOOK)
    assert said in text


def test_a_secret_that_is_a_callable_is_not_tried() -> None:
    kept = Keeping("github", FakeGitHubWebhooks("token T"), secret=lambda delivery: "a long enough secret")
    ((topic, verdict, said),) = run(look_at_receiver(kept.place, Gone(), kept.clock))
    assert (topic, verdict) == ("reach", "warning")
    assert "was not tried, because the option 'secret' of github is a callable" in said


@pytest.mark.parametrize("options", [{"url": ""}, {"secret": None}])
def test_without_an_address_or_a_secret_it_is_not_asked(options: dict[str, Any]) -> None:
    kept = Keeping("github", FakeGitHubWebhooks("token T"), **options)
    assert run(look_at_receiver(kept.place, Gone(), kept.clock)) == []


# The certificate --------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "deferToThread", maybeDeferred)


def test_when_the_certificate_ends() -> None:
    asked: list[tuple[str, int]] = []

    def fetch(host: str, port: int) -> bytes:
        asked.append((host, port))
        return certificate(5, NOW).public_bytes(Encoding.DER)

    ((topic, verdict, said),) = run(look_at_certificate(f"{URL}:8443/change_hook", NOW, fetch))
    assert (topic, verdict, asked) == ("certificate", "warning", [("ci.example.com", 8443)])
    assert said.startswith("ci.example.com:8443: the certificate is valid until")


def test_one_that_is_not_good_and_one_that_cannot_be_had() -> None:
    def bad(host: str, port: int) -> bytes:
        error = ssl.SSLCertVerificationError(1, "x")
        error.verify_message = "self-signed certificate"
        raise error

    def away(host: str, port: int) -> bytes:
        raise ConnectionRefusedError(111, "Connection refused")

    def no_name(host: str, port: int) -> bytes:
        raise UnicodeError("label empty or too long")

    assert run(look_at_certificate(URL, NOW, bad)) == [
        ("certificate", "problem", "ci.example.com:443: self-signed certificate; forges refuse to send there")
    ]
    for fetch in (away, no_name):
        ((_, verdict, said),) = run(look_at_certificate(URL, NOW, fetch))
        assert (verdict, "cannot be reached from here" in said) == ("warning", True)


@pytest.mark.parametrize("url", ["", "http://ci.example.com", "https:///x"])
def test_without_tls_there_is_none(url: str) -> None:
    assert run(look_at_certificate(url, NOW)) == []
