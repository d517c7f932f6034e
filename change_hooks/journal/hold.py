"""Holding a name in the journal for as long as some work goes on."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from change_hooks.core.errors import Unavailable
from change_hooks.interfaces import IJournal


class Hold:
    """Renews the lease on a name, which has been had, until the end.

    :param seconds: for how long the lease is each time.
    :param lost: what is said when another receiver may hold it.
    """

    def __init__(self, journal: IJournal, name: str, clock: Any, seconds: float, lost: str) -> None:
        self._journal = journal
        self._name = name
        self._seconds = seconds
        self._message = lost
        self._lost = False
        self._clock = clock
        #: When the lease was had last, at the latest.
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
        """See that nobody else holds it.

        :raises Unavailable: somebody may.
        """
        if self._lost or self._clock.seconds() - self._had > self._seconds:
            raise Unavailable(self._message)

    def end(self) -> Deferred[None]:
        """Let go of it."""
        self._renewing.stop()
        return self._journal.release(self._name).addErrback(lambda _: None)


__all__ = ["Hold"]
