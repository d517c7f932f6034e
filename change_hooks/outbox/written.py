"""What goes on when the journal is away: what has to be written, and what has a next time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.incidents import report

#: The wait before the journal is tried again, in seconds.
TRY_AGAIN = 1.0


@inlineCallbacks
def until_written(
    write: Callable[[], Deferred[Any]], clock: IReactorTime, given_up: Callable[[], bool]
) -> Any:
    """Write it when the journal can.

    :param write: tries once; fails with :class:`~change_hooks.core.errors.Unavailable` when it cannot be
        written now.
    :param given_up: asked after each failure: whether to leave it, since the receiver ends; what is left
        unwritten the next run does again.
    :returns: fires with True when it is written, False when it was given up; fails with whatever else
        *write* fails with.
    """
    while True:
        try:
            yield write()
        except Unavailable:
            if given_up():
                return False
            yield deferLater(clock, TRY_AGAIN)
        else:
            return True


def unless_away(failure: Failure, what: str) -> None:
    """Report that something failed, unless the journal is only away: then there is a next time."""
    if not failure.check(Unavailable):
        report(what, failure)


__all__ = ["TRY_AGAIN", "unless_away", "until_written"]
