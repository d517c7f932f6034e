"""Alarms, over a clock: on transitions, each at most once an hour, to any sink."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from change_hooks import Change
from change_hooks.admin.alarms import EVERY, WAITS, WITHIN
from change_hooks.core.errors import ConfigurationError, Unavailable
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.journal.in_memory import MemoryStore
from change_hooks.journal.reader import Reader
from change_hooks.testing import Receiver
from tests.support.waiting import Waiting

HOUR = 3600.0


def www(**more: Any) -> dict[str, Any]:
    return {
        "change_hook_dialects": {"base": True},
        "change_hook_sinks": {
            "ops": {"sink": "http", "url": "https://ops.example/", "unless": {"dialects": ["*"]}},
            "build": {"sink": "http", "url": "https://ci.example/"},
        },
        "change_hook_alarms": ["ops"],
        **more,
    }


def said(receiver: Receiver) -> list[tuple[str, str]]:
    """The alarms so far."""
    return [(alarm.event, alarm.subject) for alarm in receiver.sinks["ops"].alarms]


def look(receiver: Receiver, seconds: float = EVERY) -> None:
    """Let time go by, in the steps in which it looks."""
    left = seconds
    while left > 0:
        receiver.advance(min(EVERY, left))
        left -= EVERY


def push(receiver: Receiver, revision: str) -> None:
    assert receiver.post("base", form={"revision": revision}).status == 202


def test_a_sink_that_fails_and_recovers() -> None:
    with Receiver(www()) as receiver:
        build = receiver.sinks["build"]
        build.fail(times=2)
        push(receiver, "1")
        look(receiver, 60)
        assert said(receiver) == []
        build.fail(times=6)
        push(receiver, "2")
        look(receiver, 30)
        assert said(receiver) == [("sink_failing", "build")]
        (alarm,) = receiver.sinks["ops"].alarms
        assert "told to fail" in alarm.error
        assert alarm.text == f"the sink 'build' is failing: {alarm.error}"
        look(receiver, 600)
        assert said(receiver) == [("sink_failing", "build"), ("sink_recovered", "build")]


def test_each_at_most_once_an_hour_and_what_lasts_is_said_then() -> None:
    with Receiver(www()) as receiver:
        build = receiver.sinks["build"]
        for revision in ("1", "2", "3"):
            build.fail(times=5)
            push(receiver, revision)
            look(receiver, 300)
        assert said(receiver) == [("sink_failing", "build"), ("sink_recovered", "build")]
        build.fail(times=1000)
        push(receiver, "4")
        look(receiver, HOUR - 1200)
        assert len(said(receiver)) == 2
        look(receiver, 1200)
        assert said(receiver)[2:] == [("sink_failing", "build")]


def test_dead_letters_are_counted() -> None:
    with Receiver(www(change_hook_attempts=1)) as receiver:
        receiver.sinks["build"].fail(times=4)
        push(receiver, "1")
        look(receiver)
        (alarm,) = receiver.sinks["ops"].alarms
        assert (alarm.event, alarm.subject, alarm.count) == ("dead_letter", "build", 1)
        assert alarm.text == "1 new dead letter for the sink 'build'"
        for revision in ("2", "3", "4"):
            push(receiver, revision)
        look(receiver, HOUR - EVERY)
        assert len(said(receiver)) == 1
        look(receiver)
        assert receiver.sinks["ops"].alarms[1].count == 3
        assert "3 new dead letters" in receiver.sinks["ops"].alarms[1].text


def test_dead_letters_from_before_are_no_news() -> None:
    with Receiver(www(change_hook_alarms=None, change_hook_attempts=1)) as receiver:
        receiver.sinks["build"].fail()
        push(receiver, "1")
    with Receiver(www(), beside=receiver) as later:
        look(later, 60)
        assert said(later) == []


def test_silence_and_its_end() -> None:
    dialects = {"base": {"expect_every": 600}, "other": {"dialect": "base", "expect_every": 3000}}
    with Receiver(www(change_hook_dialects=dialects)) as receiver:
        push(receiver, "1")
        look(receiver, 590)
        assert said(receiver) == []
        look(receiver, 30)
        assert said(receiver) == [("silent", "base")]
        assert "a delivery is expected every 600 s" in receiver.sinks["ops"].alarms[0].text
        receiver.post("base", form={})
        look(receiver)
        assert len(said(receiver)) == 1
        push(receiver, "2")
        look(receiver)
        assert said(receiver) == [("silent", "base"), ("recovered", "base")]
        look(receiver, 3000)
        assert ("silent", "other") in said(receiver)


def test_a_restart_forgets_nothing_and_repeats_nothing() -> None:
    dialects = {"base": {"expect_every": 600}}
    with Receiver(www(change_hook_dialects=dialects)) as receiver:
        look(receiver, 620)
        assert said(receiver) == [("silent", "base")]
    with Receiver(www(change_hook_dialects=dialects), beside=receiver) as later:
        look(later, 60)
        assert said(later) == []
        push(later, "1")
        look(later)
        assert said(later) == [("recovered", "base")]


def test_of_several_receivers_one_looks_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Receiver(www(change_hook_attempts=1)) as receiver,
        Receiver(www(change_hook_attempts=1), beside=receiver) as other,
    ):
        asked: list[str] = []
        monkeypatch.setattr(other.journal, "recall", lambda name: asked.append(name) or fail(Unavailable("")))
        receiver.sinks["build"].fail()
        push(receiver, "1")
        look(receiver, 60)
        assert said(receiver) == [("dead_letter", "build")]
        assert (said(other), asked) == ([], [])
        monkeypatch.undo()
        receiver.stop()
        other.sinks["build"].fail()
        push(other, "2")
        look(receiver, HOUR)
        assert said(other) == [("dead_letter", "build")]


def test_a_journal_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError("disk full")

    with Receiver(www()) as receiver:
        look(receiver)
        with monkeypatch.context() as patch:
            patch.setattr(MemoryStore, "transact", full)
            assert receiver.post("base", form={"revision": "1"}).status == 503
            assert said(receiver) == [("journal_unavailable", "")]
            look(receiver, 60)
        push(receiver, "1")
        assert said(receiver) == [("journal_unavailable", ""), ("journal_recovered", "")]


def test_a_journal_that_fails_for_good_is_found_without_a_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError("disk full")

    with Receiver(www()) as receiver:
        monkeypatch.setattr(MemoryStore, "transact", full)
        look(receiver, 20)
        assert said(receiver) == [("journal_unavailable", "")]
        monkeypatch.undo()


def test_a_callable_is_given_an_object() -> None:
    got: list[Any] = []

    def page(alarm: Any) -> None:
        if isinstance(alarm, ReceiverAlarm):
            got.append(alarm)

    sinks = {"page": page, "build": {"sink": "http", "url": "https://ci.example/"}}
    with Receiver(www(change_hook_sinks=sinks, change_hook_alarms=["page"])) as receiver:
        receiver.sinks["build"].fail(times=10)
        push(receiver, "1")
        look(receiver, 60)
    (alarm,) = got
    assert (alarm.event, alarm.subject) == ("sink_failing", "build")
    assert alarm.as_dict()["text"] == alarm.text


def test_a_sink_that_fails_is_tried_three_times_and_delays_nothing() -> None:
    calls: list[Any] = []

    def broken(alarm: Any) -> None:
        if not isinstance(alarm, Change):
            calls.append(alarm)
            raise RuntimeError("down\n")

    sinks = {
        "broken": broken,
        "ops": {"sink": "http", "url": "https://ops.example/", "unless": {"dialects": ["*"]}},
        "build": {"sink": "http", "url": "https://ci.example/"},
    }
    more = {"change_hook_sinks": sinks, "change_hook_alarms": ["broken", "ops"], "change_hook_attempts": 1}
    with Receiver(www(**more)) as receiver:
        receiver.sinks["build"].fail()
        push(receiver, "1")
        look(receiver)
        assert said(receiver) == [("dead_letter", "build")]
        assert len(calls) == 1
        receiver.advance(WAITS[0])
        push(receiver, "2")
        assert len(receiver.sinks["build"].taken) == 1
        look(receiver, 600)
        assert [call.id for call in calls] == [calls[0].id] * 3


def test_one_that_hangs_is_given_up_and_one_that_stops_is_not_tried_again() -> None:
    asked: list[Deferred[None]] = []

    def hangs(alarm: Any) -> Any:
        if not isinstance(alarm, Change):
            asked.append(Deferred())
            return asked[-1]
        return None

    sinks = {"hangs": hangs, "build": {"sink": "http", "url": "https://ci.example/"}}
    more = {"change_hook_sinks": sinks, "change_hook_alarms": ["hangs"], "change_hook_attempts": 1}
    with Receiver(www(**more)) as receiver:
        receiver.sinks["build"].fail()
        push(receiver, "1")
        look(receiver)
        assert len(asked) == 1
        look(receiver, WITHIN + WAITS[0])
        assert len(asked) == 2
        asked[1].errback(RuntimeError("no"))
        receiver.service.drain()
        look(receiver, 600)
        assert len(asked) == 2
        push_again = receiver.post("base", form={"revision": "2"})
        assert push_again.status == 503


def test_what_cannot_be_judged_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(www(change_hook_attempts=1)) as receiver:
        look(receiver)
        receiver.sinks["build"].fail()
        push(receiver, "1")
        with monkeypatch.context() as patch:
            patch.setattr(Reader, "summary", lambda self: 1 / 0)
            look(receiver)
        with monkeypatch.context() as patch:
            patch.setattr(receiver.journal, "recall", lambda name: fail(Unavailable("locked")))
            look(receiver)
        assert said(receiver) == []
        look(receiver)
        assert said(receiver) == [("dead_letter", "build")]


def test_one_look_waits_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(www()) as receiver:
        asked = Waiting()

        monkeypatch.setattr(receiver.journal, "lease", asked)
        look(receiver, 60)
        assert len(asked) == 1
        asked[0].callback(False)
        look(receiver)
        assert len(asked) == 2
        receiver.service.reconfigure(www())
        asked[1].callback(True)


def test_what_is_found_after_the_end_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(www(change_hook_attempts=1)) as receiver:
        look(receiver)
        receiver.sinks["build"].fail()
        push(receiver, "1")
        later: Deferred[bool] = Deferred()
        monkeypatch.setattr(receiver.journal, "lease", lambda *_: later)
        look(receiver)
        receiver.service.drain()
        later.callback(True)
        assert said(receiver) == []


def test_a_reconfiguration_changes_who_is_told_and_what_is_expected() -> None:
    silent = {"base": {"expect_every": 60}}
    with Receiver(www(change_hook_alarms=None)) as receiver:
        look(receiver, 600)
        receiver.service.reconfigure(
            www(
                change_hook_dialects=silent,
                change_hook_sinks={"new": print, "ops": print},
                change_hook_alarms=["new", "ops"],
            )
        )
        look(receiver, 100)
        assert said(receiver) == [("silent", "base")]
        receiver.service.reconfigure(www(change_hook_alarms=None))
        push(receiver, "1")
        look(receiver, 100)
        assert len(said(receiver)) == 1


def test_the_sinks_of_a_service_with_a_name() -> None:
    from twisted.internet.task import Clock

    from change_hooks.journal.in_memory import MemoryJournal
    from change_hooks.service import ChangeHookService

    got: list[Any] = []
    clock = Clock()
    service = ChangeHookService(
        {
            "change_hook_dialects": {"base": {"expect_every": 5}},
            "change_hook_sinks": {"a": got.append},
            "change_hook_alarms": ["a"],
        },
        clock=clock,
        journal=MemoryJournal(clock=clock.seconds, service="one"),
        name="one",
    )
    service.startService()
    clock.advance(EVERY)
    service.drain()
    assert [alarm.event for alarm in got] == ["silent"]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"change_hook_alarms": "ops"}, "change_hook_alarms must be a list of names of change_hook_sinks"),
        ({"change_hook_alarms": ["op"]}, "change_hook_alarms: no sink 'op'; did you mean 'ops'?"),
        (
            {
                "change_hook_sinks": {"f": {"sink": "forward", "url": "https://x.example/"}},
                "change_hook_alarms": ["f"],
            },
            "change_hook_alarms: the sink 'f' cannot receive alarms; 'http', 'command', 'amqp' and callables can",
        ),
        (
            {"change_hook_journal": None},
            "change_hook_alarms needs a journal (change_hook_journal)",
        ),
        (
            {"change_hook_dialects": {"base": {"expect_every": 0}}},
            "dialect 'base': option 'expect_every' must be a positive number of seconds",
        ),
    ],
)
def test_what_is_wrong_is_said(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Receiver(www(**more))
    assert problem in caught.value.problems


def test_what_never_came_and_was_fetched_is_said_once_an_hour() -> None:
    with Receiver(www()) as receiver:
        tell = receiver.service.observer.recovered
        tell("base", "api-replay")
        tell("base", "heads")
        look(receiver)
        assert said(receiver) == [("deliveries_recovered", "base")]
        (alarm,) = receiver.sinks["ops"].alarms
        assert (alarm.count, alarm.text) == (
            2,
            "2 deliveries to the endpoint 'base' never arrived and had to be fetched",
        )
        tell("base", "heads")
        look(receiver, HOUR - 20)
        assert len(said(receiver)) == 1
        look(receiver, 20)
        assert said(receiver) == [("deliveries_recovered", "base")] * 2
        assert receiver.sinks["ops"].alarms[1].text.startswith("1 delivery to")
        look(receiver, 2 * HOUR)
        assert len(said(receiver)) == 2
