"""The REST client that all forges share."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from change_hooks.forges.client import Rest
from change_hooks.forges.limits import asked_to_wait
from change_hooks.forges.paging import by_number
from change_hooks.forges.rest import RateLimited, RestError, Subject
from change_hooks.forges.segments import names
from change_hooks.forges.tokens import GivenToken, bearer, private_token
from change_hooks.http_answers import Answer
from tests.conftest import has_fired, result_of
from tests.support.fake_api import HANG, Asked, FakeApi, Say, page_of

BASE = "https://forge.example/api"


class Items(FakeApi):
    """A list in pages."""

    def __init__(self, count: int = 5) -> None:
        super().__init__()
        self.items = list(range(count))
        self.tag = '"1"'
        self.route("GET", r"/api/items", self.page)
        self.route("GET", r"/api/linked", self.linked)
        self.route("GET", r"/api/tagged", self.tagged)
        self.route("POST", r"/api/items", lambda asked: Say(asked.json, 201))
        self.route("DELETE", r"/api/items", lambda asked: Say(status=204))
        self.host = BASE

    def page(self, asked: Asked) -> Any:
        return page_of(self.items, asked)

    def linked(self, asked: Asked) -> Any:
        start = int(asked.query.get("cursor", "0"))
        link = f'<{BASE}/first>; rel="first", <{self.host}/linked?cursor={start + 2}&x=%2F>; rel="next"'
        headers = {"Link": link} if start + 2 < len(self.items) else {}
        return Say(self.items[start : start + 2], headers=headers)

    def tagged(self, asked: Asked) -> Any:
        if asked.headers.get("if-none-match") == self.tag:
            return Say(status=304, headers={"ETag": self.tag})
        return Say(self.items, headers={"ETag": self.tag})


def rest(api: FakeApi, clock: Any = None, **more: Any) -> Rest:
    return Rest(BASE, StubTreq(api), clock or Clock(), **more)


def run(coroutine: Any) -> Any:
    return result_of(Deferred.fromCoroutine(coroutine))


def test_a_value_and_its_query() -> None:
    api = Items()
    got = run(rest(api).get("items", query={"per_page": "2", "page": "2"}))
    assert (got.value, got.status, got.fresh) == ([2, 3], 200, True)
    assert api.asked[0].headers["accept"] == "application/json"
    assert "authorization" not in api.asked[0].headers


def test_what_is_sent_and_an_empty_answer() -> None:
    api = Items()
    assert run(rest(api).send("POST", "items", json={"a": 1})).value == {"a": 1}
    assert api.asked[0].headers["content-type"] == "application/json"
    assert run(rest(api).send("DELETE", "items")).value is None


def test_all_pages_and_at_most_so_many() -> None:
    api = Items(5)
    query = {"per_page": "2"}
    assert run(rest(api).all("items", pager=by_number(2), most=9, query=query)) == ([0, 1, 2, 3, 4], True)
    assert run(rest(api).all("items", pager=by_number(2), most=2, query=query)) == ([0, 1, 2, 3], False)


def test_the_query_of_a_link_is_used_and_nothing_else_of_it() -> None:
    api = Items(5)
    client = rest(api)
    found = run(client.all("linked", pager=lambda got, items, query: client.link(got), most=9))
    assert found == ([0, 1, 2, 3, 4], True)
    assert [asked.query for asked in api.asked][1:] == [{"cursor": "2", "x": "/"}, {"cursor": "4", "x": "/"}]


@pytest.mark.parametrize("host", ["https://evil.example/api", "http://forge.example/api", "//evil.example"])
def test_a_link_to_another_host_is_not_followed(host: str) -> None:
    api = Items(5)
    api.host = host
    client = rest(api, authorization=GivenToken("t0ken", bearer))
    with pytest.raises(RestError, match="not at the configured address"):
        run(client.all("linked", pager=lambda got, items, query: client.link(got), most=9))
    assert len(api.asked) == 1


def test_a_page_that_names_itself_as_the_next_one_ends_the_list() -> None:
    client = rest(Items())
    with pytest.raises(RestError, match="the same page"):
        run(client.all("items", pager=lambda got, items, query: query, most=9))


def test_pages_that_go_round_end_the_list() -> None:
    api = Items(99)
    turns = {"1": "2", "2": "3", "3": "2"}

    def following(_: Any, _items: Any, query: Any) -> Any:
        return {"per_page": "2", "page": turns[query.get("page", "1")]}

    with pytest.raises(RestError, match="the same page"):
        run(rest(api).all("items", pager=following, most=99))
    assert len(api.asked) == 3


def test_a_forge_that_gives_the_same_page_under_every_number_ends_the_list() -> None:
    api = Items(99)
    api.route("GET", "/api/same", lambda asked: [1, 2])
    with pytest.raises(RestError, match="the same page"):
        run(rest(api).all("same", pager=by_number(2), most=99, query={"per_page": "2"}))
    assert len(api.asked) == 2


def test_a_redirection_is_not_followed() -> None:
    api = Items()
    api.instead = [Say(status=301, headers={"Location": "https://evil.example/"})]
    with pytest.raises(RestError, match="redirects") as caught:
        run(rest(api, authorization=GivenToken("t0ken", bearer)).get("items"))
    assert len(api.asked) == 1
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "set the option 'token'"),
        (403, "permission"),
        (404, "does not know this"),
        (500, "responded with 500"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, says: str) -> None:
    api = Items()
    api.instead = [Say({"message": "sensitive"}, status)]
    with pytest.raises(RestError, match=says) as caught:
        run(rest(api).get("items"))
    assert caught.value.status == status
    assert "sensitive" not in str(caught.value)


def test_an_expired_token_is_said_and_not_shown() -> None:
    api = Items()
    api.token = "Bearer other"
    with pytest.raises(RestError, match="expired") as caught:
        run(rest(api, authorization=GivenToken("t0ken", bearer)).get("items"))
    assert "t0ken" not in str(caught.value) + repr(caught.value)
    assert "t0ken" not in repr(GivenToken("t0ken", bearer))


@pytest.mark.parametrize("body", [b"<html>", b'{"a": ', b"\xff\xfe"])
def test_an_answer_that_is_not_json(body: bytes) -> None:
    api = Items()
    api.instead = [Say(body=body)]
    with pytest.raises(RestError, match="not valid JSON"):
        run(rest(api).get("items"))


def test_a_guard_line_before_the_json_is_left_out() -> None:
    api = Items()
    api.instead = [Say(body=b")]}'\n[1]")]
    assert run(rest(api).get("items")).value == [1]


@pytest.mark.parametrize("value", ["text", {"a": 1}, None, {"values": 1}])
def test_a_page_that_is_not_a_list(value: Any) -> None:
    api = Items()
    api.instead = [Say(value)]
    with pytest.raises(RestError, match="not a list"):
        run(rest(api).all("items", pager=by_number(2), most=1))


@pytest.mark.parametrize("name", ["values", "value", "results"])
def test_a_list_in_an_envelope(name: str) -> None:
    api = Items()
    api.instead = [Say({name: [1]})]
    assert run(rest(api).all("items", pager=by_number(2), most=1)) == ([1], True)


def test_an_answer_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.forges.client.LARGEST_ANSWER", 10)
    with pytest.raises(RestError, match="over 10 bytes"):
        run(rest(Items(100)).get("items", query={"per_page": "100"}))


def test_no_answer_in_time() -> None:
    api, clock = Items(), Clock()
    api.instead = [HANG]
    asked = Deferred.fromCoroutine(rest(api, clock, time_limit=3).get("items"))
    asked.addErrback(lambda failure: failure.trap(RestError) and str(failure.value))
    assert not has_fired(asked)
    clock.advance(3)
    assert "within 3 s" in result_of(asked)


def test_no_connection() -> None:
    class Broken:
        def request(self, *_: Any, **__: Any) -> Any:
            raise ConnectionRefusedError

    with pytest.raises(RestError, match="cannot be reached"):
        run(Rest(BASE, Broken(), Clock()).get("items"))


def test_a_failure_of_the_forge_is_tried_again_and_a_refusal_is_not() -> None:
    api, clock = Items(), Clock()
    api.instead = [Say(status=502), Say(status=503)]
    asked = Deferred.fromCoroutine(rest(api, clock, attempts=3).get("items", query={"per_page": "9"}))
    clock.pump([1, 4])
    assert result_of(asked).value == [0, 1, 2, 3, 4]
    api.instead = [Say(status=404)]
    with pytest.raises(RestError):
        run(rest(api, attempts=3).get("items"))
    api.instead = [Say(status=500)] * 3
    asked = Deferred.fromCoroutine(rest(api, clock, attempts=3).get("items"))
    asked.addErrback(lambda failure: failure.trap(RestError) and str(failure.value))
    clock.pump([1, 4])
    assert "500" in result_of(asked)


def test_what_has_not_changed_is_given_again() -> None:
    api = Items(3)
    client = rest(api)
    assert run(client.get("tagged", conditional=True)).fresh
    again = run(client.get("tagged", conditional=True))
    assert (again.value, again.fresh) == ([0, 1, 2], False)
    api.tag, api.items = '"2"', [7]
    assert run(client.get("tagged", conditional=True)).value == [7]
    assert run(client.get("tagged")).value == [7]
    assert [asked.headers.get("if-none-match") for asked in api.asked] == [None, '"1"', '"1"', None]


def test_only_some_answers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.forges.client.REMEMBERED", 1)
    api = Items(3)
    client = rest(api)
    for path in ("tagged", "items", "tagged"):
        run(client.get(path, conditional=True))
    assert [asked.headers.get("if-none-match") for asked in api.asked] == [None] * 3


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (403, {"retry-after": "30"}, 30.0),
        (429, {"retry-after": "30"}, 30.0),
        (429, {}, 60.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1090"}, 90.0),
        (429, {"ratelimit-remaining": "0", "ratelimit-reset": "1090"}, 90.0),
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1090"}, 90.0),
        (200, {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "1090"}, 0.0),
        (403, {"x-ratelimit-remaining": "0"}, 0.0),
        (403, {}, 0.0),
        (503, {"retry-after": "30"}, 0.0),
        (200, {"retry-after": "5"}, 5.0),
    ],
)
def test_the_limits_of_the_forges(status: int, headers: Mapping[str, str], wait: float) -> None:
    api = Items()
    api.instead = [Say([], status, dict(headers))]
    response = result_of(StubTreq(api).request("GET", BASE))
    assert asked_to_wait(Answer(status, response.headers, b""), 1000.0) == wait


def test_after_a_limit_nothing_is_sent_until_it_is_over() -> None:
    api, clock = Items(), Clock()
    client = rest(api, clock)
    api.instead = [Say(status=429, headers={"Retry-After": "30"})]
    for wait in (30, 10):
        with pytest.raises(RateLimited) as caught:
            run(client.get("items"))
        assert caught.value.wait == wait
        clock.advance(20 if wait == 30 else 10)
    assert len(api.asked) == 1
    assert run(client.get("items")).status == 200


def test_the_last_request_that_is_allowed_still_has_its_answer() -> None:
    api, clock = Items(), Clock()
    client = rest(api, clock)
    api.instead = [Say([1], headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "999999"})]
    assert run(client.get("items")).value == [1]
    with pytest.raises(RateLimited) as caught:
        run(client.get("items"))
    assert caught.value.wait == 7200


def test_a_limit_holds_for_its_token_alone() -> None:
    api = Items()
    tokens = {"a/b": "one", "c/d": "two"}
    given = GivenToken(lambda about: tokens[about["full_name"]], private_token)
    client = rest(api, authorization=given)
    api.instead = [Say(status=429)]
    with pytest.raises(RateLimited):
        run(client.get("items", about=Subject("a/b")))
    assert run(client.get("items", about=Subject("c/d"))).status == 200
    assert [asked.headers["private-token"] for asked in api.asked] == ["one", "two"]


def test_a_callable_knows_the_repository_and_the_installation() -> None:
    seen: list[Any] = []

    def token(about: Any) -> Any:
        seen.append(dict(about))
        return succeed("t")

    client = rest(Items(), authorization=GivenToken(token, bearer))
    run(client.get("items", about=Subject("a/b", "42")))
    run(client.get("items", about=Subject("a/b")))
    assert seen == [{"full_name": "a/b", "installation": "42"}, {"full_name": "a/b"}]


def test_a_token_that_cannot_be_fetched() -> None:
    def token(about: Any) -> Any:
        raise RuntimeError("s3cret")

    api = Items()
    with pytest.raises(RestError, match="'token' failed: RuntimeError") as caught:
        run(rest(api, authorization=GivenToken(token, bearer)).get("items"))
    assert "s3cret" not in str(caught.value)
    assert api.asked == []
    assert run(rest(api, authorization=GivenToken(lambda about: None, bearer)).get("items")).status == 200


@pytest.mark.parametrize(
    "part", ["..", ".", "", "a/../b", "/a", "a//b", "a?b", "a#b", "ä", "a\nb", "%2e", "x" * 301]
)
def test_no_address_is_built_of_a_strange_name(part: str) -> None:
    api = Items()
    with pytest.raises(RestError, match="plain name"):
        run(rest(api).get("items", part))
    assert api.asked == []


def test_a_name_with_a_slash_is_one_part() -> None:
    api = Items()
    with pytest.raises(RestError):
        run(rest(api).get("projects", "a/b c"))
    assert api.paths() == ["/api/projects/a%2Fb%20c"]


@pytest.mark.parametrize("name", [None, "", "a", "a/b/c", "a/..", "a/b?x=", "ä/b", "a/ b", "a/"])
def test_the_name_of_a_repository(name: Any) -> None:
    with pytest.raises(RestError):
        names(name)
    assert names("a/b") == ["a", "b"]
    assert names("a/b/c", None) == ["a", "b", "c"]


def test_the_options_of_a_forge_are_not_shown() -> None:
    assert "s3cret" not in repr(
        SimpleNamespace(rest=rest(Items(), authorization=GivenToken("s3cret", bearer)))
    )
