"""One attempt to deliver a unit to a sink: the call, its time limit, its outcome, and the line in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, inlineCallbacks  # noqa: A004
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.core.delivery import Delivery
from change_hooks.core.push import push_key
from change_hooks.core.shown import one_line, short_name, shown_error
from change_hooks.core.sink_answers import SinkBusy, SinkError, SinkOutput, SinkRefused
from change_hooks.flow import as_deferred
from change_hooks.journal import Entry
from change_hooks.journal.contents import Unreadable
from change_hooks.observer import NOBODY, AttemptOutcome, Observer
from change_hooks.outbox.coalescing import Given, Queued, Unit
from change_hooks.outbox.routing import RoutedSink
from change_hooks.sinks.base import sink_call

#: The longest wait that a sink may ask for, in seconds.
LONGEST_WAIT = 3600.0

#: The result of delivering a unit that is no longer wanted.
_UNWANTED = object()

log = Logger()


class Attempted(NamedTuple):
    """The outcome of one attempt.

    :param accepted: the sink has accepted the unit, or it is no longer wanted.
    :param unwanted: the unit is no longer wanted; nothing was attempted.
    :param refused: the sink will never accept the unit.
    :param error: the error, in a form that may be stored and shown; empty if the unit was accepted.
    :param asked: how many seconds the sink asks to wait.
    :param busy: the sink cannot accept anything now, whatever it is.
    :param late: it failed because it took too long.
    :param output: the sink's output.
    :param at: when it began, in seconds since the epoch.
    :param seconds: how long it took.
    """

    accepted: bool
    unwanted: bool = False
    refused: bool = False
    error: str = ""
    asked: float = 0.0
    busy: bool = False
    late: bool = False
    output: str = ""
    at: float = 0.0
    seconds: float = 0.0

    @property
    def outcome(self) -> AttemptOutcome:
        """The outcome in one word."""
        if self.accepted:
            return "taken"
        return "refused" if self.refused else "timeout" if self.late else "failed"


class Handing:
    """Delivers units to one sink.

    :param name: the sink's name in the journal.
    :param clock: the reactor, or a clock in tests.
    :param stored: returns a stored delivery, given its sequence number.
    :param observer: notified of each attempt.
    """

    def __init__(
        self,
        name: str,
        routed: RoutedSink,
        clock: IReactorTime,
        stored: Callable[[int], Deferred[Delivery]],
        observer: Observer = NOBODY,
    ) -> None:
        self.routed = routed
        self._name = name
        self._clock = clock
        self._stored = stored
        self._observer = observer
        self._running: set[Deferred[Any]] = set()
        self._call = None if routed.per == "delivery" else sink_call(routed.sink)

    def queued(self, entry: Entry) -> Queued:
        """An entry, and which of its units the sink has yet to get."""
        given = entry.changes
        dialect = given[0][0].dialect if given else ""
        parted = self.routed.parted(self._name, [change for _, change in given], dialect)
        wanted, unwanted = (
            [Unit(unit.group, [given[index] for index in unit.changes]) for unit in units] for units in parted
        )
        return Queued(
            entry,
            [unit for unit in wanted if unit.last >= entry.next],
            [unit for unit in unwanted if unit.last >= entry.next],
        )

    @inlineCallbacks
    def hand_over(self, seq: int, unit: Sequence[Given]) -> Any:
        """Attempt once. Fires with an :class:`Attempted`; fails only with
        :class:`~change_hooks.core.errors.Unavailable`, if the journal cannot return the delivery now: then
        nothing was attempted.

        :param seq: the delivery's sequence number in the journal.
        """
        began, at = self._clock.seconds(), time()
        delivery = (yield self._delivery(seq)) if self._call is None else None
        try:
            result = yield self._watched(as_deferred(self._start(delivery, unit)))
        except Exception as error:
            asked = min(getattr(error, "retry_after", 0.0), LONGEST_WAIT)
            refused = isinstance(error, SinkRefused)
            attempted = Attempted(
                accepted=False,
                refused=refused,
                error=one_line(str(error), 500) if refused else shown_error(error),
                asked=asked,
                busy=isinstance(error, SinkBusy),
                late=isinstance(error, TimeoutError),
                output=getattr(error, "output", ""),
            )
        else:
            output = result.output if isinstance(result, SinkOutput) else ""
            attempted = Attempted(accepted=True, unwanted=result is _UNWANTED, output=output)
        seconds = self._clock.seconds() - began
        attempted = attempted._replace(at=at, seconds=seconds)
        if not attempted.unwanted:
            self._observer.attempt_made(self._name, attempted.outcome, seconds, attempted.error)
        self._log(unit, attempted, seconds)
        return attempted

    def break_off(self) -> None:
        """Cancel the current attempt, which then has failed."""
        for running in list(self._running):
            running.cancel()

    def _watched(self, result: Deferred[Any]) -> Deferred[Any]:
        limit = self.routed.time_limit
        if limit is not None:
            result.addTimeout(limit, self._clock, onTimeoutCancel=_late)
        self._running.add(result)

        def ended(outcome: Any) -> Any:
            self._running.discard(result)
            if isinstance(outcome, Failure) and outcome.check(CancelledError):
                raise SinkError("the server was shutting down")
            return outcome

        return result.addBoth(ended)

    @inlineCallbacks
    def _delivery(self, seq: int) -> Any:
        """Fires with a stored delivery, or with the error of one that is damaged."""
        try:
            return (yield self._stored(seq))
        except (Unreadable, LookupError) as error:
            return SinkRefused(str(error))

    def _start(self, delivery: Delivery | SinkRefused | None, unit: Sequence[Given]) -> Any:
        key, newest = unit[-1]
        if isinstance(delivery, SinkRefused):
            raise delivery
        if self._call is None:
            return self.routed.sink.add_delivery(delivery)
        item = self.routed.item([change for _, change in unit])
        if self.routed.when is not None and not self.routed.when(item):
            return _UNWANTED
        if self.routed.per == "push":
            return self._call(item, push_key(newest, key.dialect, key.delivery))
        return self._call(item, key)

    def _log(self, unit: Sequence[Given], attempted: Attempted, seconds: float) -> None:
        if attempted.unwanted:
            outcome = "no longer wanted"
        else:
            outcome = "accepted" if attempted.accepted else "refused" if attempted.refused else "failed"
        change = unit[-1][1]
        log.info(
            "sink {sink}: {repository} {branch} {revision}: {outcome} in {seconds:.3f} s",
            sink=self._name,
            repository=_shown(change.repository),
            branch=_shown(change.branch),
            revision=_shown(change.revision),
            outcome=outcome,
            seconds=seconds,
        )


def _late(_: object, seconds: float) -> Any:
    raise TimeoutError(f"it took longer than {seconds:g} s")


def _shown(name: str | None) -> str:
    return short_name(name or "-")


__all__ = ["LONGEST_WAIT", "Attempted", "Handing"]
