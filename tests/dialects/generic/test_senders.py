from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any

import pytest

from change_hooks.config import read_www
from change_hooks.core.errors import DeliveryError, SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_standard_webhook
from change_hooks.dialects.generic import GenericHandler
from change_hooks.dialects.generic.senders import signature, token_in
from tests.conftest import delivery

from .sent import FOLDER, NOW, SENDERS, endpoint, request

SECRET = b"the secret of both sides"
BODY = b'{"ref": "main", "rev": "1"}'
CHANGE = {"change": {"revision": "rev", "branch": "ref"}}


def send(
    options: dict[str, Any], headers: dict[str, str] | None = None, body: bytes = BODY, **more: Any
) -> Any:
    handler = GenericHandler(None, {"secret": SECRET, **CHANGE, **options})
    return handler.getChanges(delivery(body, headers=headers, **{"received": NOW, **more}))[0]


# The senders of the documentation.


def sent(name: str, document: bytes | None = None, at: int = NOW, forged: bytes | None = None) -> Any:
    body, headers, kind = request(name, document, at)
    handler = GenericHandler(None, endpoint(name))
    return handler.getChanges(delivery(forged or body, headers=headers, content_type=kind, received=NOW))[0]


@pytest.mark.parametrize("name", SENDERS)
def test_the_documented_payload_gives_the_documented_changes(name: str) -> None:
    documented = json.loads((FOLDER / f"{name}.changes.json").read_text())
    assert [change.as_dict() for change in sent(name)] == documented


@pytest.mark.parametrize("name", SENDERS)
def test_the_documented_configuration_has_no_mistakes(name: str) -> None:
    assert read_www({"change_hook_dialects": {name: endpoint(name)}}).warnings == ()


@pytest.mark.parametrize("name", SENDERS)
def test_another_body_is_refused(name: str) -> None:
    body, _, _ = request(name)
    with pytest.raises(SignatureMismatch):
        sent(name, forged=body.replace(b"the token of the webhook", b"another") + b" ")


@pytest.mark.parametrize("name", ["stripe", "slack", "grafana"])
@pytest.mark.parametrize("far", [-301, 301])
def test_an_old_or_future_delivery_is_refused(name: str, far: int) -> None:
    assert sent(name, at=NOW + far - (1 if far > 0 else -1))
    with pytest.raises(SignatureMismatch, match="timestamp"):
        sent(name, at=NOW + far)


# Signatures.


def hexadecimal(message: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(SECRET, message, getattr(hashlib, algorithm)).hexdigest()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_algorithms_and_encodings(algorithm: str, encoding: str) -> None:
    options = {"signature": {"header": "X-S", "algorithm": algorithm, "encoding": encoding, "prefix": "v="}}
    digest = hexadecimal(BODY, algorithm)
    right = digest if encoding == "hex" else b64encode(bytes.fromhex(digest)).decode()
    assert send(options, {"X-S": f"v={right}"})
    for wrong in (right, "v=", "v=zz", f"v={right[:-8]}"):
        with pytest.raises((SignatureMismatch, SignatureMissing)):
            send(options, {"X-S": wrong})


@pytest.mark.parametrize("headers", [{}, {"X-S": ""}])
def test_a_missing_signature_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureMissing):
        send({"signature": {"header": "X-S"}}, headers)


def test_one_of_several_signatures_suffices() -> None:
    options = {"signature": {"header": "X-S", "separator": ","}}
    assert send(options, {"X-S": f"{'0' * 64}, {hexadecimal(BODY)}"})
    with pytest.raises(SignatureMismatch):
        send(options, {"X-S": f"{'0' * 64},{'1' * 64}"})


def test_an_id_and_a_timestamp_in_milliseconds_may_be_signed_too() -> None:
    options = {
        "signature": {
            "header": "X-S",
            "signed": "{id}|{timestamp}|{body}",
            "id": "X-Id",
            "timestamp": {"header": "X-T", "unit": "ms", "tolerance": 5},
        }
    }
    stamp = f"{NOW}123"
    headers = {"X-S": hexadecimal(b"7|%s|%s" % (stamp.encode(), BODY)), "X-T": stamp, "X-Id": "7"}
    assert send(options, headers)
    for name, error in (("X-T", SignatureMissing), ("X-Id", SignatureMismatch)):
        without = {key: value for key, value in headers.items() if key != name}
        with pytest.raises(error):
            send(options, without)
    with pytest.raises(SignatureMismatch):
        send(options, {**headers, "X-Id": "8"})
    with pytest.raises(SignatureMismatch):
        send(options, headers, received=NOW + 6)


def test_a_timestamp_that_is_no_part_of_its_header_is_missing() -> None:
    part = {"header": "X-S", "prefix": "t=", "separator": ","}
    options = {
        "signature": {
            "header": "X-S",
            "prefix": "v=",
            "separator": ",",
            "signed": "{timestamp}{body}",
            "timestamp": part,
        }
    }
    with pytest.raises(SignatureMissing, match="timestamp"):
        send(options, {"X-S": f"v={hexadecimal(BODY)}"})


def test_standard_webhooks() -> None:
    options = {"signature": "standard-webhooks"}
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": sign_standard_webhook(BODY, "msg_1", NOW, SECRET),
    }
    assert send(options, headers)
    handler = GenericHandler(None, {"secret": SECRET, **CHANGE, **options})
    verified = delivery(BODY, headers=headers).replace(verification="signature")
    assert handler.delivery_id(verified) == "msg_1"
    assert handler.delivery_id(delivery(BODY, headers=headers)) is None
    with pytest.raises(SignatureMismatch):
        send(options, {**headers, "webhook-id": "msg_2"})


# Tokens.


@pytest.mark.parametrize(
    ("where", "headers", "uri", "body"),
    [
        ({"header": "X-Token"}, {"X-Token": SECRET.decode()}, "", BODY),
        ("bearer", {"Authorization": f"Bearer {SECRET.decode()}"}, "", BODY),
        ("bearer", {"Authorization": f"bearer {SECRET.decode()}"}, "", BODY),
        ({"query": "key"}, {}, "?key=the+secret+of+both+sides&x=1", BODY),
        ({"body": "key"}, {}, "", b'{"rev": "1", "key": "the secret of both sides"}'),
        ({"body": "in.it.key"}, {}, "", b'{"rev": "1", "in": {"it": {"key": "the secret of both sides"}}}'),
    ],
)
def test_a_token(where: Any, headers: dict[str, str], uri: str, body: bytes) -> None:
    address = b"/change_hook/x" + uri.encode()
    assert send({"token_in": where}, headers, body, uri=address)
    for name, value in headers.items():
        with pytest.raises(SignatureMismatch):
            send({"token_in": where}, {name: value + "x"}, body, uri=address)
    with pytest.raises(SignatureMissing):
        send({"token_in": where})


@pytest.mark.parametrize(
    ("where", "more"),
    [
        ("bearer", {"headers": {"Authorization": "Basic dTpw"}}),
        ({"query": "key"}, {"uri": b"/x?key=the+secret+of+both+sides&key=the+secret+of+both+sides"}),
        ({"body": "key"}, {"body": b'{"key": 5}'}),
        ({"body": "in.key"}, {"body": b'{"in": [1]}'}),
        ({"body": "in.key"}, {"body": b"[]"}),
    ],
)
def test_a_token_in_another_form_is_missing(where: Any, more: Any) -> None:
    with pytest.raises(SignatureMissing):
        send({"token_in": where}, **more)


def test_a_body_that_is_not_json_has_no_token() -> None:
    with pytest.raises(DeliveryError) as caught:
        send({"token_in": {"body": "key"}}, body=b"key=1")
    assert caught.value.status == 400


# What a user may write.

S = {"header": "X-S"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (5, "must be a dict with 'header', or 'standard-webhooks'"),
        ({}, "needs the name of a header"),
        ({"header": "X-é"}, "needs the name of a header"),
        ({**S, "algoritm": "sha1"}, "unknown name 'algoritm'; did you mean 'algorithm'"),
        ({**S, "algorithm": "sha265"}, "the algorithm 'sha265'; did you mean 'sha256'"),
        ({**S, "algorithm": ["sha256"]}, "the algorithm"),
        ({**S, "encoding": "hexx"}, "the encoding 'hexx'; did you mean 'hex'"),
        ({**S, "prefix": 5}, "'prefix' or 'separator'"),
        ({**S, "separator": ""}, "'prefix' or 'separator'"),
        ({**S, "signed": 5}, "must be a str"),
        ({**S, "signed": "{timestamp}"}, "must have {body} once"),
        ({**S, "signed": "{body}{body}"}, "must have {body} once"),
        ({**S, "signed": "{bodi}"}, "{bodi} in 'signed'; did you mean 'body'"),
        ({**S, "signed": "{id}{body}"}, "needs 'id' both as a name and in 'signed'"),
        ({**S, "timestamp": "X-T"}, "needs 'timestamp' both"),
        ({**S, "signed": "{timestamp}{body}", "timestamp": 5}, "'timestamp' that is neither"),
        (
            {**S, "signed": "{timestamp}{body}", "timestamp": {"header": "T", "unitt": 1}},
            "'unitt'.*in 'timestamp'",
        ),
        ({**S, "signed": "{timestamp}{body}", "timestamp": {"header": "T", "unit": "h"}}, "the unit 'h'"),
        (
            {**S, "signed": "{timestamp}{body}", "timestamp": {"header": "T", "tolerance": 0}},
            "'tolerance' that",
        ),
    ],
)
def test_what_is_wrong_in_signature_is_named(written: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        signature(written)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("header", "must be 'bearer', or a dict"),
        ({}, "must be 'bearer', or a dict"),
        ({"header": "A", "query": "b"}, "must be 'bearer', or a dict"),
        ({"qeury": "b"}, "'qeury'; did you mean 'query'"),
        ({"query": 5}, "needs a name in 'query'"),
        ({"body": "a..b"}, "needs a name in 'body'"),
        ({"header": "X-é"}, "needs the name of a header"),
    ],
)
def test_what_is_wrong_in_token_in_is_named(written: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        token_in(written)
