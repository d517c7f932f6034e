"""What is accepted of what was fetched."""

from __future__ import annotations

from twisted.internet.defer import ensureDeferred

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.found import Found
from change_hooks.forges.logged import Sent
from change_hooks.recovery.recovered import Acceptance, Missing
from tests.conftest import result_of


def test_a_header_about_the_bytes_that_were_sent_is_left_out() -> None:
    """Nobody has those bytes; also where all headers are stored."""
    accepted: list[Delivery] = []

    async def found(delivery: Delivery) -> Found:
        return Found([Change(revision="1")])

    async def accept(delivery: Delivery, found: Found) -> bool:
        accepted.append(delivery)
        return True

    headers = {
        "X-GitHub-Event": "push",
        "X-Hub-Signature-256": "sha256=00",
        "Content-Length": "7",
        "content-type": "application/x-www-form-urlencoded",
        "webhook-signature": "v1,x",
        "X-Gitlab-Token": "t",
    }
    missing = Missing("github", "1", "push", 1.0, "api-replay", "missing")
    settled = result_of(
        ensureDeferred(Acceptance("github", found, accept).settle(missing, Sent(headers, {"a": 1}), 5.0))
    )
    assert settled.outcome == "recovered"
    (delivery,) = accepted
    kept = dict(delivery.requestHeaders.getAllRawHeaders())
    assert kept == {b"X-Github-Event": [b"push"], b"Content-Type": [b"application/json"]}
    assert (delivery.body, delivery.received) == (b'{"a":1}', 5.0)
