"""What was logged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.logger import LogEvent, formatEvent, globalLogPublisher


class Lines(list[str]):
    """The lines of a log."""

    @property
    def text(self) -> str:
        return "\n".join(self)


@contextmanager
def logged() -> Iterator[Lines]:
    """The lines that are logged inside."""
    lines = Lines()

    def keep(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(keep)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(keep)
