from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.gitee import GiteeHandler
from change_hooks.flow import proceed
from change_hooks.testing.recorded import RECEIVED
from tests.conftest import delivery
from tests.support.recorded import load

SECRET = "the secret of the hook"
RECORDED = load("gitee/push__one_commit")
NOW = str(int(RECEIVED * 1000))


def sent(**headers: str) -> Delivery:
    return RECORDED.delivery(headers={name.replace("_", "-"): value for name, value in headers.items()})


def changes(request: Delivery) -> Any:
    return GiteeHandler(None, {"secret": SECRET}).getChanges(request)[0]


def signature(timestamp: str, secret: str = SECRET) -> str:
    return sign_hmac(f"{timestamp}\n{secret}".encode(), secret.encode(), prefix="", encoding="base64")


def test_the_token_is_the_secret_or_signs_the_time() -> None:
    assert len(changes(sent(X_Gitee_Token=SECRET))) == 1
    assert len(changes(sent(X_Git_Oschina_Token=SECRET))) == 1
    assert len(changes(sent(X_Gitee_Token=signature(NOW), X_Gitee_Timestamp=NOW))) == 1
    assert len(changes(sent(X_Gitee_Token=quote(signature(NOW), safe=""), X_Gitee_Timestamp=NOW))) == 1


@pytest.mark.parametrize(
    ("token", "timestamp"),
    [
        ("another secret", NOW),
        (signature(NOW), str(int(NOW) + 1)),
        (signature(NOW, "another secret"), NOW),
        (signature(str(int(NOW) - 3_600_001)), str(int(NOW) - 3_600_001)),
        (signature("now"), "now"),
        (b64encode(b"x" * 32).decode(), NOW),
    ],
)
def test_another_token_is_refused(token: str, timestamp: str) -> None:
    with pytest.raises(SignatureMismatch):
        changes(sent(X_Gitee_Token=token, X_Gitee_Timestamp=timestamp))


def test_a_missing_token_is_refused_and_a_wrong_one_without_a_time() -> None:
    with pytest.raises(SignatureMissing):
        changes(sent())
    with pytest.raises(SignatureMissing):
        changes(sent(X_Gitee_Token=""))
    with pytest.raises(SignatureMismatch, match="token does not match"):
        changes(delivery(RECORDED.body, headers={"X-Gitee-Token": "another", "X-Gitee-Event": "Push Hook"}))


def test_no_secret_is_ever_stored() -> None:
    payload = {**RECORDED.payload, "sign": "abc/def="}
    handler = GiteeHandler(None, {"secret": SECRET})
    request = delivery(
        json.dumps(payload).encode(),
        headers={"X-Gitee-Token": SECRET, "X-Gitee-Event": "Push Hook"},
        stored=handler.stored(),
    )
    kept = proceed(handler.verified(request))
    head, body = kept.dump()
    assert SECRET.encode() not in head + body
    assert b"abc/def=" not in head + body
    assert {"password", "sign", "timestamp"}.isdisjoint(json.loads(body))
    assert handler.getChanges(Delivery.restore(head, body))[0] == handler.getChanges(request)[0]


def test_one_that_is_sent_again_has_the_same_name_and_a_later_one_another() -> None:
    handler = GiteeHandler(None, True)
    first, again, later = (
        handler.delivery_id(delivery(b"{}", headers={"X-Gitee-Timestamp": time})) for time in ("1", "1", "2")
    )
    assert first == again != later
