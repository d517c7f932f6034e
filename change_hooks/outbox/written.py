"""What has to be written to the journal, however long it takes to recover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from change_hooks.core.errors import Unavailable

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


__all__ = ["TRY_AGAIN", "until_written"]
