from __future__ import annotations

from time import time
from typing import Any

import pytest
from twisted.internet.task import Clock

from change_hooks.cli import steady
from change_hooks.cli.steady import make_steady


class Reactor:
    seconds: Any = staticmethod(time)


def test_the_time_begins_with_the_clock_and_goes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    reactor = Reactor()
    monkeypatch.setattr(steady, "monotonic", lambda: 100.0)
    make_steady(reactor)
    began = reactor.seconds()
    assert abs(began - time()) < 3600
    monkeypatch.setattr(steady, "monotonic", lambda: 107.5)
    assert reactor.seconds() - began == 7.5


def test_a_reactor_with_a_time_of_its_own_is_left_alone() -> None:
    clock = Clock()
    make_steady(clock)
    clock.advance(3)
    assert clock.seconds() == 3
