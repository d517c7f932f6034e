"""Waits for a forge's test delivery to appear in the journal."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from twisted.internet.task import deferLater

from change_hooks.journal import StoredDelivery
from change_hooks.journal.reader import Reader

#: How often the journal is read, in seconds.
EVERY = 0.25
#: How long to keep waiting for the test after a request was refused, in seconds.
AFTER_REFUSAL = 3.0


class Arrivals:
    """The deliveries that arrive from now on.

    :param reader: the journal's reader.
    :param clock: the reactor, or a clock in tests.
    """

    def __init__(self, reader: Reader, clock: Any) -> None:
        self._reader = reader
        self._clock = clock
        self._seq = reader.newest()
        #: Requests that the endpoint refused during the wait. Anybody may have sent them.
        self.refused: list[StoredDelivery] = []

    async def wait(self, endpoint: str, events: Collection[str], limit: float) -> StoredDelivery | None:
        """The first delivery of one of these events. None: none came in time, or the endpoint refused a
        request a while ago, and the forge can be asked whether that was the test.

        :param limit: in seconds.
        """
        until = self._clock.seconds() + limit
        while True:
            for line in self._news():
                if line.dialect == endpoint and line.state == "refused":
                    self.refused.append(line)
                    until = min(until, self._clock.seconds() + AFTER_REFUSAL)
                elif line.dialect == endpoint and line.event in events:
                    return line
            if self._clock.seconds() >= until:
                return None
            await deferLater(self._clock, EVERY, lambda: None)

    def _news(self) -> list[StoredDelivery]:
        lines = self._reader.after(self._seq)
        if lines:
            self._seq = lines[-1].seq
        return lines


__all__ = ["AFTER_REFUSAL", "EVERY", "Arrivals"]
