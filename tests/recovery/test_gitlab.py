"""Recovery from GitLab's log of a webhook's events."""

from __future__ import annotations

import re
from typing import Any

import pytest

from change_hooks.core.recovering import Source
from change_hooks.dialects.gitlab import GitLabHandler
from change_hooks.forges.gitlab import GitLab
from change_hooks.forges.gitlab_log import MINUTE, RESENDS, GitLabLog
from change_hooks.forges.rest import RestError
from change_hooks.recovery.progress import PAUSES
from tests.conftest import delivery
from tests.support.fake_api import Asked, Say
from tests.support.fake_gitlab import FakeGitLab, push, sha
from tests.support.recovering import Recovering


def recovering(api: FakeGitLab | None = None, source: Source | None = None, **more: Any) -> Recovering:
    return Recovering(
        api or FakeGitLab("T"),
        source or Source("g/sub/p"),
        endpoint="gitlab",
        forge=GitLab,
        log=GitLabLog,
        **more,
    )


def test_what_is_missing_is_recovered_oldest_first_with_the_authors_that_the_log_leaves_out() -> None:
    gitlab = recovering()
    for number in range(1, 51):
        gitlab.api.event(f"key-{number}")
    gitlab.came("key-3")
    assert list(gitlab.outcomes()) == [f"key-{n}" for n in range(1, 51) if n != 3]
    assert [payload["after"] for payload in gitlab.payloads[:3]] == [sha(1), sha(2), sha(4)]
    assert gitlab.payloads[0]["commits"][0]["author"] == {"name": "Änne", "email": "aenne@example.com"}
    assert gitlab.payloads[0]["user_email"] is None
    assert gitlab.run() == []


def test_the_pages_have_twenty_events_and_only_new_ones_are_read_again() -> None:
    gitlab = recovering()
    for number in range(1, 51):
        gitlab.api.event(f"key-{number}")
    gitlab.run()
    lists = [asked for asked in gitlab.api.asked if asked.path.endswith("/events")]
    assert [asked.query for asked in lists] == [{"per_page": "20", "page": str(n)} for n in (1, 2, 3)]
    gitlab.api.asked.clear()
    gitlab.api.event("new")
    assert gitlab.outcomes() == {"new": "recovered"}
    assert sum(asked.path.endswith("/events") for asked in gitlab.api.asked) == 1


def test_pages_that_move_while_they_are_read_lose_nothing() -> None:
    gitlab = recovering()
    for number in range(1, 51):
        gitlab.api.event(f"key-{number}")
    true = gitlab.api.events

    def growing(asked: Asked) -> Any:
        said = true(asked)
        for _ in range(3):
            gitlab.api.event(f"new-{len(gitlab.api.log)}")
        return said

    gitlab.api.routes = [(m, p, growing if answer == true else answer) for m, p, answer in gitlab.api.routes]
    first = gitlab.outcomes()
    assert {f"key-{number}" for number in range(1, 51)} <= set(first)
    second = gitlab.outcomes()
    assert not set(first) & set(second)
    assert {f"new-{50 + 3 * n}" for n in range(3)} <= set(first) | set(second)


def test_five_are_sent_again_and_the_rest_is_taken_from_the_log() -> None:
    gitlab = recovering(redeliver=True)
    asked: list[int] = []
    gitlab.api.again = lambda item: asked.append(item["id"])
    for number in range(1, 9):
        gitlab.api.event(f"key-{number}")
    assert list(gitlab.outcomes().values()) == ["asked"] * RESENDS + ["recovered"] * 3
    assert len(asked) == RESENDS
    gitlab.clock.advance(MINUTE)
    gitlab.api.event("later")
    assert gitlab.outcomes() == {"later": "asked"}


def test_what_we_refused_is_left_and_what_a_proxy_refused_is_not() -> None:
    gitlab = recovering()
    gitlab.api.event("ours", "403")
    gitlab.api.event("proxy", "403")
    gitlab.came("ours", 403)
    assert gitlab.outcomes() == {"proxy": "recovered"}


def test_the_webhook_of_a_group() -> None:
    api = FakeGitLab("T", owner="groups/g")
    api.event("key")
    assert recovering(api, Source(organization="g")).outcomes() == {"key": "recovered"}


@pytest.mark.parametrize("field", ["Idempotency-Key", "id"])
def test_a_log_that_names_no_deliveries_is_said(field: str) -> None:
    gitlab = recovering()
    item = gitlab.api.event("key")
    del (item if field == "id" else item["request_headers"])[field]
    with pytest.raises(RestError, match=r"17\.4"):
        gitlab.run()
    gitlab.api.event("next")
    assert gitlab.outcomes() == {"next": "recovered"}


def test_without_the_authors_it_is_tried_again() -> None:
    gitlab = recovering(source=Source("g/sub/p", hook=5))
    gitlab.api.event("key")
    gitlab.api.instead = [None, Say(status=500)]
    gitlab.api.event("after")
    assert gitlab.outcomes() == {"key": "failed", "after": "recovered"}
    gitlab.clock.advance(PAUSES[0])
    # The log is read again from there: what it was stands in no other place.
    assert gitlab.outcomes() == {"key": "recovered"}
    assert gitlab.run() == []


def test_a_commit_that_is_gone_costs_its_authors_address_alone() -> None:
    gitlab = recovering()
    gitlab.api.event("gone", data=push(500))
    gitlab.api.event("there")
    assert gitlab.outcomes() == {"gone": "recovered", "there": "recovered"}
    assert gitlab.payloads[0]["commits"][0]["author"] == {"name": "Änne", "email": None}


def test_one_that_appears_late_in_the_log_is_seen() -> None:
    """It had its number before the next one, and was there to be seen after it."""
    gitlab = recovering()
    for number in range(1, 41):
        gitlab.api.event(f"key-{number}")
    late = gitlab.api.log.pop(-3)
    assert len(gitlab.run()) == 39
    gitlab.api.log.insert(-2, late)
    gitlab.api.asked.clear()
    assert gitlab.outcomes() == {"key-38": "recovered"}
    assert sum(path.endswith("/events") for path in gitlab.api.paths()) == 1
    assert gitlab.run() == []


def test_the_first_one_may_appear_late_too() -> None:
    gitlab = recovering()
    for number in range(1, 4):
        gitlab.api.event(f"key-{number}")
    late = gitlab.api.log.pop(0)
    assert len(gitlab.run()) == 2
    gitlab.api.log.insert(0, late)
    assert gitlab.outcomes() == {"key-1": "recovered"}
    assert gitlab.run() == []


def test_a_webhook_that_was_made_anew_is_found_again() -> None:
    gitlab = recovering()
    gitlab.api.event("before")
    gitlab.run()
    gitlab.api.hooks = [{**gitlab.api.hooks[0], "id": 6}]
    gitlab.api.routes = [
        (m, re.compile(p.pattern.replace("/5/events", "/6/events")), a) for m, p, a in gitlab.api.routes
    ]
    gitlab.api.event("after")
    with pytest.raises(RestError):
        gitlab.run()
    assert gitlab.outcomes() == {"after": "recovered"}


def test_a_forge_that_has_begun_to_count_anew_is_read_from_the_beginning() -> None:
    gitlab = recovering()
    for number in range(1, 41):
        gitlab.api.event(f"key-{number}")
    gitlab.run()
    gitlab.api.log.clear()
    for number in range(1, 31):
        gitlab.api.event(f"new-{number}")
    assert list(gitlab.outcomes()) == [f"new-{number}" for number in range(1, 31)]
    gitlab.api.event("later")
    assert gitlab.outcomes() == {"later": "recovered"}


def test_a_log_of_too_many_pages_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.forges.gitlab_log.PAGES", 2)
    gitlab = recovering()
    for number in range(50):
        gitlab.api.event(f"key-{number}")
    with pytest.raises(RestError, match="more than 2 pages"):
        gitlab.run()


def test_the_ids_are_those_of_the_dialect() -> None:
    gitlab = recovering()
    item = gitlab.api.event("key")
    handler = GitLabHandler(None, True)
    sent = delivery(b"{}", headers=item["request_headers"])
    assert handler.delivery_id(sent) == "key"
