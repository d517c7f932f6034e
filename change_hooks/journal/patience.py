"""Limits how long callers wait for the store.

Strategy: a thread may block for as long as its database does not respond. The operations that it was given
are tracked in the reactor's thread, oldest first, and checked twice a second. A caller learns in time that
the store is unavailable, and so does every caller that comes while the thread is blocked. The operation may
still succeed, for instance if the response to a commit is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

#: How long an operation may take, in seconds: forges wait ten for a response, and get it within five.
PATIENCE = 4.0
#: After how long a blocked operation is aborted, in seconds.
HANGS = 10.0
#: How often to check, in seconds.
LOOK = 0.5


class Patience:
    """Watches the operations that a thread was given.

    :param later: runs a function in the reactor's thread after a number of seconds; None: wait without limit.
    :param overdue: called with the Deferreds that have waited long enough.
    :param hangs: called when the thread has been blocked for :data:`HANGS` seconds, and again after the same
        time.
    :param patience: how long a caller waits, in seconds.
    """

    def __init__(
        self,
        later: Callable[..., IDelayedCall] | None,
        overdue: Callable[[list[Deferred[Any]]], None],
        hangs: Callable[[], None],
        patience: float = PATIENCE,
    ) -> None:
        self._later = later
        self._overdue = overdue
        self._hangs = hangs
        self._patience = patience
        self._given: deque[list[Deferred[Any]]] = deque()
        #: The number of the check at which each of them was given.
        self._since: deque[int] = deque()
        self._looks = 0
        self._next: IDelayedCall | None = None
        self._told_at = 0
        #: A caller has waited in vain, and the thread is still blocked.
        self.exhausted = False

    def give(self, deferreds: list[Deferred[Any]]) -> None:
        """The thread was given operations that these Deferreds wait for."""
        self._given.append(deferreds)
        self._since.append(self._looks)
        if self._next is None and self._later is not None:
            self._next = self._later(LOOK, self._look)

    def take_back(self, times: int) -> None:
        """The thread is done with the first *times* batches that it was given."""
        for _ in range(times):
            self._given.popleft()
            self._since.popleft()
        self.exhausted = False
        self._told_at = self._looks

    def end(self) -> None:
        """Nothing more will be given: stop checking once the thread has done everything."""
        if self._next is not None and not self._given:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        if not self._given or self._later is None:
            return
        self._next = self._later(LOOK, self._look)
        self._looks += 1
        given_long_ago = self._looks - self._patience / LOOK
        late = [
            deferred
            for deferreds, since in zip(self._given, self._since, strict=True)
            if since <= given_long_ago
            for deferred in deferreds
            if not deferred.called
        ]
        if late:
            self._overdue(late)
            self.exhausted = True
        if self.exhausted and self._looks - max(self._told_at, self._since[0]) >= HANGS / LOOK:
            self._told_at = self._looks
            self._hangs()


__all__ = ["HANGS", "LOOK", "PATIENCE", "Patience"]
