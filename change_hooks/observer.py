"""Events of a running receiver, for metrics and alarms.

Strategy: the endpoint, the dispatcher and the journal's writer each have one observer, and call it in the
reactor's thread with plain values. They know nothing of metrics or alarms; those are observers, combined in
one :class:`Observers`. Without observers, a call costs no more than a method call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from change_hooks.incidents import report

#: The outcome of a request to an endpoint.
Answered = Literal["accepted", "ignored", "duplicate", "refused", "unavailable", "broken"]
#: The outcome of an attempt to deliver a unit to a sink; ``refused``: the sink will never accept it.
AttemptOutcome = Literal["taken", "failed", "refused", "timeout"]


class Observer:
    """Is called for each event, in the reactor's thread. Does nothing; subclasses override its methods."""

    def delivery_answered(
        self, endpoint: str, event: str, outcome: Answered, seconds: float | None, changes: int
    ) -> None:
        """A request has been answered.

        :param endpoint: the name of its endpoint; if there is no such endpoint, the name in the URL.
        :param event: the forge's name of the event; empty if the handler does not know it.
        :param seconds: the time until the response; None: the request was refused before it reached an
            endpoint.
        :param changes: how many changes were found; 0 while they are still being looked up.
        """

    def changes_accepted(self, endpoint: str, changes: int, way: str) -> None:
        """Changes have been stored or, without a journal, delivered to the sink.

        :param way: how they were recovered; empty: they were sent.
        """

    def attempt_made(self, sink: str, outcome: AttemptOutcome, seconds: float, error: str) -> None:
        """A sink was called with a unit.

        :param error: empty if the sink accepted it.
        """

    def signature_unchecked(self, endpoint: str) -> None:
        """A delivery had a signature, and the endpoint has no secret to check it with."""

    def dead_letter(self, sink: str, error: str) -> None:
        """A unit has become a dead letter.

        :param error: why the last attempt failed.
        """

    def recovered(self, endpoint: str, way: str) -> None:
        """A delivery that never arrived, or could not be accepted, was fetched or sent again.

        :param endpoint: the endpoint's name.
        :param way: how: ``redelivered``, ``api-replay``, ``push-log`` or ``heads``.
        """

    def journal_committed(self, seconds: float) -> None:
        """A transaction was written to the journal.

        :param seconds: how long the transaction took.
        """

    def journal_unavailable(self) -> None:
        """An entire transaction could not be stored."""


NOBODY = Observer()


class Observers(Observer):
    """Calls each of several observers. An error in one is logged, and stops neither the others nor the
    delivery.
    """

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Also call *observer* from now on."""
        self._observers.append(observer)

    def _tell(self, of: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                of(observer)
            except Exception:
                report("an observer broke")

    def delivery_answered(
        self, endpoint: str, event: str, outcome: Answered, seconds: float | None, changes: int
    ) -> None:
        """See :meth:`Observer.delivery_answered`."""
        self._tell(lambda each: each.delivery_answered(endpoint, event, outcome, seconds, changes))

    def changes_accepted(self, endpoint: str, changes: int, way: str) -> None:
        """See :meth:`Observer.changes_accepted`."""
        self._tell(lambda each: each.changes_accepted(endpoint, changes, way))

    def attempt_made(self, sink: str, outcome: AttemptOutcome, seconds: float, error: str) -> None:
        """See :meth:`Observer.attempt_made`."""
        self._tell(lambda each: each.attempt_made(sink, outcome, seconds, error))

    def signature_unchecked(self, endpoint: str) -> None:
        """See :meth:`Observer.signature_unchecked`."""
        self._tell(lambda each: each.signature_unchecked(endpoint))

    def dead_letter(self, sink: str, error: str) -> None:
        """See :meth:`Observer.dead_letter`."""
        self._tell(lambda each: each.dead_letter(sink, error))

    def recovered(self, endpoint: str, way: str) -> None:
        """See :meth:`Observer.recovered`."""
        self._tell(lambda each: each.recovered(endpoint, way))

    def journal_committed(self, seconds: float) -> None:
        """See :meth:`Observer.journal_committed`."""
        self._tell(lambda each: each.journal_committed(seconds))

    def journal_unavailable(self) -> None:
        """See :meth:`Observer.journal_unavailable`."""
        self._tell(lambda each: each.journal_unavailable())


__all__ = ["NOBODY", "Answered", "AttemptOutcome", "Observer", "Observers"]
