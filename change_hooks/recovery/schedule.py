"""When to recover: at the start, after the receiver could not take deliveries, and from time to time.

Strategy: one source is read after the other, so a forge is asked one thing at a time. Several receivers may
share a journal; a source that another one has read since the moment that matters is not read again. While the
journal cannot be written nothing is asked of a forge: the first thing that a run does is to write to it.
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

#: How long after the start, and after the end of a time in which deliveries could not be taken, in seconds.
SOON = 2.0
#: How soon to try again when the journal cannot be written, or another receiver is at it, in seconds.
AGAIN = 30.0
#: How soon to try again when the forge could not be read and the option ``every`` is not set, in seconds.
FAILED = 300.0

log = Logger()


class Scheduled:
    """One source, and when to read it.

    :param every: in seconds; None: not by itself.
    """

    def __init__(self, runner: Runner, every: float | None) -> None:
        self.runner = runner
        self.every = every
        #: When to read it next, in seconds since the epoch; None: not by itself.
        self.due: float | None = None
        #: When it was read last.
        self.read = 0.0
        #: Another receiver that has read it then or later has done what is to be done.
        self.unless = 0.0

    def next(self, now: float, failed: float | None = None) -> None:
        """Set when to read it again.

        :param failed: it could not be read; try again in so many seconds.
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

    :param observer: told of what was recovered.
    """

    def __init__(self, clock: Any, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._sources: list[Scheduled] = []
        self._alarm = Alarm(clock, self._ring)
        self._going: Deferred[None] | None = None
        #: Who waits for the end of what is going on, which has been broken off.
        self._ending: list[Deferred[None]] = []
        self._started = False

    def use(self, sources: Sequence[tuple[Runner, float | None]]) -> None:
        """Read these, and no others."""
        self._sources = [Scheduled(runner, every) for runner, every in sources]
        if self._started:
            self._break_off()
            self._read_all_soon()

    def start(self) -> None:
        """Begin."""
        self._started = True
        self._read_all_soon()

    def stop(self) -> Deferred[None]:
        """Begin nothing new, and break off what is going on. Fires when it has ended."""
        self._started = False
        self._alarm.clear()
        return self._break_off()

    def delivery_answered(
        self, endpoint: str, event: str, outcome: Answered, seconds: float | None, changes: int
    ) -> None:
        """See :meth:`Observer.delivery_answered`: what was answered 503 is to be fetched."""
        if outcome == "unavailable" and self._started:
            self._read_all_soon(AGAIN)

    def _read_all_soon(self, after: float = 0.0) -> None:
        """Read all of them, each so many seconds after it was read last."""
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
                log.debug("{endpoint}, {source}: another receiver recovers", **named)
                source.next(now, AGAIN)
            except Unavailable as error:
                log.warn("{endpoint}, {source}: recovery waits: {error}", error=str(error), **named)
                source.next(now, AGAIN)
            except RestError as error:
                log.warn("{endpoint}, {source}: could not recover: {error}", error=str(error), **named)
                wait = source.every or FAILED
                source.next(now, max(wait, error.wait) if isinstance(error, RateLimited) else wait)
                if isinstance(error, RateLimited) and error.sent and source in self._sources:
                    # The limit may be its own: the next time, the others are first.
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
