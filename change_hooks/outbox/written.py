"""Coping with an unavailable journal: retrying what must be written, tolerating what can wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.incidents import report

#: The pause before the journal is tried again, in seconds.
TRY_AGAIN = 1.0


@inlineCallbacks
def until_written(
    write: Callable[[], Deferred[Any]], clock: IReactorTime, given_up: Callable[[], bool]
) -> Any:
    """Retry a write until the journal is available.

    :param write: tries once; fails with :class:`~change_hooks.core.errors.Unavailable` if the journal cannot
        be written now.
    :param given_up: called after each failure; returns True to stop, because the receiver is ending. The next
        run repeats what was not written.
    :returns: fires with True when it is written, or False if *given_up* stopped it; fails with any other
        error of *write*.
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
    """Report that something failed, unless the journal is just unavailable: then it will be retried."""
    if not failure.check(Unavailable):
        report(what, failure)


__all__ = ["TRY_AGAIN", "unless_away", "until_written"]
