"""The simple embedded resource: a sink called before the response."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.core.found import Found
from change_hooks.flow import Steps, is_later, proceed, reactor_unless
from change_hooks.incidents import report
from change_hooks.intake.receipt import Receipt, accepted, ignored
from change_hooks.interfaces import IChangeSink
from change_hooks.observer import NOBODY, Observer
from change_hooks.outbox.routing import RoutedSink
from change_hooks.outbox.sink_options import routed
from change_hooks.sinks.base import sink_call

#: How long a sender waits, in seconds.
ANSWER_WITHIN = 5.0

log = Logger()


class InlineIntake:
    """Calls a sink before the response, one change after the other. Nothing is stored or postponed.

    :param sink: an :class:`~change_hooks.interfaces.IChangeSink`, or a callable that takes a change.
    :param clock: the reactor by default; a clock in tests.
    :param observer: notified of delivered changes.
    :param within: how long the sink may take for all changes of a delivery, in seconds.
    """

    def __init__(
        self,
        sink: IChangeSink | RoutedSink | Callable[[Change], object],
        clock: IReactorTime | None = None,
        observer: Observer = NOBODY,
        *,
        within: float = ANSWER_WITHIN,
    ) -> None:
        self.within = within
        self._clock = clock
        self._observer = observer
        self._routed = sink if isinstance(sink, RoutedSink) else routed(sink, {}, 1)[0]
        target = self._routed.sink
        self._call: Callable[[Any, None], Any] = (
            (lambda delivery, _: target.add_delivery(delivery))
            if self._routed.per == "delivery"
            else sink_call(target)
        )

    def accept(self, delivery: Delivery, found: Found) -> Receipt | Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept`."""
        accepted = proceed(self._hand_over(delivery, found))
        if is_later(accepted):
            accepted.addTimeout(self.within, reactor_unless(self._clock), onTimeoutCancel=_too_late)
        return accepted

    def accept_late(self, delivery: Delivery, found: Deferred[Found]) -> Deferred[Receipt]:
        """See :meth:`change_hooks.intake.receipt.Intake.accept_late`."""
        return found.addCallback(lambda done: self.accept(delivery, done) if done else ignored(done))

    def _hand_over(self, delivery: Delivery, found: Found) -> Steps[Receipt]:
        try:
            for item in found if self._routed.wants_all else self._items(delivery, found):
                waiting = self._call(item, None)
                if waiting is not None:
                    yield waiting
        except CancelledError:
            raise
        except Exception:
            incident = report("the sink broke", Failure())
            raise Unavailable(f"the change could not be delivered (incident {incident})") from None
        self._observer.changes_accepted(delivery.dialect, len(found), "")
        return accepted(found)

    def _items(self, delivery: Delivery, changes: list[Change]) -> Iterable[Any]:
        """The arguments of the sink's calls, in order."""
        if not self._routed.can_have(delivery):
            return []
        units = self._routed.wanted("sink", changes, delivery.dialect)
        if self._routed.per == "delivery":
            return [delivery for _ in units]
        return [self._routed.item([changes[index] for index in unit.changes]) for unit in units]


def _too_late(_: object, seconds: float) -> Any:
    log.error("the sink did not accept the change within {seconds:g} s", seconds=seconds)
    raise Unavailable("the change could not be delivered in time")


__all__ = ["ANSWER_WITHIN", "InlineIntake"]
