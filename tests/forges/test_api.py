"""A forge's API as handlers see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.dialects.handler import Context, make_handler
from change_hooks.forges.rest import RestError
from tests.conftest import result_of


class Answering(Resource):
    """Remembers requests, and answers each with what is next."""

    isLeaf = True

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str | None, Any]] = []

    def render(self, request: Any) -> bytes:
        body = request.content.read()
        token = request.getHeader("authorization")
        self.asked.append((request.method.decode(), request.uri.decode(), token, json.loads(body or b"null")))
        status, link, value = self.answers.pop(0)
        request.setResponseCode(status)
        if link:
            request.setHeader("link", link)
        return b"" if value is None else json.dumps(value).encode()


def asked(answering: Answering, what: Any) -> Any:
    http = StubTreq(answering)
    options = {"token": lambda about: f"token for {about['full_name']} {about.get('installation')}"}
    handler: Any = make_handler(GitHubEventHandler, options, Context(http=http, clock=Clock()))
    later = Deferred.fromCoroutine(what(handler.api))
    for _ in range(20):
        http.flush()
    return result_of(later)


def test_requests_of_each_kind_with_the_token_of_the_repository() -> None:
    answering = Answering((200, "", {"a": 1}), (201, "", [2]), (200, "", 3), (200, "", 4), (204, "", None))

    async def do(api: Any) -> list[Any]:
        repository = api.repository("acme/app", 99)
        return [
            await repository.get("pulls", 5, state="open"),
            await repository.post("statuses", "abc", json={"state": "pending"}),
            await repository.put("topics", json=["t"]),
            await repository.patch("pulls", 5, json={"body": ""}),
            await repository.delete("git", "refs", "heads/x"),
        ]

    assert asked(answering, do) == [{"a": 1}, [2], 3, 4, None]
    token = "token token for acme/app 99"
    assert answering.asked == [
        ("GET", "/repos/acme/app/pulls/5?state=open", token, None),
        ("POST", "/repos/acme/app/statuses/abc", token, {"state": "pending"}),
        ("PUT", "/repos/acme/app/topics", token, ["t"]),
        ("PATCH", "/repos/acme/app/pulls/5", token, {"body": ""}),
        ("DELETE", "/repos/acme/app/git/refs/heads%2Fx", token, None),
    ]


def test_lists_are_read_to_their_end_or_as_far_as_is_wanted() -> None:
    link = '<https://api.github.com/repos/acme/app/labels?page=2>; rel="next"'
    first, second = (200, link, [1, 2]), (200, "", [3])
    answering = Answering(first, second)
    assert asked(answering, lambda api: api.repository("acme/app").all("labels", per_page=2)) == [1, 2, 3]
    assert [url for _, url, _, _ in answering.asked] == [
        "/repos/acme/app/labels?per_page=2",
        "/repos/acme/app/labels?page=2",
    ]
    assert asked(Answering(first), lambda api: api.all("labels", most=1)) == [1, 2]


@pytest.mark.parametrize(
    "path", [("..",), ("a", "../b"), ("a?b",), ("a#b",), ("",), ("a\n",)], ids=lambda path: repr(path)
)
def test_nothing_leads_a_request_elsewhere(path: Any) -> None:
    answering = Answering()
    with pytest.raises(RestError, match="not a plain name"):
        asked(answering, lambda api: api.get(*path))
    assert answering.asked == []


def test_a_repository_that_is_none_is_not_asked_for() -> None:
    async def do(api: Any) -> None:
        api.repository("acme/../x")

    with pytest.raises(RestError):
        asked(Answering(), do)


def test_an_error_has_its_status() -> None:
    with pytest.raises(RestError) as caught:
        asked(Answering((404, "", {})), lambda api: api.get("user"))
    assert caught.value.status == 404
