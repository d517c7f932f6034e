"""Alarms: tell the operators that something has failed, or works again.

Strategy: failures can be seen in the journal, including those of other receivers and earlier runs. So one of
the receivers checks it periodically, and remembers there what it has reported. Only two things are reported
by each process for itself: whether the journal can be written, and what it has recovered. Alarms go to their
sinks directly: nothing waits for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from time import time
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.admin.judging import Judge, Memory
from change_hooks.admin.last import LastDeliveries
from change_hooks.alarm import Alarm
from change_hooks.core.errors import Unavailable
from change_hooks.core.receiver_alarm import ReceiverAlarm
from change_hooks.core.shown import shown_error
from change_hooks.flow import called
from change_hooks.incidents import report
from change_hooks.interfaces import IJournal
from change_hooks.journal import SinkSummary, Summary
from change_hooks.observer import Observer
from change_hooks.outbox.routing import RoutedSink
from change_hooks.sinks.base import alarm_call

#: How often to check, and how long one receiver checks on behalf of all, in seconds.
EVERY = 10.0
LEASE = 3 * EVERY
#: The name of the lease, and of the memory.
NAME = "alarms"
#: After this many failures in a row of a queue's head, the sink counts as failing.
FAILURES = 3
#: How long a sink may take for an alarm, and how long to wait before a retry, in seconds.
WITHIN = 60.0
WAITS = (5.0, 60.0)

log = Logger()


class Alarms(Observer):
    """Checks periodically, and raises alarms.

    :param last: when each endpoint last received a delivery.
    :param sinks: all sinks, by name.
    :param clock: the reactor, or a clock in tests.
    """

    def __init__(
        self, journal: IJournal, last: LastDeliveries, sinks: Mapping[str, RoutedSink], clock: IReactorTime
    ) -> None:
        self._journal = journal
        self._last = last
        self._sinks = sinks
        self._clock = clock
        self._to: Collection[str] = ()
        self._expected: Mapping[str, float] = {}
        self._own = Memory()
        self._down = False
        #: For each endpoint, how many recovered deliveries have not been reported yet.
        self._recovered: Counter[str] = Counter()
        self._stopped = True
        self._looking = False
        self._next = Alarm(clock, self._look)
        self._later: set[Alarm] = set()

    def reconfigure(self, to: Collection[str], expected: Mapping[str, float]) -> None:
        """Apply a new configuration.

        :param to: the names of the sinks that get alarms; sinks that a reconfiguration has added require a
            restart.
        :param expected: for endpoints, the number of seconds within which a delivery is expected.
        """
        self._to = [name for name in to if name in self._sinks]
        self._expected = expected
        if not self._stopped and self._to and not self._looking:
            self._next.set(0.0)

    def start(self) -> None:
        """Start checking."""
        self._stopped = False
        self._look()

    def stop(self) -> None:
        """Stop checking, and abandon alarms that have not been accepted."""
        self._stopped = True
        self._next.clear()
        for later in self._later:
            later.clear()
        self._later.clear()

    # The journal.

    def journal_committed(self, seconds: float) -> None:
        """See :meth:`~change_hooks.observer.Observer.journal_committed`."""
        if self._down:
            self._down = False
            self._say_journal()

    def journal_unavailable(self) -> None:
        """See :meth:`~change_hooks.observer.Observer.journal_unavailable`."""
        if not self._down:
            self._down = True
            self._say_journal()

    def _say_journal(self) -> None:
        judge = Judge(self._own, self._clock.seconds(), time())
        text = (
            "the journal cannot be written; deliveries are answered 503"
            if self._down
            else "the journal can be written again"
        )
        judge.state("journal", "", bad=self._down, text=text)
        self._send(judge.alarms)

    # What was recovered here.

    def recovered(self, endpoint: str, way: str) -> None:
        """See :meth:`~change_hooks.observer.Observer.recovered`."""
        self._recovered[endpoint] += 1

    def _say_recovered(self) -> None:
        judge = Judge(self._own, self._clock.seconds(), time())
        for endpoint, count in sorted(self._recovered.items()):
            if judge.recovered(endpoint, count):
                del self._recovered[endpoint]
        self._send(judge.alarms)

    # Everything else.

    def _look(self) -> None:
        if self._stopped or not self._to:
            return
        self._next.set(EVERY)
        if self._looking:
            return
        self._looking = True
        self._say_journal()
        self._say_recovered()
        self._judged().addErrback(_cannot_look).addCallback(self._looked)

    def _looked(self, _: object) -> None:
        self._looking = False

    @inlineCallbacks
    def _judged(self) -> Any:
        held = yield self._journal.lease(NAME, LEASE)
        if not held:
            return
        kept = yield self._journal.recall(NAME)
        yield self._last.read(self._journal)
        summary: Summary = yield self._journal.read(lambda reader: reader.summary())
        memory = _new(summary) if kept is None else msgspec.msgpack.decode(kept, type=Memory)
        judge = Judge(memory, self._clock.seconds(), time())
        self._judge_sinks(judge, {sink.sink: sink for sink in summary.sinks})
        self._judge_endpoints(judge, memory)
        now_kept = msgspec.msgpack.encode(memory)
        if now_kept != kept:
            yield self._journal.remember(NAME, now_kept)
        if not self._stopped:
            self._send(judge.alarms)

    def _judge_sinks(self, judge: Judge, summaries: Mapping[str, SinkSummary]) -> None:
        for name in sorted({*self._sinks, *summaries}):
            sink = summaries.get(name) or SinkSummary(name, 0, 0, 0, None, 0)
            failing = sink.attempts >= FAILURES or (sink.retrying > 0 and judge.is_bad("sink", name))
            text = (
                f"the sink {name!r} is failing: {sink.error}"
                if failing
                else f"the sink {name!r} accepts changes again"
            )
            judge.state("sink", name, bad=failing, text=text, error=sink.error if failing else "")
            judge.dead_letters(name, sink.dead_letters)

    def _judge_endpoints(self, judge: Judge, memory: Memory) -> None:
        now, ages = self._clock.seconds(), self._last.ages()
        memory.watched = {name: memory.watched.get(name, now) for name in self._expected}
        for name, within in self._expected.items():
            age = ages.get(name, now - memory.watched[name])
            text = (
                f"the endpoint {name!r} has received nothing for {age:.0f} s; a delivery is expected every"
                f" {within:g} s"
                if age > within
                else f"the endpoint {name!r} receives deliveries again"
            )
            judge.state("endpoint", name, bad=age > within, text=text)

    # To the sinks.

    def _send(self, alarms: Collection[ReceiverAlarm]) -> None:
        for alarm in alarms:
            if self._to:
                log.warn("alarm: {event}: {text}", event=alarm.event, text=alarm.text)
            for name in self._to:
                self._send_to(name, alarm, 0)

    def _send_to(self, name: str, alarm: ReceiverAlarm, attempt: int) -> None:
        call = alarm_call(self._sinks[name].sink)
        sent: Deferred[Any] = called(call, alarm).addTimeout(WITHIN, self._clock)
        sent.addErrback(self._not_sent, name, alarm, attempt)

    def _not_sent(self, failure: Failure, name: str, alarm: ReceiverAlarm, attempt: int) -> None:
        wait = WAITS[attempt] if attempt < len(WAITS) else None
        log.warn(
            "the sink {sink} did not accept the alarm {event}: {error}{again}",
            sink=name,
            event=alarm.event,
            error=shown_error(failure.value),
            again="" if wait is None else f"; retrying in {wait:.0f} s",
        )
        if wait is None or self._stopped:
            return

        def again() -> None:
            self._later.discard(later)
            self._send_to(name, alarm, attempt + 1)

        later = Alarm(self._clock, again)
        self._later.add(later)
        later.set(wait)


def _new(summary: Summary) -> Memory:
    """The initial memory: existing dead letters are not reported."""
    return Memory(dead={sink.sink: sink.dead_letters for sink in summary.sinks if sink.dead_letters})


def _cannot_look(failure: Failure) -> None:
    if not failure.check(Unavailable):
        report("the alarms could not be evaluated", failure)


__all__ = ["EVERY", "FAILURES", "WAITS", "Alarms"]
