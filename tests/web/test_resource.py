from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from treq.testing import StubTreq
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogLevel, eventAsText, globalLogPublisher
from twisted.web.resource import Resource
from zope.interface import implementer

from change_hooks import Change, HookHandler, Ignored, make_resource
from change_hooks.core.errors import BadPayload, Unavailable
from change_hooks.core.found import Found
from change_hooks.core.verification import sign_hmac
from change_hooks.intake.inline import InlineIntake
from change_hooks.intake.receipt import Receipt
from change_hooks.interfaces import IChangeSink
from change_hooks.plugins import webhooks
from change_hooks.sinks.base import sink_call
from change_hooks.web.admission import Gate
from change_hooks.web.answers import wants_json
from change_hooks.web.delivery_ids import safe_id
from tests.conftest import Client, delivery, has_fired, result_of
from tests.support.connections import Connection
from tests.support.waiting import Waiting

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def handler_class(answer: Callable[[Any], Any], **attributes: Any) -> type[HookHandler]:
    """A handler whose getChanges is *answer*."""
    return type("Custom", (HookHandler,), {"getChanges": lambda self, request: answer(request), **attributes})


def serve(changes: list[Change], answer: Callable[[Any], Any] | None = None, **www: Any) -> Client:
    dialects: dict[str, Any] = {"base": True}
    if answer is not None:
        dialects["x"] = {"custom_class": handler_class(answer)}
    return Client(make_resource({"change_hook_dialects": dialects, **www}, sink=changes.append))


@pytest.fixture
def events() -> Any:
    """What is logged."""
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    yield seen
    globalLogPublisher.removeObserver(seen.append)


@pytest.mark.parametrize("path", ["/base", "/base/", "", "/", "/ba%73e", "//base", "/base//", "//"])
def test_a_change_is_found(changes: list[Change], path: str) -> None:
    reply = serve(changes).post(path, data={"revision": "abc"})
    assert (reply.status, reply.phrase, reply.text) == (202, b"Accepted", "1 change found\n")
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.header("x-content-type-options") == "nosniff"
    assert [change.revision for change in changes] == ["abc"]


@pytest.mark.parametrize(
    "path", ["/base-x", "/base/x", "/bas", "/Base", "/base%2f", "/github", "/..", "//x", "/base//x"]
)
def test_only_the_exact_segment_is_the_dialect(changes: list[Change], path: str) -> None:
    reply = serve(changes).post(path, data={"revision": "abc"})
    assert (reply.status, reply.phrase) == (404, b"Not Found")
    assert changes == []


def test_the_address_alone_is_404_when_base_is_not_enabled(changes: list[Change]) -> None:
    client = Client(
        make_resource(
            {"change_hook_dialects": {"x": {"custom_class": handler_class(lambda _: ([], None))}}}, sink=print
        )
    )
    assert client.post("").status == 404
    assert client.post("/").status == 404
    assert client.post("/x").status == 202


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([{}], "1 change found"),
        ([{}, Change()], "2 changes found"),
        ([], "no change found"),
        (Ignored("the branch was deleted"), "no change found: the branch was deleted"),
    ],
)
def test_the_answer_counts_the_changes(changes: list[Change], found: Any, text: str) -> None:
    reply = serve(changes, lambda _: (found, "git")).post("/x")
    assert (reply.status, reply.text) == (202, text + "\n")
    assert [change.src for change in changes] == ["git"] * (0 if isinstance(found, Ignored) else len(found))


@pytest.mark.parametrize(
    "accept", ["application/json", "text/html, application/json;q=0.9", "APPLICATION/JSON; q=1.0"]
)
def test_the_answer_is_json_on_demand(changes: list[Change], accept: str) -> None:
    reply = serve(changes, lambda _: ([{}, {}], None)).post("/x", headers={"Accept": accept})
    assert reply.header("content-type") == "application/json"
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.json["changes"] == 2
    assert reply.json["message"] == "2 changes found"
    assert len(reply.json["delivery"]) == 32


@pytest.mark.parametrize(
    "accept", [b"*/*", b"text/plain", b"application/json;q=0", b"application/json; q=0.000", b"", b"\xff"]
)
def test_plain_text_is_the_default(accept: bytes) -> None:
    assert not wants_json(accept)


def test_refusals_are_json_on_demand_too(changes: list[Change]) -> None:
    reply = serve(changes).post("/base", headers={"Accept": "application/json"})
    assert (reply.status, reply.json["changes"]) == (400, 0)
    assert "the request is empty" in reply.json["message"]
    assert serve(changes).post("/no", headers={"Accept": "application/json"}).json["changes"] == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "BREW"])
def test_other_methods_are_405_with_allow(changes: list[Change], method: str) -> None:
    reply = serve(changes)(method, "/base?revision=1")
    assert (reply.status, reply.phrase) == (405, b"Method Not Allowed")
    assert reply.header("allow") == "POST, OPTIONS"
    assert changes == []


def test_options_tells_the_methods_and_nothing_to_other_sites(changes: list[Change]) -> None:
    reply = serve(changes)("OPTIONS", "/base", headers={"Origin": "https://evil.example"})
    assert (reply.status, reply.text, reply.header("allow")) == (204, "", "POST, OPTIONS")
    assert reply.header("access-control-allow-origin") is None


def test_a_dialect_that_takes_get_takes_head_without_a_change(changes: list[Change]) -> None:
    client = Client(
        make_resource({"change_hook_dialects": {"base": {"allow_get": True}}}, sink=changes.append)
    )
    reply = client("HEAD", "/base?revision=1")
    assert (reply.status, reply.header("allow"), changes) == (204, "GET, POST, HEAD, OPTIONS", [])
    assert client("PUT", "/base").header("allow") == "GET, POST, HEAD, OPTIONS"
    assert client.get("/base?revision=1").text == "1 change found\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://[evil"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.forge.example"},
    ],
)
def test_a_page_of_another_site_may_not_send_to_a_dialect_without_a_signature(
    changes: list[Change], headers: dict[str, str]
) -> None:
    assert serve(changes).post("/base", data={"revision": "1"}, headers=headers).status == 403
    assert changes == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://forge.example"}, {"Sec-Fetch-Site": "none"}],
)
def test_a_page_of_ours_may(changes: list[Change], headers: dict[str, str]) -> None:
    assert serve(changes).post("/base", data={"revision": "1"}, headers=headers).status == 202


def test_a_signature_makes_up_for_a_foreign_page(changes: list[Change]) -> None:
    client = Client(make_resource({"change_hook_dialects": {"base": {"secret": "s"}}}, sink=changes.append))
    headers = {
        **FORM,
        "Origin": "https://evil.example",
        "X-Hub-Signature-256": sign_hmac(b"revision=1", b"s"),
    }
    assert client.post("/base", data=b"revision=1", headers=headers).status == 202
    assert client.post("/base", data=b"revision=2", headers=headers).status == 403


def test_a_body_over_the_cap_is_413(changes: list[Change]) -> None:
    client = serve(changes, change_hook_max_body=20)
    assert client.post("/base", data=b"revision=" + b"1" * 11, headers=FORM).status == 202
    reply = client.post("/base", data=b"revision=" + b"1" * 12, headers=FORM)
    assert (reply.status, len(changes)) == (413, 1)
    assert "change_hook_max_body" in reply.text


def test_a_handler_that_breaks_is_500_with_an_incident_that_the_log_explains(
    changes: list[Change], events: list[Any]
) -> None:
    def broken(request: Any) -> Any:
        raise RuntimeError("secret\nforged line")

    client = serve(changes, broken)
    reply = client.post("/x")
    assert (reply.status, reply.phrase) == (500, b"Internal Server Error")
    (event,) = [event for event in events if event["log_level"] is LogLevel.error]
    assert event["incident"] in reply.text
    assert "secret" not in reply.text
    assert event["error"].endswith(": secret forged line")
    assert "broken" in event["trace"]
    assert client.post("/base", data={"revision": "1"}).status == 202


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda _: fail(RuntimeError("x")), 500),
        (lambda _: None, 500),
        (lambda _: ([5], None), 500),
        (lambda _: ([{"brunch": "x"}], None), 500),
        (lambda _: ([{"files": 5}], None), 500),
        (lambda _: int("what was sent"), 400),
        (lambda _: fail(ValueError("what was sent")), 400),
        (lambda _: fail(BadPayload("must be text", "$.x")), 400),
        (lambda _: fail(Unavailable("busy", 7)), 503),
    ],
)
def test_errors_of_a_handler_have_their_status(
    changes: list[Change], answer: Callable[[Any], Any], status: int
) -> None:
    reply = serve(changes, answer).post("/x")
    assert reply.status == status
    assert "what was sent" not in reply.text
    assert changes == []
    if status == 503:
        assert reply.header("retry-after") == "7"


def test_a_handler_whose_delivery_id_breaks_is_500(changes: list[Change]) -> None:
    def broken(self: Any, delivery: Any) -> str:
        raise RuntimeError

    custom = handler_class(lambda _: ([{}], None), delivery_id=broken)
    client = Client(
        make_resource({"change_hook_dialects": {"x": {"custom_class": custom}}}, sink=changes.append)
    )
    assert client.post("/x").status == 500


def test_a_coroutine_or_deferred_is_waited_for(changes: list[Change]) -> None:
    waiting: Deferred[Any] = Deferred()

    async def later(request: Any) -> Any:
        return await waiting

    client = serve(changes, later)
    started = client.start("POST", "/x")
    client.flush()
    assert not has_fired(started)
    waiting.callback(([{"revision": "1"}], "hg"))
    reply = client.finish(started)
    assert (reply.status, reply.text) == (202, "1 change found\n")
    assert changes[0].src == "hg"


def test_a_client_that_goes_before_the_answer_does_no_harm(changes: list[Change], events: list[Any]) -> None:
    waiting: Deferred[Any] = Deferred()
    client = serve(changes, lambda _: waiting)
    started = client.start("POST", "/x")
    started.addErrback(lambda _: None)
    started.cancel()
    client.flush()
    waiting.callback(([{}], None))
    assert len(changes) == 1
    assert not [event for event in events if event["log_level"] is LogLevel.error]
    assert client.post("/base", data={"revision": "1"}).status == 202


# Sinks.


@implementer(IChangeSink)
class Sink:
    name = "mine"

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def add_change(self, change: Change, key: Any) -> None:
        self.seen.append((change.revision, key))


def test_a_sink_may_be_an_object_whose_method_is_a_coroutine(changes: list[Change]) -> None:
    sink = Sink()
    client = Client(make_resource({"change_hook_dialects": {"base": True}}, sink=sink))
    assert client.post("/base", data={"revision": "1"}).status == 202
    assert sink.seen == [("1", None)]


def test_what_is_no_sink_is_refused() -> None:
    with pytest.raises(TypeError, match="IChangeSink"):
        sink_call(5)


def test_a_sink_gets_the_changes_one_after_the_other() -> None:
    calls = Waiting()

    custom = handler_class(lambda _: ([{}, {}], None))
    client = Client(make_resource({"change_hook_dialects": {"x": {"custom_class": custom}}}, sink=calls))
    started = client.start("POST", "/x")
    client.flush()
    assert len(calls) == 1
    calls[0].callback(None)
    assert len(calls) == 2
    assert not has_fired(started)
    calls[1].callback(None)
    assert client.finish(started).text == "2 changes found\n"


@pytest.mark.parametrize("later", [False, True])
def test_a_sink_that_breaks_is_503_with_retry_after(events: list[Any], later: bool) -> None:
    def sink(change: Change) -> Any:
        if later:
            return fail(RuntimeError("secret"))
        raise RuntimeError("secret")

    client = Client(make_resource({"change_hook_dialects": {"base": True}}, sink=sink))
    reply = client.post("/base", data={"revision": "1"})
    assert (reply.status, reply.header("retry-after")) == (503, "30")
    assert "secret" not in reply.text
    assert [event for event in events if event["log_level"] is LogLevel.error]


# The log.


def test_one_line_per_delivery_without_what_was_sent(changes: list[Change], events: list[Any]) -> None:
    client = serve(changes)
    client.post(
        "/base?comments=sentinel", data={"author": "sentinel"}, headers={"X-GitHub-Delivery": "sentinel"}
    )
    client.post("/base", headers={"X-Y": "sentinel"})
    client.get("/base?x=sentinel")
    lines = [event for event in events if "status" in event]
    assert [event["status"] for event in lines] == [202, 400, 405]
    assert "sentinel" not in repr(lines)


def test_the_count_of_log_calls_does_not_grow_with_the_changes(
    changes: list[Change], events: list[Any]
) -> None:
    serve(changes, lambda _: ([{}] * 500, None)).post("/x")
    assert len([event for event in events if event["log_level"] is LogLevel.info]) == 1


# Examples of the specification, as printed (but for the import line).


def test_the_custom_hook_example_of_the_specification(changes: list[Change]) -> None:
    class CustomBase(webhooks.base):
        def getChanges(self, request):
            args = request.args
            chdict = dict(
                revision=args.get(b"revision"),
                repository=args.get(b"repository"),
                project=args.get(b"project"),
                codebase=args.get(b"codebase"),
            )
            return ([chdict], None)

    c: dict[str, Any] = {}
    c["www"] = dict(
        change_hook_dialects={
            "base": {
                "custom_class": CustomBase,
            },
        },
    )
    client = Client(make_resource(c["www"], sink=changes.append))
    assert client.post("/base", data={"revision": "1", "project": "p"}).text == "1 change found\n"
    assert (changes[0].revision, changes[0].project, changes[0].repository, changes[0].codebase) == (
        "1",
        "p",
        "",
        None,
    )


def test_two_dialects_as_in_the_specification(changes: list[Change]) -> None:
    class Somehook(HookHandler):
        def getChanges(self, request: Any) -> Any:
            return [
                {"project": repr(self.options["option1"]), "properties": {"2": self.options["option2"]}}
            ], None

    www = dict(
        change_hook_dialects={
            "base": True,
            "somehook": {"option1": True, "option2": False, "custom_class": Somehook},
        }
    )
    client = Client(make_resource(www, sink=changes.append))
    client.post("/somehook")
    assert (changes[0].project, changes[0].properties) == ("True", {"2": False})


def test_several_endpoints_of_one_dialect(changes: list[Change]) -> None:
    www = {
        "change_hook_dialects": {
            "a": {"dialect": "base", "secret": "1"},
            "b": {"dialect": "base", "secret": "2"},
        }
    }
    client = Client(make_resource(www, sink=changes.append))
    headers = {**FORM, "X-Hub-Signature-256": sign_hmac(b"revision=1", b"2")}
    assert client.post("/a", data=b"revision=1", headers=headers).status == 403
    assert client.post("/b", data=b"revision=1", headers=headers).status == 202


def test_it_mounts_behind_any_prefix(changes: list[Change]) -> None:
    root, deeper = Resource(), Resource()
    root.putChild(b"a b", deeper)
    deeper.putChild(b"hooks", make_resource({"change_hook_dialects": {"base": True}}, sink=changes.append))
    http = StubTreq(root)
    for path in ("hooks", "hooks/", "hooks/base", "hooks/base/"):
        response = result_of(http.post(f"http://x/a%20b/{path}", data={"revision": "1"}))
        assert response.code == 202
    assert len(changes) == 4


# Names and gates.


def test_delivery_ids_are_fit_to_be_shown() -> None:
    assert safe_id("72d3162e-cc78-11e3-81ab-4c9367dc0958") == "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    assert safe_id(None) != safe_id(None)
    for strange in ("a b\n", "<b>", "x" * 201, "\u00e4"):
        assert safe_id(strange).startswith("sha256:")
        assert safe_id(strange) == safe_id(strange)
    assert safe_id("\ud800").startswith("sha256:")


def test_a_gate_lets_those_inside_finish() -> None:
    gate = Gate()
    gate.enter()
    gate.enter()
    closed = gate.close("shutting down")
    with pytest.raises(Unavailable, match="shutting down"):
        gate.enter()
    gate.leave()
    assert not has_fired(closed)
    gate.leave()
    assert has_fired(closed)
    assert has_fired(gate.close("again"))
    gate.open()
    gate.enter()


def test_the_inline_intake_takes_a_sink_that_returns_a_value() -> None:
    intake = InlineIntake(lambda change: succeed(5))
    assert result_of(intake.accept(delivery(), Found([Change()]))) == Receipt("accepted", 1)


# Whatever is sent.

DOCUMENTED = {202, 400, 401, 403, 404, 405, 413, 415, 503}

header_values = st.binary(max_size=30).map(lambda value: value.translate(None, b"\x00\r\n").strip(b" \t"))


@given(
    body=st.binary(max_size=200),
    query=st.binary(max_size=40).map(lambda value: value.translate(None, b"\x00\r\n \t")),
    content_type=st.one_of(
        st.sampled_from(
            [
                b"application/json",
                b"application/x-www-form-urlencoded",
                b"multipart/form-data; boundary=X",
                b"text/plain",
            ]
        ),
        header_values,
    ),
    accept=header_values,
    origin=st.one_of(st.none(), header_values),
)
def test_nothing_but_documented_answers_ever_comes_back(
    body: bytes, query: bytes, content_type: bytes, accept: bytes, origin: bytes | None
) -> None:
    connection = Connection(max_body=150)
    connection.send(
        b"POST /change_hook/base?%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nAccept: %s\r\n%sContent-Length: %d\r\n\r\n%s"
        % (
            query,
            content_type,
            accept,
            b"" if origin is None else b"Origin: %s\r\n" % origin,
            len(body),
            body,
        )
    )
    first_line, _, rest = connection.answer.partition(b"\r\n")
    assert int(first_line.split()[1]) in DOCUMENTED
    assert b"x-content-type-options: nosniff\r\n" in rest.lower()


FIELDS = ["revision", "author", "comments", "files", "properties", "when", "project", "unknown"]


@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        st.sampled_from(["<script>", "a\r\nSet-Cookie: x", "\x00", "%0d%0a", "{[(<"]),
        min_size=1,
    ),
    st.booleans(),
)
def test_nothing_that_was_sent_comes_back(fields: dict[str, str], in_query: bool) -> None:
    client = serve([])
    path, arguments = ("/base", {"params": fields}) if in_query else ("/base", {"data": fields})
    reply = client.post(path, headers={"X-Evil": "<script>"}, **arguments)
    shown = reply.text + repr(list(reply.headers.getAllRawHeaders()))
    for value in fields.values():
        assert value.strip() == "" or value not in shown
    assert "<script>" not in shown
    assert "Set-Cookie" not in shown


@pytest.mark.parametrize("path", ["/base", "/nothing", "/base/deeper", "/late", "/locked", ""])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_no_request_gets_its_url_into_the_log(path: str, accept: str, events: list[Any]) -> None:
    dialects = {
        "base": {"allow_get": True},
        "late": {"custom_class": handler_class(lambda _: succeed(([{}], None)))},
        "locked": {"dialect": "base", "auth": [InMemoryUsernamePasswordDatabaseDontUse(u=b"p")]},
    }
    client = Client(make_resource({"change_hook_dialects": dialects}, sink=lambda change: None))
    for method in ("HEAD", "GET", "PUT", "OPTIONS", "POST", "BREW"):
        reply = client(method, f"{path}?token=s3cr3t", headers={"Accept": accept})
        assert reply.status != 500
        assert "s3cr3t" not in reply.text
    assert not [event for event in events if "s3cr3t" in f"{eventAsText(event)} {event}"]


def test_no_answer_names_the_version_of_twisted() -> None:
    dialects = {
        "base": True,
        "own": {"dialect": "base", "auth": [InMemoryUsernamePasswordDatabaseDontUse(u=b"p")]},
    }
    client = Client(make_resource({"change_hook_dialects": dialects}, sink=lambda change: None))
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        for path in ("/base", "/base/x", "/no", "/own", ""):
            assert client(method, path).header("server") is None
    assert client.post("/base", data={"revision": "1"}).header("server") is None
