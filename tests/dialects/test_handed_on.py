"""Handlers that give a delivery to others: each of these verifies it with its own secret."""

from __future__ import annotations

from copy import copy, deepcopy
from pickle import dumps, loads
from typing import Any

import pytest
from twisted.internet.defer import inlineCallbacks

from change_hooks import HookHandler, upstream
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import SignatureMissing
from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.flow import proceed
from change_hooks.testing import Receiver, build

SECRET = "a long enough secret"
PUSH = {
    "ref": "refs/heads/main",
    "after": "1" * 40,
    "repository": {"full_name": "o/r", "html_url": "https://forge.example/o/r"},
    "commits": [{"id": "1" * 40, "message": "m"}],
}


def push(secret: str | None = SECRET, **more: Any) -> Delivery:
    www = {"change_hook_dialects": {"github": True}}
    return build(www, "github", "push", PUSH, secret=secret, **more)


def inner(**options: Any) -> Any:
    return GitHubEventHandler(None, {"secret": SECRET, "strict": True, **options})


class Foreign:
    """Of somebody who knows nothing of ours but the class that he hands the request to."""

    def __init__(self, master: Any, options: Any) -> None:
        self.inner = inner()

    def getChanges(self, request: Any) -> Any:
        return self.inner.getChanges(request)


class Ours(HookHandler[Any]):
    inner = inner()

    def getChanges(self, request: Any) -> Any:
        return self.inner.getChanges(request)


class Copying(Ours):
    def getChanges(self, request: Any) -> Any:
        return self.inner.getChanges(copy(request).replace(id="other"))


def sent(handler: Any, delivery: Delivery, **more: Any) -> Any:
    www = {"change_hook_dialects": {"github": {"custom_class": handler}}, **more}
    with Receiver(www) as receiver:
        return receiver.send(delivery)


@pytest.mark.parametrize("handler", [Foreign, Ours, Copying])
@pytest.mark.parametrize(
    ("secret", "status"), [(SECRET, 202), ("another secret of that length", 403), (None, 403)]
)
def test_a_delivery_that_is_handed_on_is_verified_by_who_gets_it(
    handler: Any, secret: str | None, status: int
) -> None:
    result = sent(handler, push(secret))
    assert (result.status, len(result.changes)) == (status, int(status == 202))


def test_a_password_before_the_endpoint_does_not_stand_for_a_signature() -> None:
    from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

    users: Any = InMemoryUsernamePasswordDatabaseDontUse(user=b"password")
    unsigned = push(None, auth=("user", "password"))
    assert sent(Ours, unsigned, change_hook_auth=[users]).status == 403
    assert sent(Ours, push(auth=("user", "password")), change_hook_auth=[users]).status == 202


def test_what_is_stored_is_not_verified_again_by_anybody() -> None:
    live = push().replace(id="1", verification="none", verifier=Ours(None, True))
    restored = Delivery.restore(*live.dump(), id="1", dialect="github")
    assert len(inner().getChanges(restored)[0]) == 1


def test_who_can_verify_nothing_takes_the_word_of_who_handed_it_on() -> None:
    live = push().replace(verification="signature", verifier=object())
    assert proceed(GitHubEventHandler(None, True).verified(live)) is live


def test_a_copy_in_another_way_is_verified_for_all_only_if_the_first_was() -> None:
    first = inner()
    for stored in (push(None), push(None).replace(verification="none")):
        for made in (deepcopy(stored), copy(stored), loads(dumps(stored))):
            assert made == stored
            assert made.is_verified_for(first) is stored.is_verified_for(first)
    live = push(None).replace(verification="none", verifier=first)
    assert live.is_verified_for(first)
    for made in (deepcopy(live), copy(live), loads(dumps(live))):
        assert made == live
        with pytest.raises(SignatureMissing):
            first.getChanges(made)


# Classes made for Buildbot ------------------------------------------------------------------------


class Processing(upstream.GitHubEventHandler):
    """Its own order of the steps, each of them as it is."""

    @inlineCallbacks
    def process(self, request: Any) -> Any:
        payload = yield self._get_payload(request)
        return self.handle_push(payload, "push")


class ByTheWay(upstream.GitHubEventHandler):
    """The same, where nobody sees that by looking at the method."""

    @inlineCallbacks
    def process(self, request: Any) -> Any:
        payload = yield getattr(self, "_get_" + "payload")(request)
        return self.handle_push(payload, "push")


class Itself(upstream.GitHubEventHandler):
    """Reads the body by itself."""

    def process(self, request: Any) -> Any:
        return [{"revision": "1"}], "git"


def received(handler: Any, delivery: Delivery, **options: Any) -> Any:
    given = {"class": handler, "secret": SECRET, "strict": True, **options}
    with Receiver({"change_hook_dialects": {"github": given}}) as receiver:
        return receiver.send(delivery), receiver.deliveries()[-1]


@pytest.mark.parametrize(("handler", "verification"), [(Processing, "signature"), (ByTheWay, "none")])
def test_a_class_with_its_own_process_verifies_in_get_payload(handler: Any, verification: str) -> None:
    for secret in (None, "another secret of that length"):
        assert received(handler, push(secret))[0].status == 403
    result, stored = received(handler, push())
    assert (result.status, len(result.changes), stored.verification) == (202, 1, verification)


def test_a_class_that_reads_the_body_by_itself_verifies_by_itself() -> None:
    result, stored = received(Itself, push(None), replay=False)
    assert (result.status, len(result.changes), stored.verification) == (202, 1, "none")
    assert stored.delivery.startswith("unverified:")


def test_the_class_of_an_option_does_not_verify_once_more() -> None:
    asked: list[Any] = []

    def secret(delivery: Any) -> str:
        asked.append(delivery)
        return SECRET

    outer = upstream.GitHubHandler(None, {"secret": secret, "class": upstream.GitHubEventHandler})
    live = proceed(outer.verified(push(None)))
    assert live.verification == "none"
    changes: list[Any] = []
    outer.getChanges(live.replace(verifier=outer)).addCallback(changes.append)
    assert len(changes[0][0]) == 1
    assert len(asked) == 1
