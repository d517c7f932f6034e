"""An alarm."""

from twisted.internet.task import Clock

from change_hooks.alarm import Alarm


def test_it_rings_once_for_each_setting() -> None:
    clock = Clock()
    rung: list[float] = []
    alarm = Alarm(clock, lambda: rung.append(clock.seconds()))
    alarm.set(2)
    clock.advance(1)
    assert rung == []
    clock.advance(1)
    clock.advance(10)
    assert rung == [2]
    alarm.set(3)
    clock.advance(3)
    assert rung == [2, 15]


def test_the_last_setting_counts() -> None:
    clock = Clock()
    rung: list[float] = []
    alarm = Alarm(clock, lambda: rung.append(clock.seconds()))
    alarm.set(1)
    alarm.set(5)
    clock.pump([1, 1, 1, 1, 1, 1])
    assert rung == [5]


def test_one_that_was_cleared_does_not_ring() -> None:
    clock = Clock()
    alarm = Alarm(clock, lambda: 1 / 0)
    alarm.clear()
    alarm.set(1)
    alarm.clear()
    clock.advance(2)
    assert clock.getDelayedCalls() == []


def test_it_may_be_set_while_it_rings() -> None:
    clock = Clock()
    rung: list[float] = []

    def again() -> None:
        rung.append(clock.seconds())
        if len(rung) < 3:
            alarm.set(1)

    alarm = Alarm(clock, again)
    alarm.set(1)
    clock.pump([1, 1, 1, 1])
    assert rung == [1, 2, 3]
