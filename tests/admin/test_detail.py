"""What stands on the page of one delivery."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from change_hooks.admin.detail import CHANGES, FILES, SHOWN, View, page, payload_of
from change_hooks.admin.facts import Facts
from change_hooks.core.sink_answers import SinkError, SinkRefused
from change_hooks.journal import SinkState, Whole
from change_hooks.testing import MemorySink
from tests.support.listed import line

from ..conftest import result_of
from .conftest import Made

Make = Callable[..., Made]


def test_the_timeline_says_what_was_tried_and_what_comes_next(made: Make) -> None:
    def asleep(change: Any) -> None:
        raise SinkError("asleep", output="zzz\n")

    def refuses(change: Any) -> None:
        raise SinkRefused("never")

    sinks: dict[str, Any] = {
        "a": MemorySink("a"),
        "b": asleep,
        "c": refuses,
        "d": {"sink": MemorySink("d"), "only": {"branches": ["other"]}},
    }
    receiver, operator = made({"change_hook_sinks": sinks})
    receiver.post("base", form={"revision": "1", "branch": "main"})
    receiver.advance(1)
    page = operator.get("deliveries/1").text
    for part in (
        "asleep",
        "zzz",
        "next attempt",
        "gave up delivering change 1",
        "never",
        "unwanted",
        "taken",
    ):
        assert part in page
    assert "<form" not in page  # It is still under way.


def test_a_replay_that_was_asked_for_is_told_and_so_is_why_it_cannot_be_done(made: Make) -> None:
    receiver, operator = made()
    receiver.post("base", form={"revision": "1"})
    receiver.settle()
    result_of(receiver.journal.wish(1, ["elsewhere"]))
    assert "A replay to elsewhere was requested" in operator.get("deliveries/1").text
    result_of(receiver.journal.refuse_wish(1, "no <b>such"))
    assert "could not be done: no &lt;b&gt;such" in operator.get("deliveries/1").text


def test_of_very_much_the_beginning_is_shown(made: Make) -> None:
    receiver, operator = made({"change_hook_dialects": {"github": {}}})
    commit = {
        "message": "m",
        "timestamp": "2026-01-01T00:00:00Z",
        "url": "https://f.example/c",
        "author": {"name": "Ann", "email": "a@example.org"},
        "added": [f"file{number}" for number in range(FILES + 5)],
        "removed": [],
        "modified": [],
    }
    commits = [{**commit, "id": f"{number:040x}"} for number in range(1, CHANGES + 3)]
    repository = {
        "name": "api",
        "full_name": "acme/api",
        "html_url": "https://f.example/acme/api",
        "clone_url": "https://f.example/acme/api.git",
    }
    receiver.post(
        "github",
        "push",
        {
            "ref": "refs/heads/main",
            "before": "f" * 40,
            "after": commits[-1]["id"],
            "commits": commits,
            "repository": repository,
        },
    )
    page = operator.get("deliveries/1").text
    assert "… and 2 more." in page
    assert "… and 5 more" in page
    assert "the first 128 KiB are shown" in page


def test_payloads_of_every_kind() -> None:
    assert payload_of(b"") == "(empty)"
    assert payload_of(b'{"a":1}') == '{\n  "a": 1\n}'
    assert payload_of(b"\xff\x00 {") == "\ufffd\ufffd {"
    assert (
        payload_of(
            b'{"a": "\\u001b',
        )
        == '{"a": "\\u001b'
    )
    large = json.dumps({"token": "t0ken", "x": "y" * 2**20}).encode()
    assert "t0ken" not in payload_of(large)
    assert len(payload_of(large)) <= 4 * SHOWN + 20


def view_of(whole: Whole) -> str:
    return page(View(Facts(), whole, None, "t0ken")).decode()


def test_what_was_recovered_says_by_which_way_and_what_waits_says_so() -> None:
    stored = line(recovered="api-replay", status=0)
    waiting = SinkState("a", "waiting"), SinkState("b", "retrying", "acme/api", 0, 1, 0.0, "down")
    text = view_of(Whole(stored, None, [], list(waiting), []))
    assert "recovered (api-replay)" in text
    assert " answered " not in text
    assert 'next a <span class="state waiting">' in text
    assert 'soon b <span class="state retrying">' in text
    assert "next attempt, after 1 failure<" in text
    assert "received from 10.0.0.7" in view_of(Whole(line(client="10.0.0.7"), None, [], [], []))


def test_a_few_files_are_all_there(made: Make) -> None:
    receiver, operator = made()
    receiver.post("base", form={"revision": "1", "files": '["one", "two"]'})
    text = operator.get("deliveries/1").text
    assert "<li>one</li><li>two</li>" in text
    assert "more</li>" not in text
