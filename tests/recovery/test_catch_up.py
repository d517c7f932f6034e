"""What is missing, what becomes of it, and where the watermark stands after it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from twisted.internet.task import Clock

from change_hooks.core.change import Change
from change_hooks.core.errors import BadPayload, Unavailable
from change_hooks.core.found import About, Found
from change_hooks.forges.github import GitHub
from change_hooks.forges.github_log import PAGES, GitHubLog
from change_hooks.forges.rest import RestError
from change_hooks.recovery.catch_up import GRACE, CatchUp, Missing
from tests.conftest import result_of
from tests.support.fake_api import Say
from tests.support.fake_github_hooks import FakeGitHubHooks

NOW = 1_800_000_000.0
NAME = "recovery github o/r"


class Store:
    """A journal, as far as it is needed."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}
        self.memory: dict[str, bytes] = {}
        self.free = True
        self.held: set[str] = set()
        self.full_after: int | None = None
        self.traced: dict[str, int] = {}

    def append(self, delivery: Any, changes: Any, sinks: Any, unwanted: Any, *, about: Any) -> Deferred[Any]:
        if self.full_after is not None and len(self.stored) >= self.full_after:
            return fail(Unavailable("the disk is full"))
        self.stored.setdefault(delivery.id, (delivery, changes, (sinks, unwanted, about)))
        return succeed(None)

    def remember(self, name: str, value: bytes) -> Deferred[None]:
        self.memory[name] = value
        return succeed(None)

    def recall(self, name: str) -> Deferred[bytes | None]:
        return succeed(self.memory.get(name))

    def lease(self, name: str, seconds: float) -> Deferred[bool]:
        if self.free:
            self.held.add(name)
        return succeed(self.free)

    def find(self, dialect: str, ids: list[str]) -> Deferred[dict[str, int]]:
        found = {**self.traced, **dict.fromkeys(self.stored, 202)}
        return succeed({name: found[name] for name in ids if name in found})

    def release(self, name: str) -> Deferred[None]:
        self.held.discard(name)
        return succeed(None)


class Rig:
    def __init__(self, hook: int | None = None) -> None:
        self.forge = FakeGitHubHooks("token T")
        self.store = Store()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.hook = hook
        self.token = "T"
        self.broken: set[str] = set()

    async def found(self, delivery: Any) -> Found:
        payload = msgspec.json.decode(delivery.body)
        if delivery.id in self.broken:
            raise BadPayload("$.ref", "is missing")
        if delivery.id == "bug":
            raise KeyError("x")
        if delivery.id == "nothing":
            return Found(reason="nothing to do")
        change = Change(revision=payload["after"], properties={"a": 1})
        return Found([change], about=About("push", "o/r", "main", "ann"))

    def run(self, since: float | None = None, *, dry: bool = False) -> list[Missing]:
        options = SimpleNamespace(token=self.token, github_api_endpoint=None)
        rest = GitHub(options, StubTreq(self.forge), self.clock).rest
        catch_up = CatchUp(
            "github",
            "o/r",
            GitHubLog(rest, "o/r", self.hook, "/change_hook/github"),
            self.store,
            handles=lambda event: event == "push",
            found=self.found,
            routes=lambda changes: (("a",), ("b",)),
            now=self.clock.seconds,
        )

        async def collected() -> list[Missing]:
            return [missing async for missing in catch_up.run(since, dry=dry)]

        try:
            return result_of(ensureDeferred(collected()))
        finally:
            assert not self.store.held

    def watermark(self) -> float | None:
        kept = self.store.memory.get(NAME)
        return None if kept is None else msgspec.json.decode(kept)


def test_what_is_missing_is_recovered_once_and_oldest_first() -> None:
    rig = Rig()
    for number in range(250):
        rig.forge.attempt(f"g{number}", NOW - 5000 + number)
    found = rig.run()
    assert [missing.delivery for missing in found] == [f"g{number}" for number in range(250)]
    assert {missing.outcome for missing in found} == {"recovered"}
    delivery, changes, routed = rig.store.stored["g7"]
    assert changes == [
        Change(revision=f"{8:040x}", properties={"a": 1, "change_hook_recovered": "api-replay"})
    ]
    assert (delivery.dialect, delivery.verification) == ("github", "token")
    assert routed == (("a",), ("b",), About("push", "o/r", "main", "ann"))
    assert delivery.getHeader("x-github-event") == "push"
    assert delivery.getHeader("x-hub-signature-256") is None
    assert rig.watermark() == NOW - GRACE
    assert rig.run() == []


@pytest.mark.parametrize("statuses", [(0,), (502,), (429,), (408,), (200,), (503, 0)])
def test_what_the_journal_lacks_is_missing_whatever_the_forge_was_answered(statuses: tuple[int, ...]) -> None:
    rig = Rig()
    for status in statuses:
        rig.forge.attempt("g", NOW - 1000, status)
    assert [missing.outcome for missing in rig.run()] == ["recovered"]


def test_what_the_journal_has_is_not_missing_though_the_forge_says_that_it_failed() -> None:
    rig = Rig()
    rig.forge.attempt("g", NOW - 1000, 504)
    rig.store.stored["g"] = ()
    assert rig.run() == []


@pytest.mark.parametrize("status", [403, 503])
def test_a_trace_of_a_request_is_not_a_delivery(status: int) -> None:
    rig = Rig()
    rig.forge.attempt("g1", NOW - 1000)
    rig.store.traced["g1"] = status
    assert [(missing.delivery, missing.outcome) for missing in rig.run()] == [("g1", "recovered")]


def test_what_was_ignored_when_it_came_is_not_missing() -> None:
    rig = Rig()
    rig.forge.attempt("g1", NOW - 1000)
    rig.store.traced["g1"] = 202
    assert rig.run() == []


def test_what_was_refused_is_not_asked_for_again() -> None:
    rig = Rig()
    rig.forge.attempt("g", NOW - 1000, 403)
    assert rig.run() == []


def test_an_event_that_is_not_handled_costs_no_request() -> None:
    rig = Rig()
    rig.forge.attempt("g", NOW - 1000, event="star")
    assert rig.run() == []
    assert not any(path.endswith("/deliveries/1") for path in rig.forge.paths())


def test_what_is_just_being_delivered_is_left_alone() -> None:
    rig = Rig()
    rig.forge.attempt("g", NOW - GRACE + 1)
    assert rig.run() == []
    rig.clock.advance(GRACE)
    assert [missing.outcome for missing in rig.run()] == ["recovered"]


def test_a_delivery_without_changes_is_settled() -> None:
    rig = Rig()
    rig.forge.attempt("nothing", NOW - 1000)
    assert [missing.outcome for missing in rig.run()] == ["ignored"]
    assert rig.watermark() == NOW - GRACE


def test_one_that_fails_stops_no_other_and_holds_the_watermark() -> None:
    rig = Rig()
    rig.broken.add("bad")
    rig.forge.attempt("bad", NOW - 3000)
    rig.forge.attempt("bug", NOW - 2500)
    rig.forge.attempt("good", NOW - 2000)
    found = rig.run()
    assert [missing.outcome for missing in found] == ["failed", "failed", "recovered"]
    assert "$.ref" in found[0].reason and found[1].reason == "KeyError"
    assert rig.watermark() == NOW - 3000


@pytest.mark.parametrize(
    "said",
    [
        [None, Say(status=502)],
        [None, Say(status=429, headers={"Retry-After": "30"})],
        [None, Say([{"id": 1}])],
        [None, None, Say(status=500)],
        [None, None, Say({"request": {}})],
        [Say([])],
        [Say(status=401)],
    ],
)
def test_no_error_of_the_forge_moves_the_watermark(said: list[Say | None]) -> None:
    rig = Rig()
    rig.forge.attempt("g", NOW - 1000)
    rig.forge.instead = said
    with pytest.raises(RestError):
        rig.run()
    assert rig.watermark() is None and not rig.store.stored
    rig.clock.advance(60)
    assert [missing.outcome for missing in rig.run()] == ["recovered"]


def test_an_error_in_the_middle_of_paging_moves_nothing() -> None:
    rig = Rig(hook=5)
    for number in range(150):
        rig.forge.attempt(f"g{number}", NOW - 5000 + number)
    rig.forge.instead = [None, Say(status=502)]
    with pytest.raises(RestError):
        rig.run()
    assert rig.watermark() is None and not rig.store.stored


def test_a_page_of_another_host_is_not_fetched() -> None:
    rig = Rig(hook=5)
    rig.forge.base = "https://evil.example"
    for number in range(150):
        rig.forge.attempt(f"g{number}", NOW - 5000 + number)
    with pytest.raises(RestError, match="another address"):
        rig.run()
    assert rig.watermark() is None


def test_a_log_of_too_many_pages_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("change_hooks.forges.github_log.PAGES", 2)
    rig = Rig(hook=5)
    for number in range(250):
        rig.forge.attempt(f"g{number}", NOW - 5000 + number)
    with pytest.raises(RestError, match="more than 2 pages"):
        rig.run()
    assert rig.watermark() is None and PAGES > 2


def test_only_the_pages_since_the_watermark_are_read() -> None:
    rig = Rig(hook=5)
    for number in range(250):
        rig.forge.attempt(f"g{number}", NOW - 80000 + number)
    rig.run()
    rig.forge.asked.clear()
    assert rig.run() == []
    assert len(rig.forge.asked) == 1


def test_a_journal_that_is_full_stops_the_run_and_holds_the_watermark() -> None:
    rig = Rig()
    for number in range(3):
        rig.forge.attempt(f"g{number}", NOW - 1000 + number)
    rig.store.full_after = 1
    with pytest.raises(Unavailable):
        rig.run()
    assert rig.watermark() is None and list(rig.store.stored) == ["g0"]
    rig.store.full_after = None
    assert [missing.delivery for missing in rig.run()] == ["g1", "g2"]


def test_a_dry_run_changes_nothing() -> None:
    rig = Rig()
    rig.forge.attempt("g", NOW - 1000)
    assert [missing.outcome for missing in rig.run(dry=True)] == ["missing"]
    assert not rig.store.stored and rig.watermark() is None


def test_since_reaches_back_and_a_shorter_time_moves_no_watermark() -> None:
    rig = Rig()
    rig.forge.attempt("old", NOW - 200_000)
    assert rig.run() == []
    before = rig.watermark()
    rig.clock.advance(5000)
    assert rig.run(NOW + 4000) == []
    assert rig.watermark() == before
    assert [missing.delivery for missing in rig.run(NOW - 250_000)] == ["old"]


def test_one_receiver_at_a_time() -> None:
    rig = Rig()
    rig.store.free = False
    with pytest.raises(RestError, match="another process"):
        rig.run()


def test_two_hooks_with_the_same_path_are_told() -> None:
    rig = Rig()
    rig.forge.hooks *= 2
    with pytest.raises(RestError, match="2 webhooks"):
        rig.run()
