"""What is large is worked on in threads; here they run when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute

from change_hooks.dialects.github import GitHubEventHandler
from change_hooks.testing import build
from tests.support.connections import Connection

SECRET = "a long enough secret"
#: In bytes.
LARGE = 4096


class Pool:
    """Threads that have not run yet."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []
        self.names: list[str] = []
        self.inside = False

    def __call__(self, function: Any, *arguments: Any, **keywords: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.names.append(function.__name__)

        def run() -> None:
            self.inside = True
            done = execute(function, *arguments, **keywords)
            self.inside = False
            done.chainDeferred(result)

        self.waiting.append(run)
        return result

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr("change_hooks.dialects.handler.in_thread", made)
    monkeypatch.setattr("change_hooks.dialects.handler.LARGE", LARGE)
    return made


def served(**options: Any) -> Connection:
    github = {"secret": SECRET, "strict": True, **options}
    return Connection(max_body=10 * LARGE, www={"change_hook_dialects": {"github": github}})


def push(commits: int, name: str, **more: Any) -> bytes:
    payload = {
        "ref": "refs/heads/main",
        "after": str(commits),
        "repository": {"full_name": "o/r", "html_url": "https://forge.example/o/r"},
        "commits": [{"id": str(number), "message": "x" * 99} for number in range(1, commits + 1)],
        **more,
    }
    made = build({"change_hook_dialects": {"github": {"secret": SECRET}}}, "github", "push", payload, id=name)
    lines = [
        b"%b: %b\r\n" % (header, value)
        for header, values in made.requestHeaders.getAllRawHeaders()
        for value in values
    ]
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%b" % (made.uri, b"".join(lines))
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(made.body), made.body)


def test_another_delivery_is_answered_while_a_large_one_is_worked_on(pool: Pool) -> None:
    large = served()
    large.send(push(100, "large"))
    small = Connection(to=large)
    steps = 0
    while pool.waiting:
        small.send(push(1, f"small-{steps}"))
        steps += 1
        assert (len(pool.waiting), small.statuses, large.statuses) == (1, [202] * steps, [])
        pool.waiting.pop(0)()
    # To verify it, its id, its event's name, the payload, the events, and the changes.
    assert (large.statuses, steps) == ([202], 6)
    assert {"checked", "delivery_id", "payload_of", "handle_push"} < {*pool.names}
    assert b"100 changes found" in large.answer
    assert large.revisions == ["1"] * 6 + [str(number) for number in range(1, 101)]


def test_the_answers_of_one_connection_keep_their_order(pool: Pool) -> None:
    connection = served()
    connection.send(push(100, "large") + push(1, "small"))
    assert connection.answer == b""
    pool.run()
    assert connection.statuses == [202, 202]
    assert connection.answer.index(b"100 changes found") < connection.answer.index(b"1 change found\n")


def test_what_is_wrong_with_a_large_one_is_said(pool: Pool) -> None:
    connection = served()
    connection.send(push(100, "large", repository=None))
    pool.run()
    assert connection.statuses == [400]
    assert b"$.repository" in connection.answer


def test_the_client_may_be_gone_when_it_is_done(pool: Pool) -> None:
    connection = served()
    connection.send(push(100, "large"))
    connection.lose()
    pool.run()
    assert len(connection.changes) == 100


@pytest.mark.parametrize("option", ["project", "codebase", "repository_url"])
def test_functions_of_a_user_are_called_in_the_reactors_thread(pool: Pool, option: str) -> None:
    called: list[tuple[bool, int]] = []

    def choose(payload: Any) -> str:
        called.append((pool.inside, len(payload["commits"])))
        return "chosen"

    connection = served(**{option: choose})
    connection.send(push(100, "large"))
    pool.run()
    assert "read" in pool.names
    assert called == [(False, 100)]
    assert connection.statuses == [202]


def test_so_are_methods_of_a_user(pool: Pool) -> None:
    inside: list[bool] = []

    class Own(GitHubEventHandler):
        def handle_push(self, payload: Any, event: str = "push") -> Any:
            inside.append(pool.inside)
            return super().handle_push(payload, event)

    connection = served(**{"class": Own})
    connection.send(push(100, "large"))
    pool.run()
    assert (inside, connection.statuses) == ([False], [202])
    assert "read" not in pool.names


def test_the_functions_of_a_mapping_are_called_in_the_reactors_thread(pool: Pool) -> None:
    called: list[tuple[str, bool]] = []

    def noted(name: str) -> Callable[[Any], Any]:
        def find(item: Any) -> Any:
            called.append((name, pool.inside))
            return item[name]

        return find

    www = {
        "change_hook_dialects": {
            "generic": {
                "event": noted("kind"),
                "id": [noted("number")],
                "refs": {"ref": "ref", "after": "after", "skip": {noted("bot"): "yes"}},
                "commits": {"each": "commits", "id": {"path": noted("id"), "default": "x"}},
                "signature": {"header": "X-Signature"},
                "secret": SECRET,
            }
        }
    }
    payload = {
        "kind": "push",
        "number": 7,
        "ref": "main",
        "after": "2",
        "bot": "no",
        "commits": [{"id": "1", "message": "x" * 9999}, {"id": "2"}],
    }
    made = build(www, "generic", "push", payload)
    signature = made.getHeader("x-signature")
    connection = Connection(max_body=10 * LARGE, www=www)
    head = f"POST /change_hook/generic HTTP/1.1\r\nHost: x\r\nX-Signature: {signature}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(made.body)}\r\n\r\n"
    connection.send(head.encode() + made.body)
    pool.run()
    assert (connection.statuses, connection.revisions) == ([202], ["1", "2"])
    assert {name for name, _ in called} == {"kind", "number", "bot", "id"}
    assert not any(inside for _, inside in called)
    assert set(pool.names) >= {"checked", "payload_of"}
    assert "handle_anything" not in pool.names
