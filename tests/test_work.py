"""How much is done for a delivery, in counts: what is done twice is found here before it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from twisted.logger import globalLogPublisher
from twisted.web.http_headers import Headers

from change_hooks import Change, Delivery, make_resource
from change_hooks.core import change
from change_hooks.core.verification import sign_hmac
from change_hooks.dialects import github, source
from change_hooks.journal import chunks as pieces
from change_hooks.journal import deliveries, facade, operations
from tests.conftest import Client
from tests.support.hosted import Hosted

SECRET = "a long enough secret"
WWW = {"change_hook_dialects": {"github": {"secret": SECRET, "strict": True}}}
MANY = 2048


def push(commits: int) -> bytes:
    commit = {"message": "x", "timestamp": "2026-11-24T12:00:00Z", "added": ["a"], "author": {"name": "Ann"}}
    return msgspec.json.encode(
        {
            "ref": "refs/heads/main",
            "after": str(commits),
            "repository": {"full_name": "octo-org/api", "html_url": "https://github.com/octo-org/api"},
            "commits": [{**commit, "id": str(number)} for number in range(1, commits + 1)],
        }
    )


def signed(body: bytes, name: str) -> dict[str, Any]:
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": name,
        "X-Hub-Signature-256": sign_hmac(body, SECRET.encode()),
    }
    return {"data": body, "headers": headers}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[Any]]:
    """Count the calls of a function; gives a list that grows with each."""

    def count(owner: Any, name: str) -> list[Any]:
        calls: list[Any] = []
        function = getattr(owner, name)

        def counting(*arguments: Any, **more: Any) -> Any:
            calls.append(arguments)
            return function(*arguments, **more)

        monkeypatch.setattr(owner, name, counting)
        return calls

    return count


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


@pytest.mark.parametrize("commits", [1, MANY])
def test_a_delivery_is_checked_decoded_and_logged_once(
    counted: Any, logged: list[Any], changes: list[Change], commits: int
) -> None:
    client = Client(make_resource(WWW, sink=changes.append))
    decoded = counted(source, "decode")
    checked = counted(github, "verify_hmac")
    validated = counted(change, "is_well_formed")
    body = push(commits)
    assert client.post("/github", **signed(body, "1")).status == 202
    assert len(changes) == commits
    assert len(decoded) == len(checked) == 1
    # What was decoded to a type is not checked again.
    assert len(validated) == 0
    assert len([event for event in logged if event["log_namespace"].startswith("change_hooks")]) == 1


def test_a_refused_delivery_is_not_decoded(counted: Any, changes: list[Change]) -> None:
    client = Client(make_resource(WWW, sink=changes.append))
    decoded = counted(source, "decode")
    request = signed(push(1), "1")
    assert client.post("/github", data=b" " + request["data"], headers=request["headers"]).status == 403
    assert decoded == []


def test_a_body_in_memory_is_not_copied() -> None:
    class Request:
        method, uri, requestHeaders = b"POST", b"/", Headers()
        content = BytesIO(b"x" * 1000)

        def getClientAddress(self) -> None: ...

    request = Request()
    assert Delivery.from_request(cast("Any", request)).body is request.content.getvalue()


def test_the_deliveries_of_one_turn_are_one_transaction_of_one_statement(
    counted: Any, tmp_path: Path
) -> None:
    hosted = Hosted(WWW, tmp_path)
    hosted.start()
    store = hosted.journal.writer.store
    statements: list[str] = []
    hosted.trace(statements.append)
    statements.clear()
    transactions = counted(store, "transact")
    compressed = counted(deliveries, "packed")
    body = push(3)
    started = [hosted.client.start("POST", "/github", **signed(body, str(number))) for number in range(20)]
    hosted.client.flush()
    hosted.run()
    replies = [hosted.client.finish(each) for each in started]
    assert [reply.text for reply in replies] == ["3 changes found\n"] * 20
    assert len(transactions) == 1
    # Each body, and all changes of a delivery at once.
    assert len(compressed) == 2 * 20
    assert [statement.split()[0] for statement in statements] == ["INSERT"]


def test_with_a_sink_there_are_as_many_statements_for_twenty_as_for_one(tmp_path: Path) -> None:
    hosted = Hosted(WWW, tmp_path, sink=lambda change: None)
    hosted.start()
    statements: list[str] = []
    hosted.trace(statements.append)
    appended = []
    for first, count in ((0, 1), (100, 20)):
        statements.clear()
        for number in range(count):
            received = Delivery(b"POST", b"/", Headers(), b"x", id=str(first + number), dialect="base")
            hosted.journal.append(received, [Change(repository="api")], ("sink",))
        hosted.reactor.advance(0)
        hosted.journal.writer.run_group()
        appended.append([statement.split()[0] for statement in statements])
    assert appended == [["BEGIN", "INSERT", "INSERT", "INSERT", "COMMIT"]] * 2


def test_what_is_large_is_encoded_piece_by_piece(counted: Any, tmp_path: Path) -> None:
    hosted = Hosted(WWW, tmp_path)
    hosted.start()
    whole = counted(facade, "encode_changes")
    stored = counted(operations, "store")
    body = b"x" * (pieces.LARGE + 1)
    changes = [Change(comments="y" * pieces.PIECE)] * 3
    hosted.journal.append(Delivery(b"POST", b"/", Headers(), body, id="1", dialect="base"), changes, ())
    hosted.run()
    assert whole == []
    assert max(len(piece.data) for _, _, piece in stored) <= pieces.PIECE
    assert sum(len(piece.data) for _, _, piece in stored) > pieces.LARGE + 3 * pieces.PIECE
