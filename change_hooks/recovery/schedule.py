"""When to recover: at the start, after the receiver could not accept deliveries, and periodically.

Strategy: the sources are read one after another, so that a forge gets one request at a time. Several
receivers may share a journal; a source that another one has read since the relevant moment is not read again.
While the journal cannot be written, no forge is asked: a run begins by writing to the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.alarm import Alarm
from change_hooks.core.errors import Unavailable
from change_hooks.forges.rest import RateLimited, RestError
from change_hooks.observer import Answered, Observer
from change_hooks.recovery.recovered import Busy, Missing, Runner

#: How long to wait after the start, and after deliveries can be accepted again, in seconds.
SOON = 2.0
#: How soon to retry when the journal cannot be written, or another receiver is recovering, in seconds.
AGAIN = 30.0
#: How soon to retry when the forge could not be read and the option ``every`` is not set, in seconds.
FAILED = 300.0

log = Logger()


class Scheduled:
    """One source, and when to read it.

    :param every: the period in seconds; None: not periodically.
    """

    def __init__(self, runner: Runner, every: float | None) -> None:
        self.runner = runner
        self.every = every
        #: When to read it next, in seconds since the epoch; None: not scheduled.
        self.due: float | None = None
        #: When it was last read.
        self.read = 0.0
        #: If another receiver has read it at or after this time, there is nothing left to do.
        self.unless = 0.0

    def next(self, now: float, failed: float | None = None) -> None:
        """Set when to read it again.

        :param failed: it could not be read; retry after this many seconds.
        """
        if failed is not None:
            self.due = now + failed
            return
        times = [now + self.every] if self.every is not None else []
        if self.runner.due is not None:
            times.append(max(self.runner.due, now + SOON))
        self.due = min(times, default=None)
        if self.due is not None:
            self.unless = now + (self.due - now) / 2


class Recovery(Observer):
    """Reads the sources of a configuration.

    :param observer: notified of recovered deliveries.
    """

    def __init__(self, clock: Any, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._sources: list[Scheduled] = []
        self._alarm = Alarm(clock, self._ring)
        self._going: Deferred[None] | None = None
        #: They fire when the run that was cancelled has ended.
        self._ending: list[Deferred[None]] = []
        self._started = False

    def use(self, sources: Sequence[tuple[Runner, float | None]]) -> None:
        """Read only these sources from now on."""
        self._sources = [Scheduled(runner, every) for runner, every in sources]
        if self._started:
            self._break_off()
            self._read_all_soon()

    def start(self) -> None:
        """Start the schedule."""
        self._started = True
        self._read_all_soon()

    def stop(self) -> Deferred[None]:
        """Start nothing new, and cancel the current run. Fires when that has ended."""
        self._started = False
        self._alarm.clear()
        return self._break_off()

    def delivery_answered(
        self, endpoint: str, event: str, outcome: Answered, seconds: float | None, changes: int
    ) -> None:
        """See :meth:`Observer.delivery_answered`: deliveries that were answered 503 must be fetched."""
        if outcome == "unavailable" and self._started:
            self._read_all_soon(AGAIN)

    def _read_all_soon(self, after: float = 0.0) -> None:
        """Read all sources, each at the earliest *after* seconds after it was last read."""
        now = self._now()
        for source in self._sources:
            soon = max(now + SOON, min(source.read + after, now + AGAIN))
            source.due = min(soon, source.due or soon)
            source.unless = now
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = min((source.due for source in self._sources if source.due is not None), default=None)
        if self._started and self._going is None and due is not None:
            self._alarm.set(max(due - self._now(), 0.0))

    def _ring(self) -> None:
        self._going = Deferred.fromCoroutine(self._read_due())
        self._going.addErrback(self._broken)
        self._going.addCallback(self._over)

    def _broken(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            log.failure("a recovery broke", failure)

    def _over(self, _: None) -> None:
        self._going = None
        self._set_alarm()
        ending, self._ending = self._ending, []
        for over in ending:
            over.callback(None)

    def _break_off(self) -> Deferred[None]:
        if self._going is None:
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._ending.append(over)
        if len(self._ending) == 1:
            self._going.cancel()
        return over

    async def _read_due(self) -> None:
        for source in list(self._sources):
            now = self._now()
            if source.due is None or source.due > now:
                continue
            source.read = now
            runner = source.runner
            named = {"endpoint": runner.endpoint, "source": runner.source}
            try:
                await self._read(source)
            except CancelledError:
                raise
            except Busy:
                log.debug("{endpoint}, {source}: another receiver is recovering", **named)
                source.next(now, AGAIN)
            except Unavailable as error:
                log.warn("{endpoint}, {source}: recovery waits: {error}", error=str(error), **named)
                source.next(now, AGAIN)
            except RestError as error:
                log.warn("{endpoint}, {source}: could not recover: {error}", error=str(error), **named)
                wait = source.every or FAILED
                source.next(now, max(wait, error.wait) if isinstance(error, RateLimited) else wait)
                if isinstance(error, RateLimited) and error.sent and source in self._sources:
                    # The limit may be its own: next time, the others come first.
                    self._sources.remove(source)
                    self._sources.append(source)
            except Exception:
                source.next(now, source.every or FAILED)
                log.failure(
                    "{endpoint}, {source}: the recovery broke",
                    endpoint=runner.endpoint,
                    source=runner.source,
                )

    async def _read(self, source: Scheduled) -> None:
        async with aclosing(source.runner.run(unless=source.unless)) as found:
            async for missing in found:
                self._tell(missing)
                if self._ending:
                    raise CancelledError
        source.next(self._now())

    def _tell(self, missing: Missing) -> None:
        if missing.outcome == "recovered":
            self._observer.recovered(missing.endpoint, missing.way)
        write: Callable[..., None] = log.error if missing.outcome == "failed" else log.info
        write(
            "{endpoint} {delivery}: {outcome} ({way}){reason}",
            endpoint=missing.endpoint,
            delivery=missing.delivery,
            outcome=missing.outcome,
            way=missing.way,
            reason=f": {missing.reason}" if missing.reason else "",
        )

    def _now(self) -> float:
        now: float = self._clock.seconds()
        return now


__all__ = ["Recovery", "Scheduled"]
