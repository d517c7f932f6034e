"""What the pages show, and what a form on them does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from change_hooks.admin.assets import content_of
from change_hooks.admin.pages import LINES
from change_hooks.admin.replaying import LISTED, MOST
from change_hooks.core.errors import Unavailable
from change_hooks.core.sink_answers import SinkError, SinkRefused
from change_hooks.testing import MemorySink

from ..support.logs import logged
from .conftest import SAME, Made, Operator

Make = Callable[..., Made]
HOSTILE = "<script>alert(1)</script>&amp; \x1b[2J\u202e\x00"


def push(receiver: Any, **fields: str) -> Any:
    return receiver.post(
        "base", form={"revision": "1c9f", "branch": "main", "repository": "acme/api", **fields}
    )


def test_without_deliveries_it_says_where_to_send_them_and_how_to_try(made: Make) -> None:
    receiver, operator = made(
        {"change_hook_dialects": {"base": True, "github": {"secret": "a long enough secret"}}}
    )
    receiver.service.address = "http://127.0.0.1:8010/change_hook"
    page = operator.get().text
    assert "Nothing has been received yet" in page
    assert "http://127.0.0.1:8010/change_hook/github" in page
    assert "change-hooks simulate github --to http://127.0.0.1:8010/change_hook/github" in page
    receiver.service.config_file = "my hooks.cfg"
    assert "change-hooks simulate github &#39;my hooks.cfg&#39;" in operator.get().text.replace("'", "&#39;")


def test_the_address_that_forges_are_told_comes_first(made: Make) -> None:
    _, operator = made({"change_hook_admin": {"url": "https://ci.example.org/hooks/"}})
    assert "https://ci.example.org/hooks/base" in operator.get().text


def test_a_line_says_what_came_and_what_became_of_it(made: Make) -> None:
    receiver, operator = made(
        {"change_hook_dialects": {"base": True, "github": {"secret": "a long enough secret"}}}
    )
    push(receiver, author="Ann <ann@example.com>")
    receiver.post("github", "ping", {"zen": "x"})
    receiver.post("github", "push", b"{}", secret="wrong")
    receiver.settle()
    page = operator.get().text
    assert page.index("refused") < page.index("a ping; the webhook works")
    for part in ("acme/api", ">main<", "1 change", 'class="state delivered"', 'class="state taken"', "403"):
        assert part in page
    assert "ann@example.com" not in page


def test_what_was_sent_is_text_wherever_it_is_shown(made: Make) -> None:
    receiver, operator = made()
    push(receiver, author=HOSTILE, branch=HOSTILE, repository=HOSTILE, comments=HOSTILE)
    receiver.settle()
    for path in ("", "deliveries/1", "replay", "?repository=<script>x&text=<script>"):
        page = operator.get(path).text
        assert "<script>" not in page
        assert not {"\x1b", "\u202e", "\x00"} & set(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in operator.get("deliveries/1").text


@pytest.mark.parametrize("path", ["", "deliveries/1", "replay", "deliveries/9", "static/page.css"])
def test_nothing_comes_from_elsewhere_and_nobody_shows_it_in_a_frame(path: str, made: Make) -> None:
    receiver, operator = made()
    push(receiver)
    reply = operator.get(path)
    policy = reply.header("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.header("x-content-type-options") == "nosniff"
    assert "style=" not in reply.text.replace("font-style", "")


def test_the_files_beside_it_are_small_and_named_by_what_they_hold(made: Make) -> None:
    _, operator = made()
    page = operator.get().text
    for name, kind in (
        ("page.css", "text/css"),
        ("page.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        assert f"./static/{name}?v=" in page
        reply = operator.get(f"static/{name}")
        assert reply.status == 200
        assert (reply.header("content-type") or "").startswith(kind)
    assert len(content_of("page.js")) <= 4096


def test_the_filters_choose_and_stay(made: Make) -> None:
    receiver, operator = made()
    push(receiver, repository="acme/api")
    push(receiver, repository="acme/web", branch="dev", author="Bob")
    for query in (
        "repository=*web",
        "branch=dev",
        "text=BOB",
        "repository=acme/web&state=delivered&sink=sink",
    ):
        page = operator.get(f"?{query}").text
        assert "deliveries/2" in page
        assert "deliveries/1" not in page
        assert 'data-live="live?' in page
    assert "No delivery matches" in operator.get("?endpoint=none").text
    assert '<option value="none" selected="selected">' in operator.get("?endpoint=none").text
    assert "deliveries/1" in operator.get("?state=nonsense&before=x&unknown=1").text


def test_a_page_ends_where_the_next_one_begins(made: Make) -> None:
    receiver, operator = made()
    for number in range(LINES + 1):
        push(receiver, revision=str(number))
    first = operator.get().text
    assert 'deliveries/2"' in first
    assert 'deliveries/1"' not in first
    assert "?before=2" in first
    second = operator.get("?before=2").text
    assert 'deliveries/1"' in second
    assert "data-live" not in second


def test_an_endpoint_that_is_sent_signatures_without_a_secret_is_named(made: Make) -> None:
    dialects = {"github": {}, "gitlab": {}}
    receiver, operator = made({"change_hook_dialects": dialects})
    receiver.post("github", "ping", {}, headers={"X-Hub-Signature-256": "sha256=00"})
    assert "does not verify" in operator.get().text
    again, operator = made({"change_hook_dialects": dialects}, beside=receiver)
    assert operator.get().text.count("does not verify") == 1
    again.service.reconfigure({"change_hook_dialects": {"github": {"secret": "a long enough secret"}}})
    assert "does not verify" not in operator.get().text


def test_the_health_of_each_sink(made: Make) -> None:
    def broken(change: Any) -> None:
        raise SinkError("asleep")

    def refuses(change: Any) -> None:
        raise SinkRefused("never")

    receiver, operator = made({"change_hook_sinks": {"a": MemorySink("a"), "b": broken, "c": refuses}})
    push(receiver)
    receiver.advance(1)
    page = operator.get().text
    assert "asleep" in page
    assert "1 dead letter" in page
    assert 'class="state ok"' in page


def test_one_delivery_with_all_that_is_known_of_it(made: Make) -> None:
    receiver, operator = made()
    result = push(receiver, comments="Two\nlines", password="hunter2")
    receiver.settle()
    page = operator.get("deliveries/1").text
    for part in (result.delivery, "Two\nlines", "answered 202", "Payload", "content-type", "1c9f"):
        assert part.lower() in page.lower()
    assert "The headers and the payload" not in page


def test_secrets_in_a_payload_are_not_shown(made: Make) -> None:
    receiver, operator = made({"change_hook_dialects": {"gitlab": {}}})
    receiver.post(
        "gitlab",
        "Push Hook",
        {
            "object_kind": "push",
            "ref": "refs/heads/a",
            "after": "2" * 40,
            "before": "1" * 40,
            "password": 'hun"ter2',
            "a": {"access_token": "t0ken"},
            "project": {"git_http_url": "https://g.example/a.git", "path_with_namespace": "a"},
            "commits": [],
        },
    )
    page = operator.get("deliveries/1").text
    assert "t0ken" not in page
    assert "ter2" not in page
    assert "(not shown)" in page


def test_payloads_can_be_left_out(made: Make) -> None:
    receiver, operator = made({"change_hook_admin": {"payloads": False}})
    push(receiver, comments="told")
    page = operator.get("deliveries/1").text
    assert "Payloads are not shown here" in page
    assert "comments=told" not in page


def test_a_refused_request_has_no_payload(made: Make) -> None:
    receiver, operator = made({"change_hook_dialects": {"github": {"secret": "a long enough secret"}}})
    receiver.post("github", "push", b"{}", secret="wrong")
    assert "headers and the payload of this request are not stored" in operator.get("deliveries/1").text


@pytest.mark.parametrize(
    "path", ["deliveries/7", "deliveries/x", "deliveries/", "deliveries/1/2", "deliveries/²"]
)
def test_what_is_not_there(path: str, made: Make) -> None:
    _, operator = made()
    assert operator.get(path).status == 404


def test_other_methods_are_not_taken(made: Make) -> None:
    _, operator = made()
    reply = operator.ask("DELETE", "")
    assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")
    assert operator.ask("HEAD").text == ""


def test_too_many_fields_are_refused(made: Make) -> None:
    _, operator = made()
    assert operator.get("?" + "a=1&" * 3000).status == 400


def test_a_journal_that_cannot_be_read_is_a_page_that_says_so(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, operator = made()

    def unavailable(_: object) -> Any:
        raise Unavailable("the journal cannot be read now")

    monkeypatch.setattr(receiver.journal, "reader", lambda: 1)
    reply = operator.get()
    assert reply.status == 500
    assert "incident" in reply.text
    monkeypatch.setattr(receiver.journal, "read", unavailable)
    assert operator.get().status == 503


def test_without_a_journal_there_is_nothing_to_show() -> None:
    from change_hooks import ChangeHookService

    service = ChangeHookService({"change_hook_journal": None, "change_hook_dialects": {}}, sink=print)
    operator = Operator(service.admin)
    assert "There is no journal" in operator.get().text
    assert operator.ask("POST").status == 405


# Replay ---------------------------------------------------------------------------------------------


@pytest.fixture
def two(made: Make) -> Any:
    """Two sinks that have taken a delivery."""
    sinks = {name: MemorySink(name) for name in "ab"}
    receiver, operator = made({"change_hook_sinks": sinks})
    push(receiver)
    receiver.settle()
    return receiver, operator, sinks


def counts(sinks: Any) -> list[int]:
    return [len(sinks[name].changes) for name in "ab"]


def test_a_delivery_is_replayed_to_the_sinks_that_are_chosen(two: Any) -> None:
    receiver, operator, sinks = two
    form = [("seq", "1"), ("to", "chosen"), ("sink", "b"), ("token", operator.token("deliveries/1"))]
    reply = operator.post("replay", form)
    assert (reply.status, reply.header("location")) == (303, "deliveries/1")
    receiver.advance(1)
    receiver.settle()
    assert counts(sinks) == [1, 2]


def test_a_filtered_set_is_replayed_when_that_is_confirmed(two: Any) -> None:
    receiver, operator, sinks = two
    push(receiver, branch="dev")
    receiver.settle()
    page = operator.get("replay?branch=main").text
    assert "Replay 1 delivery?" in page
    assert counts(sinks) == [2, 2]
    form = [("seq", "1"), ("seq", "2"), ("to", "chosen"), ("sink", "a"), ("token", operator.token("replay"))]
    assert operator.post("replay", form).header("location") == "./?asked=2"
    assert "A replay of 2 deliveries was requested" in operator.get("?asked=2").text
    receiver.advance(1)
    receiver.settle()
    assert counts(sinks) == [4, 2]


def test_by_default_only_what_has_not_been_taken(two: Any) -> None:
    receiver, operator, sinks = two
    form = [("seq", "1"), ("to", "untaken"), ("token", operator.token("replay"))]
    assert operator.post("replay", form).status == 303
    receiver.advance(1)
    receiver.settle()
    assert counts(sinks) == [1, 1]


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [
        ({**SAME, "Origin": "https://evil.example"}, None, 403),
        ({**SAME, "Origin": "null"}, None, 403),
        ({**SAME, "Origin": "http://localhost:3000"}, None, 403),
        ({**SAME, "Sec-Fetch-Site": "cross-site"}, None, 403),
        ({"Host": "localhost:8011"}, None, 403),
        (SAME, "", 403),
        (SAME, "wrong", 403),
        (SAME, "\u00e4", 403),
    ],
)
def test_a_post_of_another_site_or_without_the_token_replays_nothing(
    headers: Any, token: str | None, status: int, two: Any
) -> None:
    receiver, operator, sinks = two
    token = operator.token("deliveries/1") if token is None else token
    form = [("seq", "1"), ("to", "chosen"), ("sink", "a"), ("token", token)]
    assert operator.post("replay", form, headers).status == status
    receiver.advance(60)
    receiver.settle()
    assert counts(sinks) == [1, 1]


@pytest.mark.parametrize(
    "form",
    [
        [],
        [("seq", "x")],
        [("seq", "1"), ("to", "chosen")],
        [("seq", "1"), ("to", "chosen"), ("sink", "c")],
        [("seq", "1")] * (MOST + 1),
        [("x", "1")] * 3000,
    ],
)
def test_a_form_that_says_nothing_sensible_is_refused(form: Any, two: Any) -> None:
    _, operator, _ = two
    reply = operator.post("replay", [*form, ("token", operator.token("replay"))])
    assert reply.status == 400


def test_what_cannot_be_replayed_is_not_offered(made: Make) -> None:
    receiver, operator = made({"change_hook_dialects": {"github": {"secret": "a long enough secret"}}})
    receiver.post("github", "ping", {})
    assert "Nothing to replay" in operator.get("replay").text
    assert "<form" not in operator.get("deliveries/1").text


def test_a_search_that_takes_long_says_how_far_it_has_come(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("change_hooks.admin.pages.WITHIN", -1.0)
    monkeypatch.setattr("change_hooks.journal.searching.STRETCH", 2)
    receiver, operator = made()
    for number in range(5):
        push(receiver, repository=f"acme/r{number}")
    page = operator.get("?branch=nowhere").text
    assert "No delivery matches so far." in page
    assert "Searched back to <time" in page
    assert ">Search further back<" in page
    further = re.search(r'href="([^"]*before=4[^"]*)"', page)
    assert further is not None
    assert "branch=nowhere" in further[1]
    end = operator.get("?branch=nowhere&before=2").text
    assert "No delivery matches. " in end
    assert "Searched back" not in end


def test_of_many_that_are_meant_the_newest_are_listed(made: Make) -> None:
    receiver, operator = made({"change_hook_sinks": {"a": MemorySink("a")}})
    for number in range(LISTED + 3):
        push(receiver, branch=f"b{number}")
    receiver.settle()
    page = operator.get("replay").text
    assert f"Replay {LISTED + 3} deliveries?" in page
    assert "… and 3 more" in page
    assert " b2 " not in page
    assert "… and" not in operator.get("replay?branch=b1").text


def test_a_signature_that_nobody_checks_is_logged_once_a_while(made: Make) -> None:
    receiver, _ = made({"change_hook_dialects": {"github": {}}})
    with logged() as lines:
        for _ in range(3):
            receiver.post("github", "ping", {}, headers={"X-Hub-Signature-256": "sha256=00"})
    assert lines.text.count("deliveries are signed, but no signature is verified") == 1
