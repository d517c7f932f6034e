from __future__ import annotations

import json
from typing import Any

import pytest

from change_hooks.core.errors import ConfigurationError, SignatureMismatch, SignatureMissing
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.launchpad import LaunchpadHandler
from tests.conftest import delivery
from tests.support.recorded import load

SECRET = "the secret of the webhook"
BODY = load("launchpad/git_push_0_1__one_branch").body
SHA1 = sign_hmac(BODY, SECRET.encode(), "sha1", "sha1=")


def changes(headers: dict[str, str], body: bytes = BODY) -> Any:
    handler = LaunchpadHandler(None, {"secret": SECRET, "allow_sha1": True})
    named = {"X-Launchpad-Event-Type": "git:push:0.1", **headers}
    return handler.getChanges(delivery(body, headers=named))[0]


def test_its_signature_uses_sha1() -> None:
    assert len(changes({"X-Hub-Signature": SHA1})) == 1
    with pytest.raises(SignatureMismatch):
        changes({"X-Hub-Signature": SHA1}, BODY + b" ")
    with pytest.raises(SignatureMissing):
        changes({})


@pytest.mark.parametrize("more", [{}, {"allow_sha1": False}])
def test_sha1_must_be_allowed(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="allow_sha1"):
        LaunchpadHandler(None, {"secret": SECRET, **more})


def test_the_id_is_the_deliverys() -> None:
    handler = LaunchpadHandler(None, True)
    assert handler.delivery_id(load("launchpad/ping__ping").delivery()) == "4011"


def test_a_proposal_without_a_number_that_can_be_one_has_none() -> None:
    recorded = load("launchpad/merge_proposal_0_1__created")
    for name, page in (("9" * 5000, "https://code.launchpad.net/" + "9" * 5000), ("", "")):
        body = json.dumps({**recorded.payload, "merge_proposal": name}).encode()
        (change,), _ = LaunchpadHandler(None, True).getChanges(recorded.delivery(body))
        assert change.revlink == page
