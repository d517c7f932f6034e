from __future__ import annotations

import json
from typing import Any

import pytest

from change_hooks.core.errors import SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.pagure import PagureHandler
from tests.conftest import delivery
from tests.support.recorded import load

SECRET = b"the private key of the project"
BODY = load("pagure/git_receive__one_commit").body


def sent(body: bytes = BODY, sha256: str | None = None, sha1: str | None = None) -> Any:
    headers = {"X-Pagure-Signature-256": sha256, "X-Pagure-Signature": sha1}
    return delivery(body, headers={name: value for name, value in headers.items() if value is not None})


def changes(request: Any, options: Any = None) -> Any:
    return PagureHandler(None, options or {"secret": SECRET}).getChanges(request)[0]


def hmac(algorithm: str, body: bytes = BODY) -> str:
    return sign_hmac(body, SECRET, algorithm, "")


def test_both_signatures_are_verified() -> None:
    assert len(changes(sent(sha256=hmac("sha256"), sha1=hmac("sha1")))) == 1
    assert len(changes(sent(sha256=hmac("sha256")))) == 1
    with pytest.raises(SignatureMismatch):
        changes(sent(sha256=hmac("sha256"), sha1=hmac("sha1", b"another body")))
    with pytest.raises(SignatureMismatch):
        changes(sent(sha256=hmac("sha256", b"another body"), sha1=hmac("sha1")))


@pytest.mark.parametrize("sha256", [None, ""])
def test_sha1_alone_is_not_enough(sha256: str | None) -> None:
    with pytest.raises(SignatureMissing):
        changes(sent(sha256=sha256, sha1=hmac("sha1")))


def test_event_and_id_come_from_the_signed_body() -> None:
    request = delivery(
        BODY, headers={"X-Pagure-Topic": "issue.new", "X-Pagure-Signature-256": hmac("sha256")}
    )
    assert len(changes(request)) == 1
    handler = PagureHandler(None, True)
    assert handler.delivery_id(request) == json.loads(BODY)["msg_id"]
    assert handler.delivery_id(delivery(b"{}")) is None


def test_a_topic_that_only_looks_like_one_of_pagures_is_no_error() -> None:
    body = json.dumps({**load("pagure/pull_request_new__from_a_fork").payload, "topic": "pull_request:new"})
    assert changes(delivery(body.encode()), {"strict": False}).reason


def test_a_comment_that_is_empty_or_missing_is_none() -> None:
    payload = load("pagure/pull_request_comment_added__comment").payload
    payload["msg"]["pullrequest"]["comments"] = []
    assert "comment is not new" in changes(delivery(json.dumps(payload).encode()), {"strict": False}).reason


def test_its_page_is_found_without_the_projects_address() -> None:
    payload = load("pagure/pull_request_new__from_a_fork").payload
    del payload["msg"]["pullrequest"]["project"]["full_url"]
    (change,) = changes(delivery(json.dumps(payload).encode()), {"strict": False})
    assert change.revlink == ""
