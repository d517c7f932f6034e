"""What a sink answers when it is given a change."""

from __future__ import annotations

from typing import NamedTuple

#: How much of the output of an attempt is kept, in bytes: its end.
OUTPUT_KEPT = 4096


class SinkError(Exception):
    """A sink did not accept a change; it is tried again.

    :param message: why; stored and shown.
    :param retry_after: it asks for no other attempt before so many seconds.
    :param output: what came of the attempt: what a program wrote, what a server answered. The last
        :data:`OUTPUT_KEPT` bytes are kept with the attempt.
    """

    def __init__(self, message: str, retry_after: float = 0.0, *, output: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.output = output


class SinkRefused(SinkError):
    """A sink will never accept this change: it becomes a dead letter at once.

    :param message: why; stored and shown.
    :param output: see :class:`SinkError`.
    """

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message, output=output)


class SinkBusy(SinkError):
    """A sink cannot take anything now, whatever it is. The change is tried again, and this does not count as
    one of its ``attempts``.

    :param message: why; stored and shown.
    :param retry_after: for how many seconds it wants to be left alone.
    :param output: see :class:`SinkError`.
    """

    def __init__(self, message: str, retry_after: float = 30.0, *, output: str = "") -> None:
        super().__init__(message, retry_after, output=output)


class SinkOutput(NamedTuple):
    """What a sink may return when it has accepted a change.

    :param output: see :class:`SinkError`.
    """

    output: str


__all__ = ["OUTPUT_KEPT", "SinkBusy", "SinkError", "SinkOutput", "SinkRefused"]
