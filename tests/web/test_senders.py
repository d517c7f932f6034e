"""Who may send, and how often when nothing verifies it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from change_hooks import HookHandler
from change_hooks.core.delivery import ClientAddress
from change_hooks.core.errors import AddressNotAllowed, TooManyRequests, Unavailable
from change_hooks.core.options import allow
from change_hooks.forges.published import AGAIN, REFRESH
from change_hooks.testing import Receiver
from change_hooks.web.senders import MOST_ADDRESSES, Allowed, Rate

SECRET = "a long enough secret"
PUSHED = {"ref": "refs/heads/main", "after": "1" * 40, "repository": {"full_name": "o/r"}}
HERE = ClientAddress("TCP", "192.0.2.1")


@pytest.mark.parametrize(
    ("written", "host", "is_allowed"),
    [
        ("192.0.2.0/24", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.1", True),
        (["10.0.0.0/8", "192.0.2.1"], "192.0.2.1", True),
        ("10.0.0.0/8", "192.0.2.1", False),
        ("192.0.2.0/24", "::ffff:192.0.2.1", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("10.0.0.0/8", "", False),
        ("10.0.0.0/8", "10.0.0.1.evil.example", False),
    ],
)
def test_an_address_is_in_a_network_or_not(written: Any, host: str, is_allowed: bool) -> None:
    allowed = Allowed(allow(written))
    if is_allowed:
        allowed.check(ClientAddress("TCP", host))
    else:
        with pytest.raises(AddressNotAllowed):
            allowed.check(ClientAddress("TCP", host))


def test_a_peer_of_a_unix_socket_has_no_address() -> None:
    with pytest.raises(AddressNotAllowed):
        Allowed(allow("10.0.0.0/8")).check(ClientAddress("UNIX", "10.0.0.1"))
    Allowed(allow(["unix"])).check(ClientAddress("UNIX", ""))


@pytest.mark.parametrize("wrong", [[], "10.0.0.1/8", "gitlab", "x", 7, [None], ["10.0.0.0/8", "300.0.0.1"]])
def test_what_is_no_network_is_an_error(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        allow(wrong)


def test_who_sends_from_elsewhere_is_refused() -> None:
    www = {"change_hook_dialects": {"github": {"secret": SECRET, "strict": True, "allow": ["192.0.2.0/24"]}}}
    with Receiver(www) as here:
        refused = here.post("github", "push", PUSHED)
        assert (refused.status, refused.text) == (403, "deliveries from this address are not accepted")
        assert here.deliveries()[0].state == "refused"
    www["change_hook_dialects"]["github"]["allow"] = ["192.0.2.0/24", "127.0.0.0/8"]
    with Receiver(www) as here:
        assert here.post("github", "push", PUSHED).status == 202


class Meta(Resource):
    """GitHub's list of addresses."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.content: Any = {"hooks": ["192.30.252.0/22", "127.0.0.0/8"]}
        self.asked = 0

    def render_GET(self, request: Any) -> bytes:
        assert request.path == b"/meta"
        self.asked += 1
        request.setResponseCode(self.status)
        return json.dumps(self.content).encode()


def test_the_list_that_github_publishes_is_fetched_and_kept() -> None:
    meta = Meta()
    www = {"change_hook_dialects": {"github": {"secret": SECRET, "strict": True, "allow": "github"}}}
    here = Receiver(www, http=StubTreq(meta))  # type: ignore[no-untyped-call]
    assert here.post("github", "push", PUSHED).status == 202
    assert meta.asked == 1
    # No request makes it ask.
    here.post("github", "push", PUSHED)
    assert meta.asked == 1
    for status, content in ((500, {}), (200, {"hooks": []}), (200, {"hooks": ["x"]}), (200, [1])):
        meta.status, meta.content = status, content
        here.advance(REFRESH)
        assert here.post("github", "push", PUSHED).status == 202
        here.advance(AGAIN)
    assert meta.asked >= 8
    meta.status, meta.content = 200, {"hooks": ["192.30.252.0/22"]}
    here.advance(REFRESH)
    assert here.post("github", "push", PUSHED).status == 403
    here.stop()
    before = meta.asked
    here.advance(2 * REFRESH)
    assert meta.asked == before
    here.service.startService()
    here.advance(REFRESH)
    assert meta.asked == before + 1
    here.stop()


def test_before_the_list_is_known_nothing_is_taken() -> None:
    www = {"change_hook_dialects": {"github": {"secret": SECRET, "strict": True, "allow": "github"}}}
    with Receiver(www) as here:
        refused = here.post("github", "push", PUSHED)
        assert (refused.status, refused.headers.getRawHeaders("retry-after")) == (503, ["30"])


def test_a_configuration_that_is_replaced_asks_no_more() -> None:
    meta = Meta()
    www = {"change_hook_dialects": {"github": {"secret": SECRET, "strict": True, "allow": "github"}}}
    with Receiver(www, http=StubTreq(meta)) as here:  # type: ignore[no-untyped-call]
        here.advance(1)
        here.service.reconfigure({"change_hook_dialects": {"base": True}})
        here.advance(2 * REFRESH)
        assert meta.asked == 1


def test_a_handler_that_declares_no_options_has_this_one() -> None:
    class Foreign(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return [{"revision": "1"}], None

    options = {"custom_class": Foreign, "allow": "192.0.2.0/24"}
    with Receiver({"change_hook_dialects": {"x": options}}) as here:
        assert here.post("x").status == 403
    with Receiver({"change_hook_dialects": {"x": {**options, "allow": "nowhere"}}}) as here:
        assert here.post("x").status == 503


def test_so_many_requests_a_minute_and_then_one_by_one() -> None:
    clock = Clock()
    rate = Rate(3, clock)  # type: ignore[arg-type]
    for _ in range(3):
        rate.count(HERE)
    with pytest.raises(TooManyRequests) as caught:
        rate.count(HERE)
    assert caught.value.retry_after == 21
    rate.count(ClientAddress("TCP", "192.0.2.2"))
    clock.advance(20)
    rate.count(HERE)
    with pytest.raises(TooManyRequests):
        rate.count(HERE)
    clock.advance(3600)
    for _ in range(3):
        rate.count(HERE)
    with pytest.raises(TooManyRequests):
        rate.count(HERE)


def test_one_client_of_ipv6_has_a_whole_network() -> None:
    rate = Rate(1, Clock())  # type: ignore[arg-type]
    rate.count(ClientAddress("TCP", "2001:db8::1"))
    with pytest.raises(TooManyRequests):
        rate.count(ClientAddress("TCP", "2001:db8::2"))
    rate.count(ClientAddress("TCP", "2001:db8:0:1::1"))


def test_however_many_addresses_send_the_memory_is_bounded() -> None:
    rate = Rate(1, Clock())  # type: ignore[arg-type]
    for number in range(MOST_ADDRESSES + 10):
        rate.count(ClientAddress("TCP", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    for number in range(10):
        rate.count(ClientAddress("TCP", f"10.0.0.{number}"))  # It was forgotten.
    with pytest.raises(TooManyRequests):
        rate.count(ClientAddress("TCP", "10.0.0.255"))


def test_only_what_nothing_verifies_is_limited() -> None:
    www = {
        "change_hook_dialects": {"github": {"secret": SECRET}, "gitlab": {"secret": SECRET}, "base": True},
        "change_hook_rate": 3,
    }
    with Receiver(www) as here:
        statuses = [
            here.post("base", form={"revision": "1"}).status,
            here.post("github", "push", PUSHED, secret=None).status,
            here.post("gitlab", "push", {}, secret="another one, which is wrong").status,
        ]
        assert statuses == [202, 202, 403]
        for name, more in (("base", {"form": {"revision": "1"}}), ("gitlab", {"secret": "wrong " * 4})):
            refused = here.post(name, "push", b"" if name == "base" else {}, **more)  # type: ignore[arg-type]
            assert (refused.status, refused.headers.getRawHeaders("retry-after")) == (429, ["21"])
        assert [here.post("github", "push", PUSHED).status for _ in range(5)] == [202] * 5
        here.advance(60)
        assert here.post("base", form={"revision": "1"}).status == 202


def test_without_the_option_nothing_is_limited() -> None:
    with Receiver({"change_hook_dialects": {"base": True}}) as here:
        assert {here.post("base", form={"revision": "1"}).status for _ in range(50)} == {202}


def test_a_list_that_is_not_known_is_not_the_senders_fault() -> None:
    class Unknown:
        networks = None

    with pytest.raises(Unavailable):
        Allowed(allow("github"), [Unknown()]).check(HERE)
