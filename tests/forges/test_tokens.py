"""The tokens of GitHub Apps, and how each forge wants its token."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from change_hooks.forges.client import Rest
from change_hooks.forges.rest import RestError, Subject
from change_hooks.forges.tokens import (
    AppToken,
    authorization,
    basic,
    basic_or_bearer,
    basic_without_user,
    bearer,
)
from tests.conftest import result_of
from tests.support.fake_api import Say
from tests.support.fake_github import FakeApps

BASE = "https://api.github.example"
KEY = rsa.generate_private_key(65537, 2048)
ABOUT = Subject("o/r", "42")


def pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def client(api: FakeApps, clock: Clock) -> Rest:
    http = StubTreq(api)
    option = {"app": 123, "key": pem(KEY).decode()}
    return Rest(BASE, http, clock, authorization=authorization(option, bearer, BASE, http, clock))


def ask(rest: Rest, about: Subject = ABOUT) -> Any:
    return result_of(Deferred.fromCoroutine(rest.get("repos", "o", "r", about=about)))


def decoded(part: str) -> Any:
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_app_signs_who_it_is() -> None:
    api, clock = FakeApps(), Clock()
    clock.advance(1000)
    ask(client(api, clock))
    jwt = api.asked[0].headers["authorization"].removeprefix("Bearer ")
    head, claims, signature = jwt.split(".")
    assert decoded(head) == {"alg": "RS256", "typ": "JWT"}
    assert decoded(claims) == {"iat": 940, "exp": 1540, "iss": "123"}
    raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    KEY.public_key().verify(raw, f"{head}.{claims}".encode(), PKCS1v15(), SHA256())


def test_a_token_is_used_again_and_renewed_before_it_expires() -> None:
    api, clock = FakeApps(), Clock()
    rest = client(api, clock)
    for at, given in ((0, 1), (2800, 1), (100, 2)):
        clock.advance(at)
        ask(rest)
        assert api.given == given
    assert api.asked[-1].headers["authorization"] == "Bearer ghs_42_2"


def test_the_installation_is_looked_up_when_the_payload_names_none() -> None:
    api = FakeApps()
    ask(client(api, Clock()), Subject("o/r"))
    assert api.paths() == ["/repos/o/r/installation", "/app/installations/42/access_tokens", "/repos/o/r"]


def test_installations_have_tokens_of_their_own_and_repositories_share_them() -> None:
    api = FakeApps()
    rest = client(api, Clock())
    for about in (ABOUT, Subject("o/other", "42"), Subject("o/r", "43")):
        ask(rest, about)
    sent = [asked.headers["authorization"] for asked in api.asked if asked.path == "/repos/o/r"]
    assert sent == ["Bearer ghs_42_1", "Bearer ghs_42_1", "Bearer ghs_43_2"]


def test_a_token_that_the_forge_refuses_is_replaced_once() -> None:
    api = FakeApps()
    rest = client(api, Clock())
    api.refused = {"Bearer ghs_42_1"}
    ask(rest)
    assert api.given == 2
    api.refused |= {"Bearer ghs_42_2", "Bearer ghs_42_3"}
    with pytest.raises(RestError, match="expired"):
        ask(rest)
    assert api.given == 3


def test_two_requests_at_once_fetch_one_token() -> None:
    api = FakeApps()
    http = StubTreq(api)
    waiting: list[Deferred[Any]] = []

    class Slow:
        def request(self, method: str, url: str, **more: Any) -> Any:
            if "access_tokens" not in url:
                return http.request(method, url, **more)
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: http.request(method, url, **more))

    token = AppToken("123", pem(KEY), BASE, Slow(), Clock())
    asked = [Deferred.fromCoroutine(token.headers(ABOUT)) for _ in range(3)]
    waiting[0].callback(None)
    http.flush()
    assert [result_of(one) for one in asked] == [{"authorization": "Bearer ghs_42_1"}] * 3
    assert api.given == 1


def test_who_waits_for_anothers_token_asks_himself_when_it_is_not_given() -> None:
    api = FakeApps()
    http = StubTreq(api)
    waiting: list[Deferred[Any]] = []

    class Slow:
        def request(self, method: str, url: str, **more: Any) -> Any:
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: http.request(method, url, **more))

    token = AppToken("123", pem(KEY), BASE, Slow(), Clock())
    first, second = (Deferred.fromCoroutine(token.headers(ABOUT)) for _ in range(2))
    first.addErrback(lambda failure: None)
    first.cancel()
    waiting[1].callback(None)
    assert result_of(second) == {"authorization": "Bearer ghs_42_1"}


@pytest.mark.parametrize("answer", [{}, {"token": ""}, [], {"token": "x"}])
def test_an_answer_without_a_token(answer: Any) -> None:
    api = FakeApps()
    api.instead = [Say(answer, 201)]
    with pytest.raises(RestError, match="incomplete"):
        ask(client(api, Clock()))


def test_a_strange_installation_is_no_address() -> None:
    api = FakeApps()
    with pytest.raises(RestError):
        ask(client(api, Clock()), Subject("o/r", "../../x?"))
    assert api.asked == []


def test_many_installations_take_no_more_than_some_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.forges.tokens.KEPT", 1)
    api = FakeApps()
    rest = client(api, Clock())
    for about in (ABOUT, Subject("o/r", "43"), ABOUT):
        ask(rest, about)
    assert api.given == 3


def test_a_key_of_another_kind() -> None:
    with pytest.raises(ValueError, match="RSA"):
        AppToken("1", pem(ec.generate_private_key(ec.SECP256R1())), BASE, None, Clock())


def test_no_token_and_nothing_shown() -> None:
    assert authorization(None, bearer, BASE, None, None) is None
    app = AppToken("123", pem(KEY), BASE, None, Clock())
    assert repr(app) + repr(app.as_app) == "<AppToken><AppItself>"
    assert not app.as_app.refused(ABOUT)


def test_how_a_token_is_sent() -> None:
    assert basic("ann:t") == {"authorization": "Basic YW5uOnQ="}
    assert basic_or_bearer("ann:t") == basic("ann:t")
    assert basic_or_bearer("t") == {"authorization": "Bearer t"}
    assert basic_without_user("t") == {"authorization": "Basic OnQ="}
    assert basic_without_user("x:t") == basic("x:t")
