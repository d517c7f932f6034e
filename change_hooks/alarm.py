"""A timer that can be set again."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Alarm:
    """Calls a function at the time that was set last, at most once for each time that it is set.

    :param clock: the reactor, or a clock in tests.
    :param ring: the function; it may set the alarm again.
    """

    __slots__ = ("_call", "_clock", "_ring")

    def __init__(self, clock: IReactorTime, ring: Callable[[], object]) -> None:
        self._clock = clock
        self._ring = ring
        self._call: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """Ring in *delay* seconds, and not at the time that was set before."""
        self.clear()
        self._call = self._clock.callLater(seconds, self._rings)

    def clear(self) -> None:
        """Do not ring. Does nothing if the alarm was not set."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _rings(self) -> None:
        self._call = None
        self._ring()


__all__ = ["Alarm"]
