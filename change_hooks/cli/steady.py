"""A reactor that is not disturbed when somebody sets the clock."""

from __future__ import annotations

from time import monotonic, time
from typing import Any


def make_steady(reactor: Any) -> None:
    """Let the reactor's time begin with the clock's and go on by itself.

    Otherwise a clock that is set back would make everything that waits (the next attempt to deliver, every
    time limit) wait that much longer. What is stored or signed bears the clock's time all the same.

    :param reactor: one that reads the clock; one with a time of its own is left alone.
    """
    if getattr(reactor, "seconds", None) is not time:
        return
    offset = time() - monotonic()
    reactor.seconds = lambda: offset + monotonic()


__all__ = ["make_steady"]
