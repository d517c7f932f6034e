"""For how long an answer of the store is waited for.

Strategy: a thread may stand still for as long as its database says nothing. What it was given
is counted in the reactor's thread, oldest first, and looked at twice a second while there is anything. Who
asked hears in time that the store cannot be used, and so does everybody who asks while it stands still. What
was asked for may be done all the same, as when a commit's answer is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

#: How long an operation may take, in seconds: forges wait ten for an answer, and get it within five.
PATIENCE = 4.0
#: After how long what stands still is broken off, in seconds.
HANGS = 10.0
#: How often to look, in seconds.
LOOK = 0.5


class Patience:
    """Watches over what the thread was given.

    :param later: runs a function in the reactor's thread after so many seconds; None: all is waited for.
    :param overdue: called with the Deferreds that nobody shall wait for any longer.
    :param hangs: called when the thread has been standing still for :data:`HANGS`, and again after as long.
    :param patience: how long somebody waits, in seconds.
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
        #: At which look each of them was given.
        self._since: deque[int] = deque()
        self._looks = 0
        self._next: IDelayedCall | None = None
        self._told_at = 0
        #: Somebody has waited in vain, and the thread has not come back since.
        self.exhausted = False

    def give(self, deferreds: list[Deferred[Any]]) -> None:
        """The thread has been given something that these wait for."""
        self._given.append(deferreds)
        self._since.append(self._looks)
        if self._next is None and self._later is not None:
            self._next = self._later(LOOK, self._look)

    def take_back(self, times: int) -> None:
        """The thread is done with what it was given the first so many times."""
        for _ in range(times):
            self._given.popleft()
            self._since.popleft()
        self.exhausted = False
        self._told_at = self._looks

    def end(self) -> None:
        """Nothing more will be given: look no more, once the thread has come back with everything."""
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
