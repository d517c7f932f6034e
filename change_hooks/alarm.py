"""One thing that is to happen later."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Alarm:
    """Calls a function at the time it was last set to, at most once for each setting.

    :param clock: whose time it goes by.
    :param ring: what is called; it may set the alarm again.
    """

    __slots__ = ("_call", "_clock", "_ring")

    def __init__(self, clock: IReactorTime, ring: Callable[[], object]) -> None:
        self._clock = clock
        self._ring = ring
        self._call: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """Ring in so many seconds, and not when it was to ring before."""
        self.clear()
        self._call = self._clock.callLater(seconds, self._rings)

    def clear(self) -> None:
        """Do not ring; nothing happens when it was not set."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _rings(self) -> None:
        self._call = None
        self._ring()


__all__ = ["Alarm"]
