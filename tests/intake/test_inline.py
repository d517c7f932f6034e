from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.core.fetched import POLL
from change_hooks.core.found import Found
from change_hooks.core.push import Push
from change_hooks.intake.inline import ANSWER_WITHIN, InlineIntake
from change_hooks.intake.receipt import Receipt
from change_hooks.interfaces import IDeliverySink
from change_hooks.outbox.sink_options import routed
from tests.conftest import delivery, has_fired, result_of
from tests.support.waiting import Waiting

RECEIVED = delivery(dialect="base", id="1")
CHANGES = [Change(branch="main", revision="1"), Change(branch="main", revision="2"), Change(branch="dev")]


def given(**written: Any) -> list[Any]:
    taken: list[Any] = []
    read, _ = routed(taken.append, written, 1)
    assert InlineIntake(read).accept(RECEIVED, Found(CHANGES)) == Receipt("accepted", len(CHANGES))
    return taken


def test_a_sink_gets_each_change() -> None:
    assert given() == CHANGES


def test_a_sink_that_wants_pushes_gets_pushes() -> None:
    assert given(per="push") == [Push.of(CHANGES[:2]), Push.of(CHANGES[2:])]


def test_what_it_does_not_want_it_does_not_get() -> None:
    assert given(only={"branches": ["dev"]}) == CHANGES[2:]
    assert given(only={"branches": ["x"]}) == []


def test_a_sink_of_deliveries_gets_the_delivery_once() -> None:
    taken: list[Any] = []

    @implementer(IDeliverySink)
    class Whole:
        name = "whole"

        def add_delivery(self, received: Any) -> None:
            taken.append(received)

    InlineIntake(Whole()).accept(RECEIVED, Found(CHANGES))
    assert taken == [RECEIVED]


def test_the_next_change_waits_for_the_one_before() -> None:
    waiting = Waiting()

    taken = InlineIntake(waiting).accept(RECEIVED, Found(CHANGES))
    for number in range(3):
        assert len(waiting) == number + 1
        assert not has_fired(taken)
        waiting[number].callback(None)
    assert result_of(taken) == Receipt("accepted", len(CHANGES))


def test_a_failure_of_the_sink_is_a_503() -> None:
    def broken(change: Change) -> None:
        raise RuntimeError

    with pytest.raises(Unavailable, match="incident"):
        InlineIntake(broken).accept(RECEIVED, Found(CHANGES))


def test_what_did_not_come_with_a_request_is_not_sent_on() -> None:
    taken: list[Any] = []

    @implementer(IDeliverySink)
    class Whole:
        name = "whole"
        add_delivery = taken.append

    polled = delivery(dialect="git", id="1", method=POLL)
    assert InlineIntake(Whole()).accept(polled, Found(CHANGES)) == Receipt("accepted", len(CHANGES))
    assert taken == []


def test_a_sink_that_hangs_is_a_503_in_time() -> None:
    clock = Clock()
    cancelled: list[Any] = []

    def hangs(change: Change) -> Deferred[None]:
        return Deferred(cancelled.append)

    accepting = InlineIntake(hangs, clock).accept(RECEIVED, Found(CHANGES))
    clock.advance(ANSWER_WITHIN - 0.1)
    assert not has_fired(accepting)
    clock.advance(0.1)
    with pytest.raises(Unavailable, match="in time"):
        result_of(accepting)
    assert len(cancelled) == 1


def test_all_changes_of_a_delivery_have_one_limit() -> None:
    clock = Clock()
    calls: list[Change] = []

    def slow(change: Change) -> Deferred[None]:
        calls.append(change)
        return deferLater(clock, 2.0)

    accepting = InlineIntake(slow, clock, within=3.0).accept(RECEIVED, Found(CHANGES))
    clock.pump([1.0] * 3)
    with pytest.raises(Unavailable):
        result_of(accepting)
    clock.pump([1.0] * 9)
    assert calls == CHANGES[:2]
