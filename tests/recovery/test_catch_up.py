"""What is missing, what becomes of it, and how far a log counts as read after it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet.defer import Deferred, fail, succeed

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.core.recovering import Source
from change_hooks.forges.github_log import PAGES
from change_hooks.forges.rest import RateLimited, RestError
from change_hooks.journal.in_memory import MemoryJournal
from change_hooks.recovery.catch_up import GRACE, LEASE, SILENT
from change_hooks.recovery.progress import PAUSES
from change_hooks.recovery.recovered import Busy, Missing
from tests.conftest import all_of, result_of
from tests.support.fake_api import Asked, Say
from tests.support.fake_github_hooks import FakeGitHubHooks
from tests.support.recovering import NOW, Recovering


def test_what_is_missing_is_recovered_once_and_oldest_first() -> None:
    recovering = Recovering()
    for number in range(250):
        recovering.api.attempt(f"g{number}", NOW - 5000 + number)
    found = recovering.run()
    assert [missing.delivery for missing in found] == [f"g{number}" for number in range(250)]
    assert {missing.outcome for missing in found} == {"recovered"}
    assert recovering.ids() == [f"g{number}" for number in range(250)]
    stored = recovering.stored()[7]
    assert (stored.dialect, stored.verification, stored.recovered) == ("github", "token", "api-replay")
    assert stored.sinks == {"a": "waiting", "b": "unwanted"}
    assert (stored.repository, stored.branch, stored.author, stored.event) == ("o/r", "main", "ann", "push")
    whole = recovering.journal.reader().whole(stored.seq)
    properties = {"a": 1, "change_hook_recovered": "api-replay"}
    assert whole.changes == [Change(revision=f"{8:040x}", properties=properties)]
    assert whole.delivery is not None
    assert whole.delivery.getHeader("x-github-event") == "push"
    assert whole.delivery.getHeader("x-hub-signature-256") is None
    assert recovering.run() == []


@pytest.mark.parametrize("statuses", [(0,), (502,), (429,), (408,), (200,), (503, 0), (403,), (404,)])
def test_what_the_journal_lacks_is_missing_whatever_the_forge_was_answered(statuses: tuple[int, ...]) -> None:
    """Also a 4xx: one that we know nothing of is that of a proxy before us."""
    recovering = Recovering()
    for status in statuses:
        recovering.api.attempt("g", NOW - 1000, status)
    assert recovering.outcomes() == {"g": "recovered"}


def test_what_the_journal_has_is_not_missing_though_the_forge_says_that_it_failed() -> None:
    recovering = Recovering()
    recovering.api.attempt("g", NOW - 1000, 504)
    recovering.came("g")
    assert recovering.run() == []


@pytest.mark.parametrize(("traced", "said"), [(403, 0), (503, 503), (503, 0), (403, 502), (400, 403)])
def test_a_trace_of_a_request_is_not_a_delivery(traced: int, said: int) -> None:
    recovering = Recovering()
    recovering.api.attempt("g", NOW - 1000, said)
    recovering.came("g", traced)
    assert recovering.outcomes() == {"g": "recovered"}


@pytest.mark.parametrize("status", [400, 403, 413])
def test_what_we_refused_is_not_asked_for_again(status: int) -> None:
    """The forge and our own trace say so, both."""
    recovering = Recovering()
    recovering.api.attempt("g", NOW - 1000, status)
    recovering.came("g", status)
    assert recovering.run() == []
    recovering.api.asked.clear()
    assert recovering.run() == []
    assert not any(path.endswith("/deliveries/1") for path in recovering.api.paths())


def test_what_was_ignored_when_it_came_is_not_missing() -> None:
    recovering = Recovering()
    recovering.api.attempt("g", NOW - 1000)
    recovering.ignored("g")
    assert recovering.run() == []


def test_an_event_that_is_not_handled_costs_no_request() -> None:
    recovering = Recovering()
    recovering.api.attempt("g", NOW - 1000, event="star")
    assert recovering.run() == []
    assert not any(path.endswith("/deliveries/1") for path in recovering.api.paths())


def test_what_is_just_being_delivered_is_left_alone() -> None:
    recovering = Recovering()
    recovering.api.attempt("g", NOW - GRACE + 1)
    assert recovering.run() == []
    assert recovering.catch_up.due == NOW + GRACE
    recovering.clock.advance(GRACE)
    assert recovering.outcomes() == {"g": "recovered"}
    assert recovering.catch_up.due is None


def test_a_delivery_without_changes_is_fetched_once() -> None:
    recovering = Recovering()
    recovering.api.attempt("nothing", NOW - 200)
    assert recovering.outcomes() == {"nothing": "ignored"}
    recovering.api.asked.clear()
    for _ in range(5):
        recovering.clock.advance(100)
        assert recovering.run() == []
    assert not any(path.endswith("/deliveries/1") for path in recovering.api.paths())


def test_one_that_fails_stops_no_other_and_is_tried_again_by_itself() -> None:
    recovering = Recovering()
    recovering.broken.add("bad")
    recovering.api.attempt("bad", NOW - 3000)
    recovering.api.attempt("bug", NOW - 2500)
    recovering.api.attempt("good", NOW - 2000)
    found = recovering.run()
    assert [missing.outcome for missing in found] == ["failed", "failed", "recovered"]
    assert "$.ref" in found[0].reason and found[1].reason == "KeyError"
    assert recovering.catch_up.due == NOW + PAUSES[0]
    assert recovering.run() == []
    recovering.broken.clear()
    recovering.clock.advance(PAUSES[0])
    assert recovering.outcomes() == {"bad": "recovered", "bug": "failed"}


def test_one_that_fails_again_and_again_is_given_up() -> None:
    recovering = Recovering()
    recovering.api.attempt("bug", NOW - 3000)
    reasons = []
    for pause in (*PAUSES, 1e6):
        reasons += [missing.reason for missing in recovering.run()]
        recovering.clock.advance(pause)
    assert reasons == ["KeyError"] * 4 + ["KeyError (given up)"]
    assert recovering.run() == []
    # Whoever asks for that time again gets it.
    assert recovering.outcomes(NOW - 4000) == {"bug": "failed"}


@pytest.mark.parametrize(
    "said",
    [
        [None, Say(status=502)],
        [None, Say(status=429, headers={"Retry-After": "30"})],
        [None, Say([{"id": 1}])],
        [None, None, Say(status=401)],
        [Say([])],
        [Say(status=401)],
    ],
)
def test_after_an_error_of_the_forge_nothing_is_passed_over(said: list[Say | None]) -> None:
    recovering = Recovering()
    recovering.api.attempt("g", NOW - 80_000)
    recovering.api.instead = said
    with pytest.raises(RestError):
        recovering.run()
    assert not recovering.stored()
    recovering.clock.advance(60)
    assert recovering.outcomes() == {"g": "recovered"}


@pytest.mark.parametrize("said", [Say({"request": {}}), Say({"message": "Not Found"}, 404)])
def test_an_entry_without_details_costs_itself_alone(said: Say) -> None:
    recovering = Recovering(source=Source("o/r", hook=5))
    recovering.api.attempt("gone", NOW - 1000)
    recovering.api.attempt("there", NOW - 900)
    recovering.api.instead = [None, said]
    assert recovering.outcomes() == {"gone": "failed", "there": "recovered"}
    recovering.clock.advance(PAUSES[0])
    assert recovering.outcomes() == {"gone": "recovered"}


def broken(recovering: Recovering, *entries: int, say: Say) -> None:
    """Of these entries the forge says this."""
    true = recovering.api.delivery
    recovering.api.routes = [
        (
            m,
            p,
            (lambda asked, number: say if int(number) in entries else true(asked, number))
            if a == true
            else a,
        )
        for m, p, a in recovering.api.routes
    ]


def test_one_that_always_fails_keeps_no_other_waiting_and_is_never_given_up() -> None:
    recovering = Recovering()
    for number in range(1, 5):
        recovering.api.attempt(f"g{number}", NOW - 3000 + number)
    broken(recovering, 1, say=Say(status=500))
    assert recovering.outcomes() == {"g1": "failed", "g2": "recovered", "g3": "recovered", "g4": "recovered"}
    for pause in (PAUSES[0], *[PAUSES[1]] * 9):
        recovering.clock.advance(pause)
        assert recovering.outcomes() == {"g1": "failed"}
    recovering.api.routes = [
        (m, p, recovering.api.delivery if "attempts" not in p.pattern and p.groups else a)
        for m, p, a in recovering.api.routes
    ]
    recovering.clock.advance(PAUSES[1])
    assert recovering.outcomes() == {"g1": "recovered"}


def test_a_forge_that_says_nothing_of_several_in_a_row_is_left_alone() -> None:
    recovering = Recovering()
    for number in range(1, 10):
        recovering.api.attempt(f"g{number}", NOW - 3000 + number)
    broken(recovering, *range(1, 10), say=Say(status=500))
    for _ in range(2):
        recovering.api.asked.clear()
        with pytest.raises(RestError):
            recovering.run()
        assert sum("/deliveries/" in path for path in recovering.api.paths()) == SILENT
    recovering.clock.advance(PAUSES[0])
    recovering.restart()
    recovering.api.routes = [
        (m, p, recovering.api.delivery if "attempts" not in p.pattern and p.groups else a)
        for m, p, a in recovering.api.routes
    ]
    assert list(recovering.outcomes()) == [f"g{number}" for number in range(1, 10)]


def test_one_that_always_meets_a_limit_keeps_no_other_waiting() -> None:
    recovering = Recovering()
    for number in range(1, 4):
        recovering.api.attempt(f"g{number}", NOW - 3000 + number)
    broken(recovering, 2, say=Say(status=429, headers={"Retry-After": "30"}))
    for _ in range(2):
        with pytest.raises(RateLimited):
            recovering.run()
        assert recovering.ids() == ["g1"]
        # Until then nothing is sent, and nobody is to blame.
        with pytest.raises(RateLimited):
            recovering.run()
        recovering.clock.advance(31)
    assert recovering.outcomes() == {"g3": "recovered"}


@pytest.mark.parametrize("odd", [None, 7, {"id": 1}, {"id": 1, "guid": "x", "delivered_at": "yesterday"}])
def test_an_odd_entry_of_the_log_costs_itself(odd: Any) -> None:
    recovering = Recovering()
    recovering.api.attempt("a", NOW - 3000)
    recovering.api.log.append(odd)
    recovering.api.attempt("b", NOW - 2000)
    assert recovering.outcomes() == {"a": "recovered", "b": "recovered"}


def test_a_time_that_is_wrong_ends_no_reading() -> None:
    recovering = Recovering()
    recovering.run()
    recovering.clock.advance(10_000)
    for number in range(250):
        recovering.api.attempt(f"g{number}", NOW + 1000 + number)
    recovering.api.log[-1]["delivered_at"] = "1970-01-01T00:00:00Z"
    assert len(recovering.run()) == 249


def test_what_is_said_to_be_of_next_year_is_not_left_until_then() -> None:
    recovering = Recovering()
    recovering.api.attempt("far", NOW + 4e7)
    recovering.api.attempt("near", NOW + 60)
    assert recovering.outcomes() == {"far": "recovered"}
    recovering.clock.advance(500)
    assert recovering.outcomes() == {"near": "recovered"}
    assert recovering.run() == []


def test_what_is_not_handled_any_more_is_not_waited_for() -> None:
    recovering = Recovering()
    recovering.broken.add("g")
    recovering.api.attempt("g", NOW - 1000)
    assert recovering.outcomes() == {"g": "failed"}
    recovering.event = "issues"
    recovering.restart()
    recovering.clock.advance(PAUSES[0])
    assert recovering.run() == [] and recovering.catch_up.due is None


def test_one_that_the_journal_cannot_take_costs_itself() -> None:
    recovering = Recovering()
    for name in ("a", "b"):
        recovering.api.attempt(name, NOW - 1000)
    true = recovering.accept

    async def accept(delivery: Any, found: Any) -> bool:
        if delivery.id == "a":
            raise ValueError(delivery.id)
        return await true(delivery, found)

    recovering.accept = accept  # type: ignore[method-assign]
    found = recovering.run()
    assert [(missing.outcome, missing.reason) for missing in found] == [
        ("failed", "ValueError"),
        ("recovered", ""),
    ]


def test_a_payload_that_cannot_be_written_costs_itself() -> None:
    recovering = Recovering()
    recovering.api.attempt("a", NOW - 1000)
    recovering.api.attempt("b", NOW - 900)
    detail = recovering.forge.rest.get

    async def get(*path: str, **how: Any) -> Any:
        got = await detail(*path, **how)
        if path[-1] == "1":
            got.value["request"]["payload"]["ref"] = object()
        return got

    recovering.forge.rest.get = get  # type: ignore[method-assign]
    assert recovering.outcomes() == {"a": "failed", "b": "recovered"}


def test_a_webhook_that_was_made_anew_is_found_again() -> None:
    recovering = Recovering()
    recovering.api.attempt("before", NOW - 1000)
    recovering.run()
    recovering.api.hooks = [{**recovering.api.hooks[0], "id": 6}]
    recovering.api.routes = [
        (m, re.compile(p.pattern.replace("/5/", "/6/")), a) for m, p, a in recovering.api.routes
    ]
    recovering.api.attempt("after", NOW - 900)
    with pytest.raises(RestError):
        recovering.run()
    assert recovering.outcomes() == {"after": "recovered"}


def test_two_webhooks_one_of_which_has_an_odd_url() -> None:
    recovering = Recovering()
    recovering.api.hooks[:0] = [None, {"id": 4, "config": {"url": "https://[/change_hook/github"}}]
    recovering.api.attempt("g", NOW - 1000)
    assert recovering.outcomes() == {"g": "recovered"}


def test_one_who_has_lost_the_hold_writes_nothing_over_what_another_has_written() -> None:
    recovering = Recovering()
    for number in range(2):
        recovering.api.attempt(f"g{number}", NOW - 3000 + number)
    true = recovering.found

    async def slow(delivery: Any) -> Any:
        # It is suspended, and another one takes over and ends.
        recovering.journal.lease = lambda *_: succeed(False)  # type: ignore[method-assign,assignment]
        recovering.clock.advance(1000)
        result_of(recovering.journal.remember("recovery github o/r", b'{"mark": 5.0}'))
        return await true(delivery)

    recovering.found = slow  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="another process"):
        all_of(recovering.catch_up.run())
    assert result_of(recovering.journal.recall("recovery github o/r")) == b'{"mark": 5.0}'


def test_one_who_could_not_renew_the_hold_for_so_long_does_not_go_on() -> None:
    recovering = Recovering()
    for number in range(2):
        recovering.api.attempt(f"g{number}", NOW - 3000 + number)
    true = recovering.found

    async def slow(delivery: Any) -> Any:
        recovering.journal.lease = lambda *_: fail(Unavailable("no answer"))  # type: ignore[method-assign,assignment]
        recovering.clock.advance(LEASE + 1)
        return await true(delivery)

    recovering.found = slow  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="another process"):
        all_of(recovering.catch_up.run())
    assert recovering.ids() == ["g0"]


def test_an_error_in_the_middle_of_paging_moves_nothing() -> None:
    recovering = Recovering(source=Source("o/r", hook=5))
    for number in range(150):
        recovering.api.attempt(f"g{number}", NOW - 80_000 + number)
    recovering.api.instead = [None, Say(status=502)]
    with pytest.raises(RestError):
        recovering.run()
    assert not recovering.stored()
    assert len(recovering.run()) == 150


def test_what_an_error_in_the_middle_of_paging_hid_is_found_though_the_first_page_is_the_same() -> None:
    recovering = Recovering(source=Source("o/r", hook=5))
    for number in range(150):
        recovering.api.attempt(f"g{number}", NOW - 5000 + number)
    assert len(recovering.run()) == 150
    for number in range(150):
        recovering.api.attempt(f"h{number}", NOW - 4500 + number)
    recovering.api.instead = [None, Say(status=502)]
    with pytest.raises(RestError):
        recovering.run()
    assert len(recovering.run()) == 150


def test_an_error_in_the_middle_of_the_details_costs_none_of_those_before() -> None:
    recovering = Recovering(source=Source("o/r", hook=5))
    recovering.api.attempt("nothing", NOW - 2000)
    recovering.api.attempt("a", NOW - 1000)
    recovering.api.attempt("b", NOW - 900)
    recovering.api.instead = [None, None, None, Say(status=503)]
    assert recovering.outcomes() == {"nothing": "ignored", "a": "recovered", "b": "failed"}
    assert recovering.ids() == ["a"]
    recovering.api.asked.clear()
    recovering.clock.advance(PAUSES[0])
    assert recovering.outcomes() == {"b": "recovered"}
    assert [path.rpartition("/")[2] for path in recovering.api.paths()] == ["deliveries", "3"]


def test_a_log_that_grows_while_it_is_read_is_read_without_a_gap() -> None:
    recovering = Recovering(source=Source("o/r", hook=5))
    for number in range(250):
        recovering.api.attempt(f"g{number}", NOW - 5000 + number)
    true = recovering.api.deliveries

    def growing(asked: Asked) -> Any:
        said = true(asked)
        recovering.api.attempt(f"new{len(recovering.api.log)}", NOW - 1000)
        return said

    recovering.api.routes = [
        (method, pattern, growing if answer == true else answer)
        for method, pattern, answer in recovering.api.routes
    ]
    assert len(recovering.run()) == 250
    assert set(recovering.outcomes()) >= {"new250", "new251", "new252"}


def test_a_page_of_another_host_is_not_fetched() -> None:
    recovering = Recovering(source=Source("o/r", hook=5))
    recovering.api.base = "https://evil.example"
    for number in range(150):
        recovering.api.attempt(f"g{number}", NOW - 5000 + number)
    with pytest.raises(RestError, match="not at the configured address"):
        recovering.run()
    assert not recovering.stored()


def test_a_log_of_too_many_pages_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.forges.github_log.PAGES", 2)
    recovering = Recovering(source=Source("o/r", hook=5))
    for number in range(250):
        recovering.api.attempt(f"g{number}", NOW - 5000 + number)
    with pytest.raises(RestError, match="more than 2 pages"):
        recovering.run()
    assert not recovering.stored() and PAGES > 2


def test_only_the_pages_since_the_last_run_are_read_and_nothing_new_costs_one_conditional_request() -> None:
    recovering = Recovering(source=Source("o/r", hook=5))
    for number in range(250):
        recovering.api.attempt(f"g{number}", NOW - 80_000 + number)
    recovering.run()
    recovering.api.asked.clear()
    assert recovering.run() == []
    (asked,) = recovering.api.asked
    assert asked.headers["if-none-match"] == '"250-0"'


def test_a_journal_that_is_full_stops_the_run_and_loses_nothing() -> None:
    recovering = Recovering()
    for number in range(3):
        recovering.api.attempt(f"g{number}", NOW - 80_000 + number)
    recovering.room = 1
    with pytest.raises(Unavailable):
        recovering.run()
    assert recovering.ids() == ["g0"]
    recovering.room = None
    assert recovering.outcomes() == {"g1": "recovered", "g2": "recovered"}


def test_a_dry_run_changes_nothing() -> None:
    recovering = Recovering()
    recovering.api.attempt("g", NOW - 80_000)
    assert recovering.outcomes(dry=True) == {"g": "missing"}
    assert not recovering.stored()
    assert recovering.outcomes() == {"g": "recovered"}


def test_since_reaches_back_and_a_shorter_time_passes_over_nothing() -> None:
    recovering = Recovering()
    recovering.api.attempt("old", NOW - 200_000)
    assert recovering.run() == []
    recovering.api.attempt("between", NOW + 1000)
    recovering.clock.advance(5000)
    assert recovering.run(NOW + 4000) == []
    assert recovering.outcomes() == {"between": "recovered"}
    assert recovering.outcomes(NOW - 250_000) == {"old": "recovered"}


def test_a_clock_that_was_wrong_passes_over_nothing() -> None:
    recovering = Recovering()
    recovering.run()
    recovering.clock.advance(200_000)
    assert recovering.run() == []
    recovering.clock.rightNow = NOW + 10
    recovering.api.attempt("g", NOW + 20)
    recovering.clock.advance(50_000)
    assert recovering.outcomes(unless=NOW + 10) == {"g": "recovered"}


def test_a_clock_that_was_wrong_at_the_first_look_is_put_right() -> None:
    recovering = Recovering()
    recovering.clock.advance(200_000)
    recovering.run()
    recovering.clock.rightNow = NOW + 10
    assert recovering.run() == []
    recovering.api.attempt("g", NOW + 20)
    recovering.clock.advance(50_000)
    assert recovering.outcomes() == {"g": "recovered"}


def test_what_is_to_be_tried_again_does_not_wait_for_a_clock_that_was_wrong() -> None:
    recovering = Recovering()
    recovering.clock.advance(200_000)
    recovering.api.attempt("bad", NOW)
    recovering.broken.add("bad")
    recovering.run(NOW - 1)
    recovering.broken.clear()
    recovering.clock.rightNow = NOW + 1000
    assert recovering.outcomes() == {"bad": "recovered"}


def test_one_receiver_at_a_time() -> None:
    recovering = Recovering()
    other = MemoryJournal(recovering.journal.store, clock=recovering.clock.seconds)
    result_of(other.open())
    result_of(other.lease("recovery github o/r", 10.0))
    with pytest.raises(Busy, match="another process"):
        all_of(recovering.catch_up.run())


def test_what_another_receiver_has_just_looked_at_is_not_looked_at_again() -> None:
    recovering = Recovering()
    recovering.run()
    recovering.api.asked.clear()
    assert recovering.run(unless=NOW) == []
    assert recovering.api.asked == []
    recovering.api.attempt("g", NOW - 1000)
    assert len(recovering.run(unless=NOW + 1)) == 1


def test_two_hooks_with_the_same_path_are_told() -> None:
    recovering = Recovering()
    recovering.api.hooks *= 2
    with pytest.raises(RestError, match="2 webhooks"):
        recovering.run()


# Asking the forge to send again -------------------------------------------------------------------


def test_what_is_missing_is_asked_for_and_settled_when_it_has_come() -> None:
    recovering = Recovering(redeliver=True)
    asked: list[str] = []
    recovering.api.again = lambda item: asked.append(item["guid"])
    recovering.api.attempt("g", NOW - 1000)
    assert [(m.way, m.outcome) for m in recovering.run()] == [("redelivered", "asked")]
    assert recovering.catch_up.due == NOW + PAUSES[0]
    assert recovering.run() == [] and asked == ["g"]
    recovering.came("g")
    for dry in (True, False):
        assert result_of(recovering.journal.recall("asked github g")) == b"1"
        found = recovering.run(dry=dry)
        assert [(m.way, m.outcome) for m in found] == [("redelivered", "recovered")]
    assert recovering.run() == []
    assert result_of(recovering.journal.recall("asked github g")) is None


def killed_after_one(recovering: Recovering) -> Missing:
    """A run that ends when it has settled one delivery, before it could write down how far it got."""
    run = recovering.catch_up.run()
    first: Missing = result_of(Deferred.fromCoroutine(run.__anext__()))  # type: ignore[arg-type]
    result_of(Deferred.fromCoroutine(run.aclose()))  # type: ignore[arg-type]
    recovering.restart()
    return first


def test_nothing_is_left_of_what_a_run_asked_for_that_was_killed() -> None:
    recovering = Recovering(redeliver=True)
    for number, name in enumerate("gh"):
        recovering.api.attempt(name, NOW - 1000 + number)
    recovering.came("h")
    assert killed_after_one(recovering).outcome == "asked"
    assert result_of(recovering.journal.recall("asked github g")) is not None
    recovering.came("g")
    assert [(m.delivery, m.way, m.outcome) for m in recovering.run()] == [("g", "redelivered", "recovered")]
    assert result_of(recovering.journal.recall("asked github g")) is None
    assert recovering.run() == []


def test_what_was_asked_for_and_has_not_come_is_asked_for_again_after_a_kill() -> None:
    recovering = Recovering(redeliver=True)
    recovering.api.attempt("g", NOW - 1000)
    for _ in range(2):
        assert killed_after_one(recovering).outcome == "asked"


@pytest.mark.parametrize("is_handled", [True, False])
def test_nothing_is_left_of_what_was_asked_for_and_refused_or_is_not_handled_any_more(
    is_handled: bool,
) -> None:
    recovering = Recovering(redeliver=True)
    recovering.api.attempt("g", NOW - 1000, 403)
    assert recovering.outcomes() == {"g": "asked"}
    if is_handled:
        recovering.came("g", 403)
    else:
        recovering.event = "other"
    assert recovering.run(dry=True) == []
    assert result_of(recovering.journal.recall("asked github g")) == b"1"
    assert recovering.run() == []
    assert result_of(recovering.journal.recall("asked github g")) is None


def test_what_does_not_come_though_it_was_asked_for_twice_is_fetched() -> None:
    recovering = Recovering(redeliver=True)
    recovering.api.attempt("g", NOW - 1000)
    ways = []
    for pause in PAUSES:
        ways += [(m.way, m.outcome) for m in recovering.run()]
        recovering.clock.advance(pause)
    assert ways == [("redelivered", "asked"), ("redelivered", "asked"), ("api-replay", "recovered")]


@pytest.mark.parametrize("status", [403, 404, 422])
def test_what_may_not_be_asked_for_is_fetched(status: int) -> None:
    recovering = Recovering(redeliver=True)
    recovering.api.attempt("g", NOW - 1000)
    recovering.api.instead = [None, None, Say(status=status)]
    assert [(m.way, m.outcome) for m in recovering.run()] == [("api-replay", "recovered")]


def test_a_limit_while_asking_stops_the_run_and_keeps_what_was_asked() -> None:
    recovering = Recovering(source=Source("o/r", hook=5), redeliver=True)
    recovering.api.attempt("a", NOW - 1000)
    recovering.api.attempt("b", NOW - 900)
    recovering.api.instead = [None, None, Say(status=429, headers={"Retry-After": "30"})]
    with pytest.raises(RestError):
        recovering.run()
    recovering.clock.advance(31)
    assert recovering.outcomes() == {"b": "asked"}


# Organizations and Apps ---------------------------------------------------------------------------


def test_the_webhook_of_an_organization() -> None:
    api = FakeGitHubHooks("token T", owner="orgs/acme")
    recovering = Recovering(api, Source(organization="acme"))
    for number in range(150):
        api.attempt(f"g{number}", NOW - 5000 + number)
    assert len(recovering.run()) == 150
    assert "/orgs/acme/hooks" in api.paths()


def test_the_webhook_of_an_app() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    api = FakeGitHubHooks(owner="app/hook")
    recovering = Recovering(api, Source(app=True), token={"app": 7, "key": pem})
    api.attempt("g", NOW - 5000)
    assert recovering.outcomes() == {"g": "recovered"}
    assert {path for path in api.paths() if "hooks" in path} == set()
    assert all(asked.headers["authorization"].count(".") == 2 for asked in api.asked)


def test_the_webhook_of_an_app_needs_its_token() -> None:
    with pytest.raises(RestError, match="App's own token"):
        Recovering(source=Source(app=True)).run()
