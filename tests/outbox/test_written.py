"""Writing to a journal that may be away."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.outbox.written import TRY_AGAIN, unless_away, until_written
from tests.conftest import result_of
from tests.support.logs import logged


def start(results: list[Deferred[Any]], *, given_up: bool = False) -> tuple[Clock, list[Any]]:
    clock = Clock()
    ends: list[Any] = []
    until_written(lambda: results.pop(0), clock, lambda: given_up).addBoth(ends.append)
    return clock, ends


def test_it_is_tried_again_until_it_is_written() -> None:
    results: list[Deferred[Any]] = [fail(Unavailable("away")), fail(Unavailable("away")), succeed("done")]
    clock, ends = start(results)
    assert ends == []
    clock.advance(TRY_AGAIN)
    assert ends == []
    clock.advance(TRY_AGAIN)
    assert ends == [True]
    assert results == []


def test_who_ends_leaves_it() -> None:
    clock, ends = start([fail(Unavailable("away"))], given_up=True)
    assert ends == [False]
    assert clock.getDelayedCalls() == []


def test_a_journal_that_is_away_has_a_next_time_and_anything_else_is_reported() -> None:
    for error, said in ((Unavailable("away"), []), (RuntimeError("a bug"), ["it failed: incident"])):
        with logged() as log:
            assert result_of(fail(error).addErrback(unless_away, "it failed")) is None
        assert [line.partition(" incident")[0] + " incident" for line in log] == said


@pytest.mark.parametrize("error", [ValueError("no"), LookupError("gone")])
def test_what_will_not_get_better_fails(error: Exception) -> None:
    _, ends = start([fail(error)])
    (end,) = ends
    assert isinstance(end, Failure)
    assert end.value is error
