"""Makes a reactor independent of changes to the system clock."""

from __future__ import annotations

from time import monotonic, time
from typing import Any


def make_steady(reactor: Any) -> None:
    """Start the reactor's time at that of the clock, and let it advance monotonically.

    Otherwise a clock that is set back would prolong everything that waits (the next attempt to deliver, every
    time limit). Stored and signed times are still those of the clock.

    :param reactor: a reactor that reads the clock; one with its own time is left unchanged.
    """
    if getattr(reactor, "seconds", None) is not time:
        return
    offset = time() - monotonic()
    reactor.seconds = lambda: offset + monotonic()


__all__ = ["make_steady"]
