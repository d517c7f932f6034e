"""When it is recovered, and what stops it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from change_hooks.core.errors import Unavailable
from change_hooks.forges.rest import RateLimited, RestError
from change_hooks.observer import Observer
from change_hooks.recovery.catch_up import GRACE
from change_hooks.recovery.recovered import Busy, Missing
from change_hooks.recovery.schedule import AGAIN, FAILED, SOON, Recovery
from change_hooks.testing import Receiver, build
from tests.conftest import has_fired, result_of
from tests.support.fake_github_hooks import FakeGitHubHooks, push

SECRET = "a long enough secret"


class Told(Observer):
    def __init__(self) -> None:
        self.ways: list[tuple[str, str]] = []

    def recovered(self, endpoint: str, way: str) -> None:
        self.ways.append((endpoint, way))


class Run:
    """A runner whose runs do what the test says."""

    endpoint, source = "github", "o/r"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.runs: list[float] = []
        self.unless: list[float | None] = []
        self.error: Exception | None = None
        self.missing: list[Missing] = []
        self.hang: Deferred[None] | None = None
        self.due: float | None = None

    async def run(
        self, since: float | None = None, *, dry: bool = False, unless: float | None = None
    ) -> AsyncIterator[Missing]:
        self.runs.append(self.clock.seconds())
        self.unless.append(unless)
        if self.hang is not None:
            await self.hang
        if self.error is not None:
            raise self.error
        for missing in self.missing:
            yield missing


class Scheduled:
    """A recovery that has begun, of one source, on a clock that the test moves."""

    def __init__(self, every: float | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.told = Told()
        self.recovery = Recovery(self.clock, self.told)
        self.run = Run(self.clock)
        self.recovery.use([(self.run, every)])
        self.recovery.start()

    def advance(self, *steps: float) -> list[float]:
        """The times of the runs since then, counted from the start."""
        before = len(self.run.runs)
        self.clock.pump(steps)
        return [at - 1000 for at in self.run.runs[before:]]


def refused(recovery: Recovery) -> None:
    recovery.delivery_answered("github", "push", "unavailable", 0.1, 0)


def test_at_the_start_and_every_so_many_seconds() -> None:
    scheduled = Scheduled(300)
    assert scheduled.advance(SOON, 299, 1, 300) == [2, 302, 602]
    # Another receiver that looked in the second half of the time has done this one's work.
    assert scheduled.run.unless == [1000, 1152, 1452]


def test_without_every_only_at_the_start_and_when_something_is_due() -> None:
    scheduled = Scheduled()
    scheduled.run.due = 1120
    assert scheduled.advance(SOON) == [2]
    scheduled.run.due = None
    assert scheduled.advance(118, 10_000) == [120]


def test_after_deliveries_were_refused_for_want_of_a_journal() -> None:
    scheduled = Scheduled()
    scheduled.advance(SOON)
    scheduled.recovery.delivery_answered("github", "push", "refused", 0.1, 0)
    assert scheduled.advance(1000) == []
    refused(scheduled.recovery)
    assert scheduled.advance(SOON, 1000) == [1004]
    assert scheduled.run.unless[-1] == 2002


def test_one_source_that_always_meets_a_limit_keeps_no_other_waiting() -> None:
    clock = Clock()
    clock.advance(1000)
    recovery = Recovery(clock, Told())
    first, second = Run(clock), Run(clock)
    read: list[Run] = []

    class Shared(Run):
        """One of two with the same token: a limit that one meets holds for the other."""

        limited_until = 0.0

        async def run(self, *args: Any, **how: Any) -> AsyncIterator[Missing]:
            if Shared.limited_until > clock.seconds():
                raise RateLimited(Shared.limited_until - clock.seconds(), sent=False)
            read.append(self)
            if self is first:
                Shared.limited_until = clock.seconds() + 60
                raise RateLimited(60)
            for missing in self.missing:
                yield missing

    first, second = Shared(clock), Shared(clock)
    recovery.use([(first, 30), (second, 30)])
    recovery.start()
    with capturedLogs():
        clock.pump([SOON, 61])
    assert read == [first, second, first]


def test_what_is_broken_off_is_ended() -> None:
    scheduled = Scheduled()
    ended: list[str] = []

    class Long(Run):
        async def run(self, *args: Any, **how: Any) -> Any:
            await begin
            try:
                yield Missing("github", "1", "push", 0.0, "api-replay", "recovered")
                yield Missing("github", "2", "push", 0.0, "api-replay", "recovered")
            finally:
                await later
                ended.append("ended")

    begin: Deferred[None] = Deferred()
    later: Deferred[None] = Deferred()
    long = Long(scheduled.clock)
    scheduled.recovery.use([(long, None)])
    stopped: list[Deferred[None]] = []

    def stop(endpoint: str, way: str) -> None:
        stopped.append(scheduled.recovery.stop())

    scheduled.told.recovered = stop  # type: ignore[method-assign]
    scheduled.clock.advance(SOON)
    begin.callback(None)
    assert ended == [] and not has_fired(stopped[0])
    later.callback(None)
    assert ended == ["ended"] and has_fired(stopped[0])


def test_what_is_refused_all_the_time_does_not_use_up_the_forges_limit() -> None:
    scheduled = Scheduled()
    scheduled.advance(SOON, 98)
    for _ in range(int(AGAIN * 11)):
        refused(scheduled.recovery)
        scheduled.clock.advance(0.1)
    assert [at - 1000 for at in scheduled.run.runs[1:]] == pytest.approx(
        [100 + SOON, 100 + SOON + AGAIN], abs=0.2
    )
    refused(scheduled.recovery)
    assert len(scheduled.advance(AGAIN)) == 1


def test_a_clock_that_is_set_back_does_not_put_it_off() -> None:
    scheduled = Scheduled()
    scheduled.advance(SOON)
    scheduled.clock.rightNow = 10.0
    refused(scheduled.recovery)
    scheduled.clock.advance(AGAIN)
    assert scheduled.run.runs[1:] == [10 + AGAIN]


def test_before_the_start_nothing_is_done() -> None:
    clock = Clock()
    recovery = Recovery(clock, Told())
    recovery.use([(Run(clock), 60)])
    refused(recovery)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Busy(), AGAIN),
        (Unavailable("the disk is full"), AGAIN),
        (RestError("no"), FAILED),
        (RateLimited(1000.0), 1000.0),
        (KeyError("x"), FAILED),
    ],
)
def test_what_fails_is_tried_again(error: Exception, again: float) -> None:
    scheduled = Scheduled()
    scheduled.run.error = error
    with capturedLogs() as events:
        scheduled.advance(SOON)
    assert len(events) == 1
    scheduled.run.error = None
    assert scheduled.advance(again - 0.5) == []
    assert scheduled.advance(0.5) == [SOON + again]


def test_one_source_that_fails_stops_no_other() -> None:
    scheduled = Scheduled()
    other = Run(scheduled.clock)
    scheduled.run.error = KeyError("x")
    scheduled.recovery.use([(scheduled.run, None), (other, None)])
    scheduled.advance(SOON)
    assert len(other.runs) == 1


def test_what_was_recovered_is_told() -> None:
    scheduled = Scheduled()
    scheduled.run.missing = [
        Missing("github", "a", "push", 1.0, "api-replay", "recovered"),
        Missing("github", "b", "push", 1.0, "redelivered", "asked"),
        Missing("github", "c", "push", 1.0, "api-replay", "failed", "no"),
        Missing("github", "d", "push", 1.0, "redelivered", "recovered"),
    ]
    with capturedLogs() as events:
        scheduled.advance(SOON)
    assert scheduled.told.ways == [("github", "api-replay"), ("github", "redelivered")]
    assert [event["log_level"].name for event in events] == ["info", "info", "error", "info"]


def test_at_the_end_it_is_broken_off_and_waited_for() -> None:
    scheduled = Scheduled(60)
    scheduled.run.hang = Deferred()
    scheduled.advance(SOON)
    stopped, again = scheduled.recovery.stop(), scheduled.recovery.stop()
    assert has_fired(stopped) and has_fired(again)
    refused(scheduled.recovery)
    assert scheduled.advance(1000) == []
    assert result_of(scheduled.recovery.stop()) is None


def test_at_the_end_no_other_source_is_begun() -> None:
    scheduled = Scheduled(60)
    other = Run(scheduled.clock)
    scheduled.recovery.use([(scheduled.run, 60), (other, 60)])
    scheduled.run.hang = Deferred()
    scheduled.advance(SOON)
    assert has_fired(scheduled.recovery.stop())
    assert other.runs == []


def test_the_end_waits_for_what_cannot_be_broken_off() -> None:
    scheduled = Scheduled(60)
    last: Deferred[None] = Deferred()

    async def hanging() -> AsyncIterator[Missing]:
        try:
            await Deferred()
        finally:
            await last
        yield Missing("github", "a", "push", 1.0, "api-replay", "recovered")

    scheduled.run.run = lambda **_: hanging()  # type: ignore[method-assign]
    scheduled.advance(SOON)
    stopped = scheduled.recovery.stop()
    assert not has_fired(stopped) and not has_fired(scheduled.recovery.stop())
    last.callback(None)
    assert has_fired(stopped)


def test_another_configuration_is_followed_at_once() -> None:
    scheduled = Scheduled(60)
    scheduled.run.hang = Deferred()
    scheduled.advance(SOON)
    new = Run(scheduled.clock)
    scheduled.recovery.use([(new, None)])
    scheduled.advance(SOON, 1000)
    assert (len(scheduled.run.runs), len(new.runs)) == (1, 1)


# In a service -------------------------------------------------------------------------------------


def www(**recover: Any) -> dict[str, Any]:
    options = {"secret": SECRET, "strict": True, "token": "T", "recover": {"from": ["o/r"], **recover}}
    return {"change_hook_dialects": {"github": options}}


#: When the receiver starts.
START = 100_000.0


def receiver(api: FakeGitHubHooks, **recover: Any) -> Receiver:
    """One that was down, and starts again."""
    before = Receiver({"change_hook_dialects": {"base": True}})
    before.stop()
    before.advance(START)
    return Receiver(www(**recover), http=StubTreq(api), beside=before)  # type: ignore[arg-type]


def revisions(receiver: Receiver) -> list[str | None]:
    receiver.settle()
    return [change.revision for change in receiver.sinks["sink"].changes]


def test_a_receiver_recovers_by_itself_and_later_deliveries_are_duplicates() -> None:
    api = FakeGitHubHooks("token T")
    for number in range(1, 4):
        api.attempt(f"g{number}", START - 4000 + number)
    told = Told()
    with receiver(api, every=300) as hooks:
        hooks.service.observe(told)
        hooks.advance(SOON)
        assert revisions(hooks) == [f"{number:040x}" for number in (1, 2, 3)]
        assert told.ways == [("github", "api-replay")] * 3
        again = hooks.post("github", "push", push(2), secret=SECRET, id="g2")
        assert again.text.startswith("duplicate of g2")
        api.attempt("g4", START - 200)
        hooks.advance(300)
        assert revisions(hooks)[3:] == [f"{4:040x}"]
        assert {stored.recovered for stored in hooks.deliveries()} == {"api-replay"}


def test_what_the_forge_sends_again_says_that_it_was_asked_to() -> None:
    api = FakeGitHubHooks("token T")
    api.attempt("g1", START - 4000)
    waiting: list[dict[str, Any]] = []
    api.again = waiting.append
    told = Told()
    with receiver(api, via="redeliver", every=60) as hooks:
        hooks.service.observe(told)
        hooks.advance(SOON)
        assert [item["guid"] for item in waiting] == ["g1"]
        hooks.send(build(www(), "github", "push", push(1), secret=SECRET, id="g1"))
        other = hooks.post("github", "push", push(9), secret=SECRET, id="g9")
        assert "change_hook_recovered" not in other.changes[0].properties
        hooks.advance(60)
        assert told.ways == [("github", "redelivered")]
        assert [stored.recovered for stored in hooks.deliveries()] == ["redelivered", ""]


def test_a_stopped_receiver_asks_nothing_more() -> None:
    api = FakeGitHubHooks("token T")
    hooks = receiver(api, every=60)
    hooks.stop()
    hooks.advance(1000)
    assert api.asked == []


def test_a_token_that_does_not_fit_is_said_and_the_endpoint_works() -> None:
    with capturedLogs() as events:
        hooks = receiver(FakeGitHubHooks("token T"), **{"from": ["app"]})
    assert any("App's own token" in str(event.get("error")) for event in events)
    assert hooks.post("github", "push", push(1), secret=SECRET).status == 202
    hooks.stop()


def test_what_is_let_in_while_a_grace_goes_on_is_recovered_after_it() -> None:
    api = FakeGitHubHooks("token T")
    with receiver(api) as hooks:
        hooks.advance(SOON)
        hooks.advance(1000)
        api.attempt("g1", START + 1000)
        hooks.service.observer.delivery_answered("github", "push", "unavailable", 0.1, 0)
        hooks.advance(SOON)
        assert revisions(hooks) == []
        hooks.advance(GRACE)
        assert revisions(hooks) == [f"{1:040x}"]
