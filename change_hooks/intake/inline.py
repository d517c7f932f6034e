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
from change_hooks.sinks.base import sink_call


class InlineIntake:
    """Calls a sink before the answer, one change after the other; the plain embedded resource.

    :param sink: an :class:`~change_hooks.interfaces.IChangeSink`, or a callable that takes a change.
    """

    def __init__(self, sink: Any) -> None:
        self._call = sink_call(sink)

    def in_time(self, delivery: Delivery, found: Deferred[Any]) -> Deferred[Any]:
        """Nothing is stored, so there is no later: see :meth:`Intake.in_time`."""
        return found

    def take(self, delivery: Delivery, changes: list[Change]) -> Any:
        """See :meth:`Intake.take`."""
        remaining = iter(changes)
        try:
            for change in remaining:
                result = self._call(change, None)
                if result is not None:
                    return self._take_later(result, remaining)
        except Exception:
            raise self._refused(Failure()) from None
        return TAKEN

    def _take_later(self, first: Any, remaining: Iterable[Change]) -> Deferred[Taken]:
        @inlineCallbacks
        def one_by_one() -> Any:
            yield as_deferred(first)
            for change in remaining:
                yield as_deferred(self._call(change, None))
            return TAKEN

        return one_by_one().addErrback(self._refused_later)

    def _refused_later(self, failure: Failure) -> NoReturn:
        raise self._refused(failure)

    def _refused(self, failure: Failure) -> Unavailable:
        incident = report("the sink broke", failure)
        return Unavailable(f"the change could not be handed on (incident {incident})")


__all__ = ["InlineIntake"]
