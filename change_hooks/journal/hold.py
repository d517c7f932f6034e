"""Holds a name in the journal while some work is in progress."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IJournal


class Hold:
    """Renews a lease that was obtained on a name, until :meth:`end`.

    :param seconds: the duration of the lease.
    :param lost: the error if another receiver may hold the name.
    """

    def __init__(self, journal: IJournal, name: str, clock: Any, seconds: float, lost: str) -> None:
        self._journal = journal
        self._name = name
        self._seconds = seconds
        self._message = lost
        self._lost = False
        self._clock = clock
        #: The time at which the lease was last known to be held.
        self._had: float = clock.seconds()
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = clock
        self._renewing.start(seconds / 3, now=False)

    def _renew(self) -> None:
        asked = self._clock.seconds()
        renewed = self._journal.lease(self._name, self._seconds)
        renewed.addCallbacks(self._renewed, lambda _: None, callbackArgs=(asked,))

    def _renewed(self, held: bool, asked: float) -> None:
        self._lost = self._lost or not held
        self._had = asked

    def check(self) -> None:
        """Check that nobody else holds the name.

        :raises Unavailable: somebody else may hold it.
        """
        if self._lost or self._clock.seconds() - self._had > self._seconds:
            raise Unavailable(self._message)

    def end(self) -> Deferred[None]:
        """Release the name."""
        self._renewing.stop()
        return self._journal.release(self._name).addErrback(lambda _: None)


__all__ = ["Hold"]
