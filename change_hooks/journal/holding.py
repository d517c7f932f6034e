"""The queues and pending deliveries that a receiver knows that it holds.

Strategy: a commit may succeed although its response was lost; then this receiver holds something that it does
not work on. So after a lost response, the next claim first releases everything that belongs to this receiver
without its knowledge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.journal import outbox
from change_hooks.journal.pending import hold_pending
from change_hooks.journal.records import Appended, Claimed, Outcome, Pending

T = TypeVar("T")


class _Asking:
    """Counts the open claims, and remembers whether a response was lost."""

    def __init__(self) -> None:
        self._open = 0
        self._is_unsure = False

    def begin(self) -> bool:
        """Begin a claim.

        :returns: True: this claim must release what this receiver holds without knowing. Never while another
            claim is open, because its result is not known yet.
        """
        settles = self._is_unsure and not self._open
        self._open += 1
        return settles

    def heard(self, settled: bool) -> None:
        """A claim was answered."""
        self._open -= 1
        if settled:
            self._is_unsure = False

    def failed(self, failure: Failure) -> Failure:
        """A claim failed; if the error is not the store's, nothing was done."""
        self._open -= 1
        if failure.check(Unavailable):
            self._is_unsure = True
        return failure


class Holding:
    """Claims queues and pending deliveries, and records their outcomes.

    :param owner: the name of this receiver in the journal.
    :param submit: runs an operation in the next transaction.
    :param service: the name of the service whose pending deliveries are claimed.
    """

    def __init__(self, owner: str, submit: Callable[..., Deferred[Any]], service: str = "") -> None:
        self._owner = owner
        self._submit = submit
        self._service = service
        self._queues: set[tuple[str, str]] = set()
        self._claims = _Asking()
        self._pending: set[int] = set()
        self._pending_asked = _Asking()

    # Queues.

    def claim(self, sinks: Sequence[str], limit: int) -> Deferred[Claimed]:
        """See :meth:`change_hooks.interfaces.IJournal.claim`."""
        settles = self._claims.begin()
        held = frozenset(self._queues) if settles else None
        operation = partial(outbox.claim, owner=self._owner, sinks=sinks, limit=limit, held=held)
        claimed: Deferred[Claimed] = self._submit(operation)
        return claimed.addCallbacks(self._claimed, self._claims.failed, callbackArgs=(settles,))

    def _claimed(self, claimed: Claimed, settles: bool) -> Claimed:
        self._claims.heard(settles)
        self._queues |= {(work.sink, work.repository) for work in claimed.works}
        return claimed

    def record(self, outcomes: Sequence[Outcome]) -> Deferred[None]:
        """See :meth:`change_hooks.interfaces.IJournal.record`."""
        recorded: Deferred[None] = self._submit(partial(outbox.record, owner=self._owner, outcomes=outcomes))
        return recorded.addCallback(self._recorded, outcomes)

    def _recorded(self, _: None, outcomes: Sequence[Outcome]) -> None:
        self._queues -= {(outcome.sink, outcome.repository) for outcome in outcomes}

    # Pending deliveries.

    def postponed(self, store: Callable[[], Deferred[Appended]]) -> Deferred[Appended]:
        """Store a delivery, which this receiver then holds."""
        self._pending_asked.begin()
        return store().addCallbacks(self._stored, self._pending_asked.failed)

    def _stored(self, appended: Appended) -> Appended:
        self._pending_asked.heard(settled=False)
        if not appended.duplicate:
            self._pending.add(appended.seq)
        return appended

    def pending(self, limit: int) -> Deferred[list[Pending]]:
        """See :meth:`change_hooks.interfaces.IJournal.pending`."""
        settles = self._pending_asked.begin()
        held = frozenset(self._pending) if settles else None
        operation = partial(hold_pending, owner=self._owner, limit=limit, service=self._service, held=held)
        found: Deferred[list[Pending]] = self._submit(operation)
        return found.addCallbacks(self._found, self._pending_asked.failed, callbackArgs=(settles,))

    def _found(self, found: list[Pending], settles: bool) -> list[Pending]:
        self._pending_asked.heard(settles)
        self._pending |= {each.seq for each in found}
        return found

    def done_with(self, seq: int, done: Deferred[T]) -> Deferred[T]:
        """The same Deferred; once it fires, this receiver no longer holds the pending delivery."""

        def let_go(result: T) -> T:
            self._pending.discard(seq)
            return result

        return done.addCallback(let_go)


__all__ = ["Holding"]
