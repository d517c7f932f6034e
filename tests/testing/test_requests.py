from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from change_hooks import EventHandler, HookHandler, Ignored
from change_hooks.plugins import installed
from change_hooks.testing import build, ed25519, handle, post
from tests.support.recorded import recorded

SECRET = "a long enough secret"
KEY = Ed25519PrivateKey.generate()
PUBLIC = b64encode(KEY.public_key().public_bytes_raw()).decode()
#: What a secret needs beside it.
BESIDE: dict[str, dict[str, Any]] = {
    "generic": {"signature": {"header": "X-Signature"}},
    "launchpad": {"allow_sha1": True},
    "sourcehut": {"public_key": PUBLIC},
}
DIALECTS = sorted(set(installed().names()) & {each.dialect for each in recorded()})


def www(**dialects: Any) -> dict[str, Any]:
    return {"change_hook_dialects": dialects}


def options(dialect: str) -> dict[str, Any]:
    strict = {} if dialect in ("base", "poller") else {"strict": True}
    return {"secret": SECRET, **strict, **BESIDE.get(dialect, {})}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_accepts_what_is_signed_with_its_secret_and_nothing_else(dialect: str) -> None:
    # Of sourcehut, one without a date: an old one would be refused.
    events = "repo_*" if dialect == "sourcehut" else "*"
    delivery = next(each for each in recorded(dialect, events) if isinstance(each.expected, list))
    configuration = www(**{dialect: {**delivery.options, **options(dialect)}})
    event = delivery.name.partition("/")[2].partition("__")[0]
    signed: Any = {"sign": ed25519(KEY)} if dialect == "sourcehut" else {}
    sent = {**signed, "headers": {n: v for n, v in delivery.headers.items() if n != "Content-Type"}}
    assert post(configuration, dialect, event, delivery.body, **sent).status == 202
    assert post(configuration, dialect, event, delivery.body, secret="another", **sent).status == 403
    assert post(configuration, dialect, event, delivery.body, secret=None, **sent).status == 403


def test_every_dialect_that_is_signed_is_among_them() -> None:
    assert set(installed().names()) - set(DIALECTS) == {"base", "poller"}
    assert post(www(base={"secret": SECRET}), "base", form={"revision": "1"}).status == 202
    assert post(www(base={"secret": SECRET}), "base", form={"revision": "1"}, secret="x").status == 403


SIGNING_TOKEN = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.mark.parametrize("secret", [SIGNING_TOKEN, "not a signing token"])
def test_gitlab_signs_with_a_signing_token_and_sends_any_other(secret: str) -> None:
    sent = build(www(gitlab={"secret": secret}), "gitlab", "push", {"object_kind": "push"}, id="7")
    assert (sent.header("webhook-signature") is not None) == (secret == SIGNING_TOKEN)
    assert sent.header("X-Gitlab-Token") == (None if secret == SIGNING_TOKEN else secret)
    assert sent.header("X-Gitlab-Event") == "Push Hook"
    assert sent.header("Idempotency-Key") == "7"
    reply = post(www(gitlab={"secret": secret}), "gitlab", "project_create", {"object_kind": "x"}, id="7")
    assert (reply.status, reply.delivery) == (202, "7")
    assert build(www(gitlab=True), "gitlab", "project_create").header("X-Gitlab-Event") == "System Hook"


@pytest.mark.parametrize(
    "way",
    [
        {"signature": "standard-webhooks"},
        {"signature": {"header": "X-S", "algorithm": "sha512", "encoding": "base64", "prefix": "v0="}},
        {
            "signature": {
                "header": "Stripe-Signature",
                "prefix": "v1=",
                "separator": ",",
                "signed": "{timestamp}.{body}",
                "timestamp": {"header": "Stripe-Signature", "prefix": "t=", "separator": ","},
            }
        },
        {
            "signature": {
                "header": "X-S",
                "signed": "{id}.{timestamp}.{body}",
                "id": "X-Id",
                "timestamp": {"header": "X-At", "unit": "ms"},
            }
        },
        {"token_in": {"header": "X-Token"}},
        {"token_in": {"query": "token"}},
        {"token_in": {"body": "hook.token"}},
        {"token_in": "bearer"},
    ],
)
def test_generic_signs_as_its_options_say(way: dict[str, Any]) -> None:
    configuration = www(generic={"secret": SECRET, **way, "change": {"revision": "sha"}})
    payload = {"sha": "1", "hook": {"id": 1}}
    assert post(configuration, "generic", "", payload).text == "1 change found"
    assert post(configuration, "generic", "", payload, secret="another").status == 403
    assert post(configuration, "generic", "", payload, secret=None).status == 403


def test_a_token_needs_its_place_in_the_body() -> None:
    said = {"secret": SECRET, "token_in": {"body": "hook.token"}, "change": {"revision": "sha"}}
    with pytest.raises(ValueError, match=r"no place for the token at 'hook\.token'"):
        build(www(generic=said), "generic", "", {"sha": "1"})


def test_an_id_that_is_there_is_signed_as_it_is() -> None:
    said = {"header": "X-S", "signed": "{id}.{body}", "id": "X-Id"}
    configuration = www(generic={"secret": SECRET, "signature": said, "change": {"revision": "sha"}})
    sent = build(configuration, "generic", "", {"sha": "1"}, headers={"X-Id": "7"})
    assert sent.header("X-Id") == "7"
    assert post(configuration, "generic", "", {"sha": "1"}, headers={"X-Id": "7"}).status == 202


def test_what_gogs_alone_sends_has_its_headers() -> None:
    sent = build(www(gogs=True), "gogs", "gogs:create", {}, id="7")
    assert (sent.header("X-Gogs-Event"), sent.header("X-Gogs-Delivery")) == ("create", "7")
    assert build(www(gogs=True), "gogs", "push", {}, id="7").header("X-Gitea-Event") == "push"


class Own(EventHandler):
    event_header = "X-Own-Event"
    id_headers = ("X-Own-Id",)
    signature_header = "X-Own-Signature"

    def handle_deployed(self, payload: Any) -> Any:
        return Ignored(f"deployed to {payload['to']}")


def test_a_dialect_of_ones_own_is_named_and_signed_by_its_attributes() -> None:
    said = {"custom_class": Own, "secret": SECRET}
    sent = build(www(own=said), "own", "deployed", {"to": "x"}, id="5", query={"a": "b c"})
    assert (sent.header("X-Own-Event"), sent.header("X-Own-Id")) == ("deployed", "5")
    assert (sent.header("X-Own-Signature") or "").startswith("sha256=")
    assert sent.uri == b"/change_hook/own?a=b+c"
    result = handle(Own, "deployed", {"to": "x"}, options={"secret": SECRET})
    assert (result.status, result.reason) == (202, "deployed to x")
    assert result.events == [Ignored("deployed to x")]
    assert build(www(own={"custom_class": Own}), "own").header("X-Own-Event") is None


class Foreign:
    """As made for Buildbot."""

    def __init__(self, master: Any, options: Any) -> None:
        pass

    def getChanges(self, request: Any) -> Any:
        return [{"revision": request.args[b"rev"][0].decode()}], "hg"


def test_a_handler_that_is_none_of_ours_is_sent_what_is_written() -> None:
    result = post(www(x={"custom_class": Foreign}), "x", form={"rev": "9"})
    assert [(change.revision, change.src) for change in result.changes] == [("9", "hg")]


def test_the_secret_may_be_given_and_has_to_be_where_it_is_a_callable() -> None:
    said = {"custom_class": Own, "secret": lambda delivery: SECRET}
    with pytest.raises(ValueError, match="callable"):
        build(www(own=said), "own", "deployed", {"to": "x"})
    assert post(www(own=said), "own", "deployed", {"to": "x"}, secret=SECRET.encode()).status == 202
    several = {"custom_class": Own, "secret": ["the newer of two secrets", SECRET]}
    assert post(www(own=several), "own", "deployed", {"to": "x"}).status == 202


def test_one_may_sign_in_a_way_of_ones_own() -> None:
    sent = build(www(x={"custom_class": Foreign}), "x", sign=lambda delivery: delivery.replace(id="mine"))
    assert sent.id == "mine"


def test_an_endpoint_has_to_be_there() -> None:
    with pytest.raises(LookupError, match="no endpoint 'gihub'; valid names are github"):
        build(www(github=True), "gihub")


def test_user_and_password() -> None:
    sent = build(www(base=True), "base", form={}, auth=("ann", "p:w"))
    assert (sent.getUser(), sent.getPassword()) == (b"ann", b"p:w")


def test_a_handler_has_no_names_unless_it_says_so() -> None:
    assert HookHandler(None, {}).naming("push", "1") == {}
