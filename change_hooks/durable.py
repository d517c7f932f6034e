"""A journal, and all that works on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from change_hooks.config import HooksConfig
from change_hooks.core.errors import Unavailable
from change_hooks.flow import as_deferred
from change_hooks.incidents import report
from change_hooks.intake.compared import Compared
from change_hooks.intake.journalled import JournalIntake
from change_hooks.intake.late import PendingDeliveries, Process
from change_hooks.interfaces import IJournal, ISink
from change_hooks.observer import Observer
from change_hooks.outbox.dispatcher import Dispatcher
from change_hooks.outbox.replays import Replays
from change_hooks.outbox.retention import Retention
from change_hooks.outbox.routing import RoutedSink

#: When the service stops: how long an attempt may still take before sinks are closed, and how long a
#: delivery may still wait for its answer, in seconds.
GRACE = 5.0

log = Logger()


class Durable:
    """A journal, and all that works on it."""

    def __init__(
        self,
        config: HooksConfig,
        journal: IJournal,
        sinks: Mapping[str, RoutedSink],
        clock: Any,
        process: Process,
        *,
        observer: Observer,
    ) -> None:
        self.journal = journal
        self._sinks = tuple(sinks.values())
        self._clock = clock
        self._stopped = False
        self._dispatcher = Dispatcher(self.journal, sinks, clock, attempts=config.attempts, observer=observer)
        self.compared = Compared()
        self.pending = PendingDeliveries(
            self.journal,
            self._dispatcher,
            clock,
            config.answer_within,
            process,
            observer=observer,
            compared=self.compared,
        )
        self._replays = Replays(self.journal, self._dispatcher, clock, process)
        self._retention = Retention(self.journal, clock, config.keep, config.keep_trace)
        self.intake = JournalIntake(self.journal, self._dispatcher, self.pending, observer, self.compared)

    @property
    def sinks(self) -> Collection[str]:
        """The names of the sinks."""
        return self._dispatcher.sinks

    def replay(self) -> None:
        """Do the requested replays now."""
        self._replays.wake()

    def reconfigure(self, config: HooksConfig) -> None:
        """Apply the settings that can change at run time."""
        self.pending.within = config.answer_within
        self._retention.keep = config.keep
        self._retention.keep_trace = config.keep_trace

    @inlineCallbacks
    def start(self) -> Any:
        """Open the journal, and continue with what it holds. Fires when everything runs."""
        self._stopped = False
        open_sinks(self._sinks)
        try:
            yield self.journal.open()
            waiting = yield self.journal.waiting_sinks()
            for sink in set(waiting) - set(self._dispatcher.sinks):
                log.warn("changes are waiting for the sink {sink!r}, which is not configured", sink=sink)
        except Unavailable:
            if self._stopped:
                return
            log.error("could not open the journal; deliveries get a 503 until it can be opened")
        if self._stopped:
            return
        self._dispatcher.start()
        self.pending.start()
        self._retention.start()
        self._replays.start()

    @inlineCallbacks
    def stop(self) -> Any:
        """Fires when the results of all attempts are recorded and the journal is closed."""
        self._stopped = True
        self._retention.stop()
        self._replays.stop()
        self.pending.stop()
        idle = self._dispatcher.stop()
        yield first(idle, self._clock)
        yield close_sinks(self._sinks, self._clock)
        self._dispatcher.break_off()
        yield idle
        yield self.journal.close()


def first(idle: Deferred[None], clock: IReactorTime) -> Deferred[None]:
    """Fires when *idle* does, or after :data:`GRACE`."""
    first: Deferred[None] = Deferred()
    alarm = clock.callLater(GRACE, first.callback, None)

    def is_idle(result: None) -> None:
        if alarm.active():
            alarm.cancel()
            first.callback(None)
        return result

    idle.addCallback(is_idle)
    return first


def open_sinks(sinks: Iterable[RoutedSink]) -> None:
    """Open the sinks. The failure of one does not affect the others."""
    for routed_sink in sinks:
        if ISink.providedBy(routed_sink.sink):
            try:
                getattr(routed_sink.sink, "open", _nothing)()
            except Exception:
                report("a sink could not be opened")


def close_sinks(sinks: Iterable[RoutedSink], clock: IReactorTime) -> Deferred[None]:
    """Close the sinks. The failure of one does not affect the others. Fires when all are closed, or after
    :data:`GRACE`.
    """
    closing = DeferredList([_closed(routed_sink.sink) for routed_sink in sinks])
    return first(closing.addCallback(_nothing), clock)


@inlineCallbacks
def _closed(sink: Any) -> Any:
    try:
        yield as_deferred(getattr(sink, "close", _nothing)())
    except Exception:
        report("a sink could not be closed")


def _nothing(*_: object) -> None:
    """Does nothing."""


__all__ = ["GRACE", "Durable", "close_sinks", "first", "open_sinks"]
