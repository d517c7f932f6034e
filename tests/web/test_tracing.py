"""Each request that gave nothing leaves a trace, wherever it was refused."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyRequest

from change_hooks import Change, HookHandler
from change_hooks.config import read_www
from change_hooks.core.errors import Unavailable
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects.handler import Context
from change_hooks.intake.inline import InlineIntake
from change_hooks.journal import Trace
from change_hooks.tree import Tree
from change_hooks.web.admission import Gate
from change_hooks.web.tracing import telling
from tests.conftest import Client
from tests.support.connections import Connection, Transport, site
from tests.support.watching import Watching

SECRET = "a long enough secret"
JSON = {"Content-Type": "application/json"}


class Broken(HookHandler):
    def getChanges(self, request: Any) -> Any:
        raise RuntimeError("a bug")


class Served:
    """Resources, and the traces that they leave."""

    def __init__(self, dialects: Any, **more: Any) -> None:
        self.traces: list[Trace] = []
        self.changes: list[Change] = []
        www = {"change_hook_dialects": dialects, "change_hook_journal": None, **more}
        self.watching = Watching()
        self.clock: Any = Clock()
        self.tree = Tree(
            read_www(www),
            Context(clock=self.clock),
            InlineIntake(self.changes.append),
            Gate(),
            observer=self.watching,
            tracer=self.traces.append,
        )
        self.client = Client(self.tree.root)

    def left(self) -> list[tuple[str, str, int]]:
        return [(trace.dialect, trace.state, trace.status) for trace in self.traces]


@pytest.fixture
def served() -> Served:
    github = {"secret": SECRET, "strict": True}
    return Served(
        {"github": github, "base": True, "x": {"custom_class": Broken}}, change_hook_max_body=10_000
    )


def github(body: bytes, event: str = "push", secret: str = SECRET) -> dict[str, Any]:
    signature = sign_hmac(body, secret.encode())
    headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": "guid-1", "X-Hub-Signature-256": signature}
    return {"data": body, "headers": {**JSON, **headers}}


def test_what_is_accepted_leaves_none(served: Served) -> None:
    assert served.client.post("/base", data={"revision": "1"}).status == 202
    assert served.client("OPTIONS", "/base").status == 204
    assert served.traces == []


def test_a_ping_is_ignored_and_says_why(served: Served) -> None:
    served.client.post("/github", **github(b"{}", "ping"))
    (trace,) = served.traces
    assert (trace.dialect, trace.state, trace.status, trace.delivery) == ("github", "ignored", 202, "guid-1")
    assert trace.reason
    assert (trace.verification, trace.bytes, trace.client) == ("signature", 2, "127.0.0.1")


def test_what_was_filtered_says_what_it_was_about() -> None:
    served = Served({"github": {"secret": SECRET, "branches": ["main"]}})
    body = (
        b'{"ref": "refs/heads/next", "after": "1", "before": "0", "commits": [], "sender": {"login": "ann"},'
        b' "repository": {"full_name": "o/r", "html_url": "https://github.com/o/r"}}'
    )
    served.client.post("/github", **github(body))
    (trace,) = served.traces
    assert (trace.event, trace.repository, trace.branch) == ("push", "https://github.com/o/r", "next")
    assert "option 'branches'" in trace.reason


def test_a_forged_request_is_refused_without_its_body(served: Served) -> None:
    served.client.post("/github", **github(b'{"forged": 1}', secret="another long secret"))
    (trace,) = served.traces
    assert (trace.state, trace.status, trace.delivery, trace.bytes) == ("refused", 403, "guid-1", 13)
    assert (trace.event, trace.repository, trace.verification) == ("", "", "none")
    assert "forged" not in repr(trace)


@pytest.mark.parametrize(
    ("method", "path", "request_", "left"),
    [
        ("POST", "/nothing", {}, ("nothing", "refused", 404)),
        ("POST", "/%3Cscript%3E", {}, ("", "refused", 404)),
        ("POST", "/github/more", {}, ("github", "refused", 404)),
        ("PUT", "/github", {}, ("github", "refused", 405)),
        ("POST", "/github", {"data": b"x" * 10_001, "headers": JSON}, ("github", "refused", 413)),
        (
            "POST",
            "/github",
            {"data": b"x", "headers": {**JSON, "Content-Encoding": "gzip"}},
            ("github", "refused", 415),
        ),
        ("POST", "/base", {"headers": {"Sec-Fetch-Site": "cross-site"}}, ("base", "refused", 403)),
        ("POST", "/base", {}, ("base", "refused", 400)),
        ("POST", "/x", {}, ("x", "refused", 500)),
    ],
)
def test_what_is_refused_leaves_a_trace(
    served: Served, method: str, path: str, request_: Any, left: Any
) -> None:
    reply = served.client(method, path, **request_)
    assert served.left() == [left]
    (trace,) = served.traces
    assert trace.reason + "\n" == reply.text
    assert trace.bytes == len(request_.get("data", b""))
    assert trace.client == "127.0.0.1"


def test_the_address_without_a_dialect() -> None:
    served = Served({"github": True})
    served.client.post("")
    served.client.post("/")
    assert served.left() == [("", "refused", 404), ("base", "refused", 404)]


def test_what_could_not_be_taken_leaves_a_trace(served: Served) -> None:
    served.tree.retire()
    served.client.post("/base", data={"revision": "1"})
    assert served.left() == [("base", "refused", 503)]


def test_a_name_that_the_sender_claims_is_cleaned(served: Served) -> None:
    request = github(b"{}", secret="another long secret")
    request["headers"]["X-GitHub-Delivery"] = "<b>" * 100
    served.client.post("/github", **request)
    assert served.traces[0].delivery.startswith("sha256:")
    served.client.post("/x")
    assert len(served.traces[1].delivery) == 32


def users() -> Any:
    database = InMemoryUsernamePasswordDatabaseDontUse()
    database.addUser(b"user", b"password")
    return database


def test_a_wrong_password_leaves_a_trace() -> None:
    served = Served({"base": True, "own": {"dialect": "base", "auth": [users()]}}, change_hook_auth=[users()])
    right, wrong = ("user", "password"), ("user", "wrong")
    for path in ("/base", "/", "", "/own"):
        served.client.post(path, data={"revision": "1"}, auth=wrong)
        served.client.post(path, data={"revision": "1"}, auth=right)
    assert served.left() == [("base", "refused", 401)] * 3 + [("own", "refused", 401)]
    assert "password" not in repr(served.traces)
    assert len(served.changes) == 4


def test_a_client_that_goes_before_it_is_answered_leaves_none() -> None:
    served = Served({"base": True}, change_hook_auth=[users()])
    request: Any = DummyRequest([b""])
    request.prepath = [b"base"]
    served.tree.root.getChildWithDefault(b"base", request)
    request.processingFailed(Failure(ConnectionDone()))
    assert served.traces == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/change_hook/base", "base"),
        (b"/change_hook/base?x", "base"),
        (b"/change_hook/no", "no"),
        (b"/other/base", ""),
        (b"/", ""),
    ],
)
def test_what_the_front_refuses_leaves_a_trace(path: bytes, name: str) -> None:
    traces: list[Trace] = []
    connection = Connection(max_body=10, tracer=traces.append)
    connection.send(b"POST %s HTTP/1.1\r\nHost: x\r\nX: " % path + b"x" * 20_000)
    connection.send(b"\r\n\r\n")
    assert [(trace.dialect, trace.status, trace.state) for trace in traces] == [(name, 431, "refused")]


def test_what_an_endpoint_refuses_before_the_body_has_come_is_observed_too() -> None:
    served = Served({"base": True}, change_hook_max_body=10)
    front = site(served.tree.root, 10, served.clock, "own")
    for sent in (
        b"Content-Length: 11\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nB\r\n" + b"x" * 11,
        b"Content-Length: 1\r\n\r\n",
    ):
        channel = front.buildProtocol(None)
        channel.makeConnection(Transport())
        channel.dataReceived(b"POST /change_hook/base HTTP/1.1\r\nHost: x\r\n" + sent)
    served.clock.pump([1.0] * 31)
    assert served.left() == [("base", "refused", 413), ("base", "refused", 413), ("base", "refused", 408)]
    assert served.watching.of("answered") == [("base", "", "refused", 0)] * 3


def test_a_journal_that_is_down_leaves_a_trace_when_it_is_back() -> None:
    class Down(HookHandler):
        def getChanges(self, request: Any) -> Any:
            raise Unavailable("the journal cannot be written now")

    served = Served({"x": {"custom_class": Down}})
    served.client.post("/x")
    assert served.left() == [("x", "refused", 503)]


def test_what_no_endpoint_has_seen_is_also_counted_and_logged() -> None:
    watching, traces, logged = Watching(), list[Trace](), list[str]()
    trace = telling(traces.append, watching)

    def observe(event: Any) -> None:
        logged.append(f"{event['log_level'].name} {formatEvent(event)}")

    globalLogPublisher.addObserver(observe)
    try:
        trace(Trace("x", 5.0, 404, "refused", "no such dialect", client="192.0.2.1"))
        trace(Trace("", 5.0, 503, "refused", "too much"))
    finally:
        globalLogPublisher.removeObserver(observe)
    assert [each.status for each in traces] == [404, 503]
    assert watching.of("answered") == [("x", "", "refused", 0), ("", "", "unavailable", 0)]
    assert watching.seconds == []
    assert logged == ["warn x - from 192.0.2.1: 404 no such dialect", "warn - - from -: 503 too much"]


def test_a_tree_tells_of_wrong_addresses_and_passwords() -> None:
    watching = Watching()
    checker = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")
    www = {"change_hook_dialects": {"base": {"auth": checker}, "x": True}, "change_hook_journal": None}
    www["change_hook_dialects"]["x"] = {"custom_class": Broken}  # type: ignore[index]
    tree = Tree(
        read_www(www), Context(clock=Clock()), InlineIntake(lambda change: None), Gate(), observer=watching
    )
    client = Client(tree.root)
    client.post("/nothing")
    client.post("/x/more")
    client.post("/base", data={"revision": "1"})
    assert watching.of("answered") == [
        ("nothing", "", "refused", 0),
        ("x", "", "refused", 0),
        ("base", "", "refused", 0),
    ]
