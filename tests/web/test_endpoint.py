"""The way of a delivery, where it is not plain."""

from __future__ import annotations

import json
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource

from change_hooks import Change, HookHandler, make_resource
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import SignatureMissing, Unavailable
from change_hooks.core.found import About, Found
from change_hooks.intake.inline import InlineIntake
from change_hooks.intake.receipt import Receipt
from change_hooks.observer import Observer
from change_hooks.testing import Receiver, build
from change_hooks.web.admission import Gate
from change_hooks.web.endpoint import SECRET_WITHIN, Endpoint
from tests.conftest import Client, has_fired
from tests.support.connections import twisted_request
from tests.support.waiting import Waiting
from tests.support.watching import Watching


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


class Plain(HookHandler):
    def getChanges(self, request: Any) -> Any:
        return [{"revision": "1"}], "git"


class Fixed:
    """An intake that gives one receipt."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt

    def accept(self, delivery: Delivery, found: Found) -> Receipt:
        return self.receipt

    def accept_late(self, delivery: Delivery, found: Any) -> Any:
        return found.addCallback(lambda _: self.receipt)


def endpoint(handler: Any, receipt: Receipt) -> Client:
    clock: Any = Clock()
    made = Endpoint("x", handler, Fixed(receipt), Gate(), 1000, clock=clock)
    root = Resource()
    root.putChild(b"x", made)
    return Client(root)


@pytest.mark.parametrize(
    ("receipt", "text"),
    [
        (Receipt("accepted", 1), "1 change found"),
        (Receipt("accepted", 3), "3 changes found"),
        (Receipt("postponed"), "accepted; its changes are still being looked up"),
        (Receipt("ignored", reason="a ping"), "no change found: a ping"),
    ],
)
def test_a_receipt_is_the_answer(receipt: Receipt, text: str) -> None:
    assert endpoint(Plain(None, {}), receipt).post("/x").text == text + "\n"


def test_a_payload_that_is_nested_too_deeply_is_the_senders_fault() -> None:
    class Deep(HookHandler):
        def getChanges(self, request: Any) -> Any:
            raise RecursionError

    reply = endpoint(Deep(None, {}), Receipt("accepted", 1)).post("/x")
    assert (reply.status, reply.text) == (400, "the payload is nested too deeply\n")


def test_a_secret_that_never_comes_is_our_own_trouble(changes: list[Change]) -> None:
    clock = Clock()
    secrets = Waiting()

    www = {"change_hook_dialects": {"base": {"secret": secrets}}}
    client = Client(make_resource(www, sink=changes.append, clock=clock))  # type: ignore[arg-type]
    started = client.start("POST", "/base", data={"revision": "1"})
    client.flush()
    clock.advance(SECRET_WITHIN - 0.1)
    client.flush()
    assert not has_fired(started)
    clock.advance(0.2)
    reply = client.finish(started)
    assert (reply.status, "too long" in reply.text) == (503, True)
    assert changes == []


def test_an_answer_to_somebody_who_has_gone_harms_nobody(changes: list[Change]) -> None:
    waiting: list[Deferred[Any]] = []

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            waiting.append(Deferred())
            return waiting[-1]

    www = {"change_hook_dialects": {"x": {"custom_class": Slow}}}
    root = Resource()
    root.putChild(b"change_hook", make_resource(www, sink=changes.append))
    http = StubTreq(root)
    started = http.request("POST", "http://x/change_hook/x", data=b"")
    http.flush()
    started.addErrback(lambda _: None)
    started.cancel()
    http.flush()
    waiting[0].callback(([{"revision": "1"}], None))
    assert len(changes) == 1


@pytest.mark.parametrize(
    ("encoding", "named"), [("gzip", "gzip"), ("GZIP", "gzip"), ("br", "br"), ("x-my-own", None)]
)
def test_a_body_that_is_encoded_is_415(
    changes: list[Change], client: Callable[..., Client], encoding: str, named: str | None
) -> None:
    www = {"change_hook_dialects": {"base": True}}
    reply = client(make_resource(www, sink=changes.append)).post(
        "/base", data=b"x", headers={"Content-Encoding": encoding}
    )
    assert reply.status == 415
    assert "content encoding" in reply.text
    assert (named or "encoding is") in reply.text
    assert "my-own" not in reply.text


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_body_as_it_is_is_taken(
    changes: list[Change], client: Callable[..., Client], encoding: str
) -> None:
    www = {"change_hook_dialects": {"base": True}}
    reply = client(make_resource(www, sink=changes.append)).post(
        "/base", data={"revision": "1"}, headers={"Content-Encoding": encoding}
    )
    assert reply.status == 202


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://ci.example.com"}, 202),
        ({"Sec-Fetch-Site": "none"}, 202),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://other.example"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://forge.example"}, 202),
        ({"Origin": "http://localhost:80", "Host": "localhost"}, 202),
        ({"Origin": "HTTP://LOCALHOST", "Host": "localhost"}, 202),
        ({"Origin": "http://127.0.0.1:8010", "Host": "127.0.0.1:8010"}, 202),
        ({"Origin": "http://[::1]:8010", "Host": "[::1]:8010"}, 202),
        # Names that were made to lead to this machine.
        ({"Origin": "http://evil.example:8010", "Host": "evil.example:8010"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example", "Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://[x", "Host": "[x"}, 403),
        ({"Origin": "http://192.0.2.1", "Host": "192.0.2.1"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://ci.example", "Host": "ci.example"}, 202),
        ({"Host": "ci.example"}, 202),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[x"}, 403),
        ({}, 202),
    ],
)
def test_what_a_browser_sends_for_another_site_is_refused(
    changes: list[Change], client: Callable[..., Client], headers: dict[str, str], status: int
) -> None:
    www = {"change_hook_dialects": {"base": True}}
    reply = client(make_resource(www, sink=changes.append)).post(
        "/base", data={"revision": "1"}, headers=headers
    )
    assert reply.status == status


def test_a_page_whose_name_leads_here_reads_nothing_in(
    changes: list[Change], client: Callable[..., Client]
) -> None:
    www = {"change_hook_dialects": {"base": {"allow_get": True}}}
    here = client(make_resource(www, sink=changes.append))
    browser = {"Accept-Language": "en"}
    assert here.get("/base?revision=1", headers={"Host": "evil.example", **browser}).status == 403
    assert here.get("/base?revision=1", headers={"Host": "localhost:8010", **browser}).status == 202
    assert here.get("/base?revision=1", headers={"Host": "[x", **browser}).status == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [("ci.example", 202), ("localhost:1", 202), ("127.8.0.1", 202), ("x.example", 403), ("[::1", 403)],
)
def test_where_names_are_set_an_endpoint_without_a_secret_answers_to_no_other(
    changes: list[Change], client: Callable[..., Client], host: str, status: int
) -> None:
    dialects = {"base": True, "signed": {"dialect": "base", "secret": SECRET}}
    www = {"change_hook_dialects": dialects, "change_hook_hosts": ["CI.example"]}
    here = client(make_resource(www, sink=changes.append))
    reply = here.post("/base", data={"revision": "1"}, headers={"Host": host})
    assert reply.status == status
    assert ("change_hook_hosts" in reply.text) is (status == 403)
    sent = build(www, "signed", form={"revision": "1"})
    headers = {**dict(_flat(sent)), "Host": host}
    assert here.post("/signed", data=sent.body, headers=headers).status == 202


def _flat(sent: Delivery) -> Iterator[tuple[str, str]]:
    for name, values in sent.requestHeaders.getAllRawHeaders():
        yield name.decode(), values[0].decode()


def test_a_request_that_came_from_outside_may_name_any_host(changes: list[Change]) -> None:
    root = make_resource({"change_hook_dialects": {"base": True}}, sink=changes.append)
    headers = {
        b"origin": b"http://ci.example",
        b"host": b"ci.example",
        b"content-type": b"application/x-www-form-urlencoded",
    }
    request = twisted_request(b"POST", b"/change_hook/base", headers, b"revision=1")
    request.getHost = lambda: IPv4Address("TCP", "192.0.2.1", 80)
    root.getChildWithDefault(b"base", request).render(request)
    assert len(changes) == 1
    request.getHost = lambda: IPv6Address("TCP", "::ffff:127.0.0.1", 80)
    root.getChildWithDefault(b"base", request).render(request)
    assert len(changes) == 1


def test_an_answer_that_cannot_be_sent_is_an_incident(
    changes: list[Change], logged: list[dict[str, Any]]
) -> None:
    waiting: list[Deferred[Any]] = []

    class Slow(HookHandler):
        def getChanges(self, request: Any) -> Any:
            waiting.append(Deferred())
            return waiting[-1]

    gate = Gate()
    clock: Any = Clock()
    made = Endpoint("x", Slow(None, {}), Fixed(Receipt("accepted", 1)), gate, 1000, clock=clock)
    request = twisted_request(b"POST", b"/x", {}, b"")
    request.notifyFinish = Deferred

    def broken(*_: Any) -> None:
        raise RuntimeError

    request.write = broken
    made.render(request)
    waiting[0].callback(([{}], None))
    assert has_fired(gate.close("done"))
    assert any("could not be sent" in event.get("what", "") for event in logged)


@pytest.mark.parametrize(
    ("receipt", "outcome"),
    [
        (Receipt("accepted", 2, about=About("push")), ("x", "push", "accepted", 2)),
        (Receipt("postponed"), ("x", "", "accepted", 0)),
        (Receipt("ignored", reason="a ping", about=About("ping")), ("x", "ping", "ignored", 0)),
        (Receipt("duplicate"), ("x", "", "duplicate", 0)),
    ],
)
def test_an_observer_is_told_of_each_receipt(receipt: Receipt, outcome: tuple[Any, ...]) -> None:
    watching = Watching()
    client = watched(Plain(None, {}), Fixed(receipt), watching)
    client.post("/x")
    assert watching.of("answered") == [outcome]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SignatureMissing("no"), "refused"),
        (Unavailable("not now"), "unavailable"),
        (ValueError("no"), "refused"),
        (RecursionError(), "refused"),
        (KeyError("a bug"), "broken"),
    ],
)
def test_an_observer_is_told_of_what_went_wrong(error: Exception, outcome: str) -> None:
    class Failing(HookHandler):
        def getChanges(self, request: Any) -> Any:
            raise error

    watching = Watching()
    watched(Failing(None, {}), Fixed(Receipt("accepted", 1)), watching).post("/x")
    assert watching.of("answered") == [("x", "", outcome, 0)]


def test_an_observer_is_told_of_what_was_not_let_in() -> None:
    watching = Watching()
    client = watched(Plain(None, {}), Fixed(Receipt("accepted", 1)), watching)
    client.get("/x")
    client("OPTIONS", "/x")
    assert watching.of("answered") == [("x", "", "refused", 0)]


def watched(handler: Any, intake: Any, observer: Observer) -> Client:
    clock: Any = Clock()
    root = Resource()
    root.putChild(b"x", Endpoint("x", handler, intake, Gate(), 1000, clock=clock, observer=observer))
    return Client(root)


SECRET = "a long enough secret"
PUSHED = {
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "1" * 40,
    "repository": {"full_name": "o/r", "html_url": "https://forge.example/o/r"},
    "commits": [
        {"id": "1" * 40, "message": "m", "author": {"name": "A"}, "timestamp": "2024-05-01T10:00:00Z"}
    ],
    "head_commit": {"id": "1" * 40, "message": "m", "timestamp": "2024-05-01T10:00:00Z"},
}


def receiver(dialect: str = "github", **options: Any) -> Receiver:
    return Receiver({"change_hook_dialects": {dialect: {"secret": SECRET, **options}}})


def test_a_verified_body_under_another_id_is_a_duplicate_where_that_is_said() -> None:
    with receiver(replay=False) as here:
        first = here.post("github", "push", PUSHED, id="a")
        again = here.post("github", "push", PUSHED, id="b")
        # The name of the event is not signed.
        other = here.post("github", "create", PUSHED, id="c")
        assert (first.status, len(first.changes), again.changes) == (202, 1, [])
        assert again.text.startswith("duplicate of a, which was accepted before")
        assert again.delivery == "a"
        assert other.changes == []
        (stored,) = here.deliveries()[:1]
        assert (stored.delivery, stored.duplicates) == ("a", 1)
        assert "signature" not in str(here.journal.reader().whole(stored.seq).delivery.requestHeaders).lower()
    with receiver() as here:
        assert [len(here.post("github", "push", PUSHED, id=name).changes) for name in "ab"] == [1, 1]


def test_a_signed_document_in_another_form_is_the_same() -> None:
    with receiver("gitea", replay=False) as here:
        document = json.dumps(PUSHED).encode()
        assert here.post("gitea", "push", document, id="a").changes
        assert here.post("gitea", "push", form={"payload": document.decode()}, id="b").text.startswith(
            "duplicate of a,"
        )


def test_a_large_body_is_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.dialects.handler.LARGE", 10)
    monkeypatch.setattr("change_hooks.dialects.handler.in_thread", maybeDeferred)
    with receiver(replay=False) as here:
        texts = [here.post("github", "push", PUSHED, id=name).text for name in "ab"]
    assert texts[0] == "1 change found"
    assert texts[1].startswith("duplicate of a,")


@pytest.mark.parametrize("replay", [True, False])
def test_an_unverified_delivery_never_makes_a_verified_one_a_duplicate(replay: bool) -> None:
    with receiver(replay=replay) as here:
        unsigned = here.post("github", "push", PUSHED, id="a", secret=None)
        assert (unsigned.delivery, len(unsigned.changes)) == ("unverified:a", 1)
        signed = here.post("github", "push", PUSHED, id="a")
        assert (signed.delivery, len(signed.changes)) == ("a", 1)
        assert here.post("github", "push", PUSHED, id="a", secret=None).text.startswith("duplicate of unv")


def test_where_nothing_can_be_verified_the_id_is_the_senders() -> None:
    with Receiver({"change_hook_dialects": {"github": True}}) as here:
        assert here.post("github", "push", PUSHED, id="a").delivery == "a"


@pytest.mark.parametrize("error", [SystemExit, CancelledError])
@pytest.mark.parametrize("later", [False, True])
def test_what_ends_a_handler_and_is_no_exception_is_the_handlers_fault_alone(
    error: type[BaseException], later: bool, logged: list[dict[str, Any]]
) -> None:
    class Ending(HookHandler):
        def getChanges(self, request: Any) -> Any:
            if later:
                return fail(error("over"))
            raise error("over")

    gate = Gate()
    clock: Any = Clock()
    made = Endpoint("x", Ending(None, {}), InlineIntake(print, clock), gate, 1000, clock=clock)
    root = Resource()
    root.putChild(b"x", made)
    assert Client(root).post("/x").status == 500
    assert has_fired(gate.close("done"))
    assert [event["what"] for event in logged if "what" in event] == ["the handler of x broke"]
