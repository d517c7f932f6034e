from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock

from change_hooks.flow import as_deferred, called, proceed, reactor_unless
from tests.conftest import has_fired, result_of


def adding(*values: Any) -> Generator[Any, Any, int]:
    total = 0
    for value in values:
        total += yield value
    return total


async def coroutine(value: int) -> int:
    return value


def test_steps_that_need_no_waiting_give_their_result_at_once() -> None:
    assert proceed(adding(1, 2)) == 3


def test_a_step_that_waits_is_waited_for() -> None:
    first: Deferred[int] = Deferred()
    second: Deferred[int] = Deferred()
    done = proceed(adding(first, 1, second, coroutine(4), succeed(8)))
    assert isinstance(done, Deferred)
    first.callback(16)
    assert not has_fired(done)
    second.callback(32)
    assert result_of(done) == 61


@pytest.mark.parametrize("wait", [False, True])
def test_any_number_of_steps_may_have_fired_already(wait: bool) -> None:
    first: Deferred[int] = Deferred()
    steps: list[Any] = [succeed(1) if number % 2 else coroutine(1) for number in range(5000)]
    done = proceed(adding(*([first] if wait else []), *steps))
    assert isinstance(done, Deferred)
    if wait:
        first.callback(0)
    assert result_of(done) == 5000


def test_an_error_of_a_step_is_raised_where_it_was_yielded() -> None:
    def catching(step: Any) -> Generator[Any, Any, str]:
        try:
            yield step
        except ValueError as error:
            return f"caught {error}"
        return "nothing"

    later: Deferred[Any] = Deferred()
    done: Any = proceed(catching(later))
    later.errback(ValueError("x"))
    assert result_of(done) == "caught x"
    assert result_of(as_deferred(proceed(catching(fail(ValueError("y")))))) == "caught y"


def test_an_error_that_nobody_catches_is_that_of_the_whole() -> None:
    with pytest.raises(TypeError):
        proceed(adding("x"))
    later: Deferred[Any] = Deferred()
    done = proceed(adding(later))
    assert isinstance(done, Deferred)
    later.errback(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        result_of(done)


def test_who_cancels_the_whole_cancels_the_step() -> None:
    cancelled: list[Any] = []
    later: Deferred[Any] = Deferred(cancelled.append)
    done = proceed(adding(later))
    assert isinstance(done, Deferred)
    done.cancel()
    assert cancelled == [later]
    with pytest.raises(CancelledError):
        result_of(done)


def test_a_call_may_return_or_raise() -> None:
    assert result_of(called(lambda: 5)) == 5
    assert result_of(called(lambda: succeed(5))) == 5
    with pytest.raises(ZeroDivisionError):
        result_of(called(lambda: 1 // 0))


def test_a_clock_is_taken_as_it_is() -> None:
    from twisted.internet import reactor

    clock = Clock()
    assert reactor_unless(clock) is clock
    assert reactor_unless(None) is reactor
