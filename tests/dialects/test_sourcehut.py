from __future__ import annotations

import json
from base64 import b64encode
from datetime import datetime, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from change_hooks.core.errors import BadPayload, ConfigurationError, SignatureMismatch, SignatureMissing
from change_hooks.core.payload import epoch
from change_hooks.dialects.handler import check_options
from change_hooks.dialects.sourcehut import OLDEST, SourceHutHandler
from change_hooks.testing import Receiver, Result
from change_hooks.testing.recorded import RECEIVED
from tests.conftest import delivery
from tests.support.changes import none_for
from tests.support.recorded import load

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = b64encode(KEY.public_key().public_bytes_raw()).decode()
OTHER = b64encode(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()).decode()
BODY = load("sourcehut/GIT_POST_RECEIVE__branch").body
TOKEN = "a token of our own, in the URL"


def headers(body: bytes, nonce: str = "0123456789abcdef", **more: str) -> dict[str, str]:
    signature = b64encode(KEY.sign(body + nonce.encode())).decode()
    return {
        "Content-Type": "application/json",
        "X-Payload-Nonce": nonce,
        "X-Payload-Signature": signature,
        "X-Webhook-Delivery": "0f5c2f0e",
        **more,
    }


def send(body: bytes = BODY, sent: Any = None, options: Any = None, **more: Any) -> Any:
    handler = SourceHutHandler(None, {"public_key": PUBLIC, **(options or {})})
    request = delivery(
        body, headers=headers(body) if sent is None else sent, **{"received": RECEIVED, **more}
    )
    return handler.getChanges(request)[0]


def receive(receiver: Receiver, body: bytes, sent: dict[str, str]) -> Result:
    return receiver.send(delivery(body, uri=b"/change_hook/sourcehut", headers=sent, dialect="sourcehut"))


def test_the_signature_covers_body_and_nonce() -> None:
    assert len(send()) == 1
    for wrong in (
        {**headers(BODY), "X-Payload-Nonce": "fedcba9876543210"},
        headers(BODY + b" "),
    ):
        with pytest.raises(SignatureMismatch):
            send(sent=wrong)
    for name in ("X-Payload-Nonce", "X-Payload-Signature"):
        with pytest.raises(SignatureMissing):
            send(sent={**headers(BODY), name: ""})


def test_one_of_several_keys_suffices_and_the_usual_one_is_that_of_sr_ht() -> None:
    assert send(options={"public_key": [OTHER, PUBLIC]})
    for options in ({"public_key": OTHER}, {"public_key": None}):
        with pytest.raises(SignatureMismatch):
            send(options=options)
    with pytest.raises(ConfigurationError, match="option 'public_key' must be an Ed25519 public key"):
        SourceHutHandler(None, {"public_key": "uX7K"})


@pytest.mark.parametrize(("age", "accepted"), [(OLDEST, True), (OLDEST + 1, False), (-600, True)])
def test_an_old_event_is_refused(age: float, accepted: bool) -> None:
    happened = epoch("2026-11-24T09:59:58Z")
    assert happened is not None
    if accepted:
        assert send(received=happened + age)
    else:
        with pytest.raises(SignatureMismatch, match="too old"):
            send(received=happened + age)


def test_only_a_legacy_payload_may_have_no_date() -> None:
    assert send(load("sourcehut/repo_post_update__branch").body, received=RECEIVED + 10 * OLDEST)
    payload = json.loads(BODY)
    for date in (None, "", "soon"):
        payload["data"]["webhook"]["date"] = date
        with pytest.raises(BadPayload, match="is missing; the dialect's page") as caught:
            send(json.dumps(payload).encode())
        assert caught.value.field == "$.data.webhook.date"


def test_with_a_secret_the_address_needs_it() -> None:
    options = {"secret": TOKEN}
    right = b"/x?token=" + TOKEN.replace(" ", "+").encode()
    assert send(options=options, uri=right)
    for uri, error in (
        (b"/x", SignatureMissing),
        (right + b"&token=x", SignatureMissing),
        (b"/x?token=x", SignatureMismatch),
    ):
        with pytest.raises(error):
            send(options=options, uri=uri)
    with pytest.raises(SignatureMissing):
        send(options=options, uri=right, sent={})
    assert b"/x?token=" in delivery(BODY, uri=right, stored=SourceHutHandler(None, True).stored()).dump()[0]
    assert (
        TOKEN.encode()
        not in delivery(BODY, uri=right, stored=SourceHutHandler(None, True).stored()).dump()[0]
    )


def test_who_may_send_is_to_be_said() -> None:
    for written, protected, doubts in (
        ({}, False, 1),
        ({}, True, 0),
        ({"repositories": ["~ann/*"]}, False, 0),
        ({"secret": TOKEN}, False, 0),
        ({"strict": True}, True, 0),
    ):
        problems, found = check_options(SourceHutHandler, written, protected=protected)
        assert (problems, len(found)) == ([], doubts)
    assert SourceHutHandler(None, True).signed


def test_the_id_is_signed() -> None:
    handler = SourceHutHandler(None, True)
    payload = json.loads(BODY)
    for body, found in (
        (BODY, payload["data"]["webhook"]["uuid"]),
        (load("sourcehut/repo_post_update__branch").body, "5a1c2f0e-5c1e-4b5a-9f8e-000000000016"),
        (b'{"data": {"webhook": {}}}', "0123456789abcdef"),
        (b"not JSON", "0123456789abcdef"),
    ):
        assert handler.delivery_id(delivery(body, headers=headers(body))) == found


def test_what_is_signed_but_not_what_the_query_gives_is_refused() -> None:
    for body in (b"[]", b"{}", b'{"refs": null}'):
        with pytest.raises(BadPayload):
            send(body)
    assert none_for(send(b'{"refs": []}'))


def test_a_copy_of_a_delivery_is_a_duplicate_for_all_workers_and_after_a_restart() -> None:
    www = {"change_hook_dialects": {"sourcehut": {"public_key": PUBLIC, "repositories": ["~ann/*"]}}}
    payload = json.loads(BODY)
    # The clock of the receiver is the real one here.
    payload["data"]["webhook"]["date"] = datetime.now(timezone.utc).isoformat()
    body = json.dumps(payload).encode()
    first = Receiver(www)
    assert receive(first, body, headers(body)).text == "1 change found"
    assert "duplicate" in receive(first, body, headers(body)).text
    # What is not signed may differ.
    copied = headers(body, **{"X-Webhook-Delivery": "another", "X-Webhook-Event": "another"})
    assert "duplicate" in receive(first, body, copied).text
    # A retry has a nonce of its own.
    assert "duplicate" in receive(first, body, headers(body, "fedcba9876543210")).text
    # Another worker knows it, too.
    worker = Receiver(www, beside=first)
    assert "duplicate" in receive(worker, body, headers(body)).text
    worker.stop()
    first.stop()
    with Receiver(www, beside=first) as second:
        assert "duplicate" in receive(second, body, headers(body)).text
    assert len(second.deliveries()) == 1
