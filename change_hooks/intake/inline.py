"""The plain embedded resource: a sink called before the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.failure import Failure

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.core.errors import Unavailable
from change_hooks.flow import as_deferred
from change_hooks.incidents import report
from change_hooks.intake.receipt import TAKEN, Taken
from change_hooks.outbox.routing import RoutedSink
from change_hooks.outbox.sink_options import routed
from change_hooks.sinks.base import sink_call


class InlineIntake:
    """Calls a sink before the answer, one change after the other; the plain embedded resource.

    :param sink: an :class:`~change_hooks.interfaces.IChangeSink`, or a callable that takes a change.
    """

    def __init__(self, sink: Any) -> None:
        self._routed = sink if isinstance(sink, RoutedSink) else routed(sink, {}, 1)[0]
        target = self._routed.sink
        self._call = target.add_delivery if self._routed.per == "delivery" else sink_call(target)

    def in_time(self, delivery: Delivery, found: Deferred[Any]) -> Deferred[Any]:
        """Nothing is stored, so there is no later: see :meth:`Intake.in_time`."""
        return found

    def take(self, delivery: Delivery, changes: list[Change]) -> Any:
        """See :meth:`Intake.take`."""
        try:
            remaining = iter(self._items(delivery, changes))
            for item in remaining:
                result = self._call(*item)
                if result is not None:
                    return self._take_later(result, remaining)
        except Exception:
            raise self._refused(Failure()) from None
        return TAKEN

    def _items(self, delivery: Delivery, changes: list[Change]) -> Iterable[tuple[Any, ...]]:
        """What the sink is called with, one call after the other."""
        if self._routed.wants_all:
            return [(change, None) for change in changes]
        units = self._routed.wanted("sink", changes, delivery.dialect)
        if self._routed.per == "delivery":
            return [(delivery,) for _ in units]
        return [(self._routed.item([changes[index] for index in unit.changes]), None) for unit in units]

    def _take_later(self, first: Any, remaining: Iterable[tuple[Any, ...]]) -> Deferred[Taken]:
        @inlineCallbacks
        def one_by_one() -> Any:
            yield as_deferred(first)
            for item in remaining:
                yield as_deferred(self._call(*item))
            return TAKEN

        return one_by_one().addErrback(self._refused_later)

    def _refused_later(self, failure: Failure) -> NoReturn:
        raise self._refused(failure)

    def _refused(self, failure: Failure) -> Unavailable:
        incident = report("the sink broke", failure)
        return Unavailable(f"the change could not be handed on (incident {incident})")


__all__ = ["InlineIntake"]
