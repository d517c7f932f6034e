"""How a sink responds to a change."""

from __future__ import annotations

from typing import NamedTuple

#: How much of the output of an attempt is kept, in bytes: its end.
OUTPUT_KEPT = 4096


class SinkError(Exception):
    """A sink did not accept a change, which will be retried.

    :param message: the reason; it is stored and shown.
    :param retry_after: the sink asks for no other attempt within so many seconds.
    :param output: the output of the attempt: what a program wrote, or a server responded. Its last
        :data:`OUTPUT_KEPT` bytes are kept with the attempt.
    """

    def __init__(self, message: str, retry_after: float = 0.0, *, output: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.output = output


class SinkRefused(SinkError):
    """A sink will never accept this change, which becomes a dead letter at once.

    :param message: the reason; it is stored and shown.
    :param output: see :class:`SinkError`.
    """

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message, output=output)


class SinkBusy(SinkError):
    """A sink cannot accept any change now. The change is retried, and this does not count as one of its
    ``attempts``.

    :param message: the reason; it is stored and shown.
    :param retry_after: the sink asks for no other attempt within so many seconds.
    :param output: see :class:`SinkError`.
    """

    def __init__(self, message: str, retry_after: float = 30.0, *, output: str = "") -> None:
        super().__init__(message, retry_after, output=output)


class SinkOutput(NamedTuple):
    """A sink may return this when it has accepted a change.

    :param output: see :class:`SinkError`.
    """

    output: str


__all__ = ["OUTPUT_KEPT", "SinkBusy", "SinkError", "SinkOutput", "SinkRefused"]
