from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from change_hooks import make_resource
from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import BadPayload, SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.gitea import GiteaHandler
from change_hooks.dialects.handler import check_options
from change_hooks.flow import proceed
from tests.conftest import Client, delivery
from tests.support.recorded import load

SECRET = "the secret of the webhook"
BODY = load("gitea/push__one_commit").body
FORM = urlencode({"payload": BODY}).encode()
SHA256 = sign_hmac(BODY, SECRET.encode(), prefix="")
SHA1 = sign_hmac(BODY, SECRET.encode(), "sha1", "sha1=")


def sent(body: bytes = BODY, event: str = "push", **headers: str) -> Delivery:
    kind = b"application/x-www-form-urlencoded" if body.startswith(b"payload=") else b"application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return delivery(body, content_type=kind, headers={"X-Gitea-Event": event, **named})


def changes(request: Delivery, options: Any = None) -> Any:
    return GiteaHandler(None, options or {"secret": SECRET}).getChanges(request)[0]


@pytest.mark.parametrize("body", [BODY, FORM])
@pytest.mark.parametrize("header", ["X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"])
def test_the_json_is_signed_also_in_a_form(body: bytes, header: str) -> None:
    assert len(changes(sent(body, **{header: SHA256}))) == 1
    with pytest.raises(SignatureMismatch):
        changes(sent(body, **{header: sign_hmac(BODY + b" ", SECRET.encode(), prefix="")}))


def test_a_signature_over_the_form_is_none_over_the_json() -> None:
    with pytest.raises(SignatureMismatch):
        changes(sent(FORM, X_Gitea_Signature=sign_hmac(FORM, SECRET.encode(), prefix="")))


def test_the_bytes_that_were_signed_are_those_that_are_parsed() -> None:
    twice = FORM + b"&" + FORM
    with pytest.raises(BadPayload, match="exactly once"):
        changes(sent(twice, X_Gitea_Signature=SHA256))
    in_url = sent(FORM, X_Gitea_Signature=SHA256)
    other = Delivery(
        b"POST", b"/change_hook/gitea?payload=%7B%7D", in_url.requestHeaders, in_url.body, received=1.0
    )
    assert len(changes(other)) == 1


def test_the_signature_covers_the_bytes_before_they_are_decoded() -> None:
    latin = BODY.decode().encode("latin-1")
    request = delivery(
        latin,
        content_type=b"application/json; charset=iso-8859-1",
        headers={"X-Gitea-Event": "push", "X-Gitea-Signature": sign_hmac(latin, SECRET.encode(), prefix="")},
    )
    (change,) = changes(request)
    assert "\u00fc" in change.comments


def test_all_signatures_that_are_there_must_match() -> None:
    everything = {
        "X_Forgejo_Signature": SHA256,
        "X_Gitea_Signature": SHA256,
        "X_Gogs_Signature": SHA256,
        "X_Hub_Signature_256": f"sha256={SHA256}",
        "X_Hub_Signature": SHA1,
    }
    assert len(changes(sent(**everything))) == 1
    for name in everything:
        wrong = everything[name][:-1] + ("0" if everything[name][-1] != "0" else "1")
        with pytest.raises(SignatureMismatch):
            changes(sent(**{**everything, name: wrong}))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Gitea_Signature": "", "X_Gogs_Signature": "", "X_Hub_Signature_256": "sha256="},
        {"X_Gitea_Signature": "", "X_Hub_Signature": "sha1="},
        {"X_Hub_Signature": SHA1},
    ],
    ids=["none", "empty", "empty-sha1", "sha1-alone"],
)
def test_empty_signatures_are_missing_ones_and_sha1_alone_is_not_enough(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureMissing):
        changes(sent(**headers))


def test_an_empty_signature_beside_a_right_one_is_not_looked_at() -> None:
    assert len(changes(sent(X_Forgejo_Signature="", X_Gitea_Signature=SHA256))) == 1


def test_the_header_authorization_is_one_way_to_authenticate() -> None:
    options = {"authorization": ["Bearer of the older hook", "Bearer of the hook 4711"]}
    assert len(changes(sent(Authorization="Bearer of the hook 4711"), options)) == 1
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": "bearer of the hook 4711"}):
        with pytest.raises(SignatureMismatch):
            changes(sent(**headers), options)
    with pytest.raises(SignatureMissing):
        changes(sent(), options)
    handler = GiteaHandler(None, options)
    assert handler.signed
    assert proceed(handler.verified(sent(Authorization=options["authorization"][0]))).verification == "token"
    assert check_options(GiteaHandler, {"authorization": "Bearer of the hook 4711", "strict": True}) == (
        [],
        [],
    )
    assert check_options(GiteaHandler, {"strict": True})[0]
    assert "unauthenticated" in check_options(GiteaHandler, {})[1][0]
    assert check_options(GiteaHandler, {"authorization": ""})[0]


def test_with_a_secret_both_are_demanded() -> None:
    both = {"secret": SECRET, "authorization": "Bearer of the hook 4711"}
    assert len(changes(sent(Authorization="Bearer of the hook 4711", X_Gitea_Signature=SHA256), both)) == 1
    with pytest.raises(SignatureMissing):
        changes(sent(X_Gitea_Signature=SHA256), both)
    with pytest.raises(SignatureMissing):
        changes(sent(Authorization="Bearer of the hook 4711"), both)


@pytest.mark.parametrize("form", [False, True])
def test_a_secret_in_the_body_is_never_stored(form: bool) -> None:
    document = load("gitea/push__secret_in_the_body").body
    body = urlencode({"payload": document}).encode() if form else document
    signed = sent(body, X_Gitea_Signature=sign_hmac(document, SECRET.encode(), prefix=""))
    handler = GiteaHandler(None, {"secret": SECRET})
    kept = proceed(handler.verified(signed))
    handler.getChanges(kept)
    assert b"an+old+version" not in kept.dump()[1]
    assert b"an old version" not in kept.dump()[1]
    live, _ = handler.getChanges(signed)
    replayed, _ = handler.getChanges(Delivery.restore(*kept.dump()))
    assert live == replayed
    assert len(live) == 1


def test_it_has_a_name_of_its_own_for_each_attempt() -> None:
    handler = GiteaHandler(None, True)
    assert handler.delivery_id(load("gogs/push__one_commit").delivery()) is not None
    assert handler.delivery_id(sent(X_Gogs_Delivery="a", X_Gitea_Delivery="b", X_Forgejo_Delivery="c")) == "c"
    assert handler.delivery_id(sent()) is None


def test_the_events_name_is_in_the_header_of_one_of_the_three() -> None:
    with pytest.raises(BadPayload, match="X-Gitea-Event"):
        changes(delivery(BODY, headers={"X-GitHub-Event": "push"}), {"strict": False})


def test_a_subclass_has_the_methods_that_the_plugin_calls() -> None:
    class Mine(GiteaHandler):
        def process_release(self, payload: Any, event: str, codebase: Any) -> Any:
            return [{"comments": f"{event} {payload['action']}", "repository": "r", "project": "p"}]

    got: list[Change] = []
    www = {"change_hook_dialects": {"gitea": {"class": Mine, "authorization": "Bearer of the hook 4711"}}}
    client = Client(make_resource(www, sink=got.append))
    headers = {
        "X-Gitea-Event": "release",
        "Authorization": "Bearer of the hook 4711",
        "Content-Type": "application/json",
    }
    reply = client.post("/gitea?codebase=lamp", data=b'{"action": "published"}', headers=headers)
    assert reply.status == 202
    assert [(each.comments, each.src, each.codebase) for each in got] == [
        ("release published", "git", "lamp")
    ]


@pytest.mark.parametrize("name", ["gitea", "forgejo", "gogs"])
def test_the_three_are_one(name: str) -> None:
    got: list[Change] = []
    client = Client(make_resource({"change_hook_dialects": {name: {"secret": SECRET}}}, sink=got.append))
    headers = {"X-Gitea-Event": "push", "X-Gitea-Signature": SHA256, "Content-Type": "application/json"}
    assert client.post(f"/{name}", data=BODY, headers=headers).status == 202
    assert len(got) == 1
