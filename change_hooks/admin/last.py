"""When each endpoint last received a delivery that was not refused.

Strategy: the deliveries of this process are known immediately; those of other receivers and earlier runs are
read from the journal, new ones only. The journal has wall-clock times, so they are converted to ages.
"""

from __future__ import annotations

from time import time

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from change_hooks.interfaces import IJournal
from change_hooks.journal.reader import Reader
from change_hooks.observer import Answered, Observer


class LastDeliveries(Observer):
    """Remembers when the last deliveries arrived.

    :param clock: the clock for these times.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._place = 0
        self._times: dict[str, float] = {}

    def delivery_answered(
        self, endpoint: str, event: str, outcome: Answered, seconds: float | None, changes: int
    ) -> None:
        """See :meth:`~change_hooks.observer.Observer.delivery_answered`."""
        if outcome in ("accepted", "ignored", "duplicate"):
            self._times[endpoint] = self._clock.seconds()

    def ages(self) -> dict[str, float]:
        """The age of the last delivery, in seconds, for each endpoint that ever received one."""
        now = self._clock.seconds()
        return {endpoint: now - moment for endpoint, moment in self._times.items()}

    def read(self, journal: IJournal) -> Deferred[None]:
        """Read what is new in the journal. Fails as :meth:`~change_hooks.interfaces.IJournal.read` does."""
        found: Deferred[tuple[int, dict[str, float]]] = journal.read(self._new)
        return found.addCallback(self._take)

    def _new(self, reader: Reader) -> tuple[int, dict[str, float]]:
        newest, received = reader.last_received(self._place)
        now = time()
        return newest, {endpoint: now - moment for endpoint, moment in received.items()}

    def _take(self, found: tuple[int, dict[str, float]]) -> None:
        place, ages = found
        self._place = max(self._place, place)
        now = self._clock.seconds()
        for endpoint, age in ages.items():
            moment = now - max(age, 0.0)
            self._times[endpoint] = max(moment, self._times.get(endpoint, moment))


__all__ = ["LastDeliveries"]
