"""The queues that a receiver holds, as far as it knows.

Strategy: the commit of a claim may be done although its answer was lost, and then this receiver holds queues
that it does not work on. So after a claim that nobody heard of, the next one first lets go of all that is
this receiver's and not known to be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.journal import outbox
from change_hooks.journal.records import Claimed, Outcome


class Holding:
    """Claims queues, and records what became of them.

    :param owner: the name of this receiver in the journal.
    :param submit: has an operation run in the next transaction.
    """

    def __init__(self, owner: str, submit: Callable[..., Deferred[Any]]) -> None:
        self._owner = owner
        self._submit = submit
        self._held: set[tuple[str, str]] = set()
        #: How many claims are not answered yet, and whether one never was.
        self._claiming = 0
        self._is_unsure = False

    def claim(self, sinks: Sequence[str], limit: int) -> Deferred[Claimed]:
        """See :meth:`change_hooks.interfaces.IJournal.claim`."""
        settles = self._is_unsure and not self._claiming
        held = frozenset(self._held) if settles else None
        self._claiming += 1
        operation = partial(outbox.claim, owner=self._owner, sinks=sinks, limit=limit, held=held)
        claimed: Deferred[Claimed] = self._submit(operation)
        return claimed.addCallbacks(self._claimed, self._not_claimed, callbackArgs=(settles,))

    def _claimed(self, claimed: Claimed, settles: bool) -> Claimed:
        self._claiming -= 1
        if settles:
            self._is_unsure = False
        self._held |= {(work.sink, work.repository) for work in claimed.works}
        return claimed

    def _not_claimed(self, failure: Failure) -> Failure:
        self._claiming -= 1
        if failure.check(Unavailable):
            self._is_unsure = True
        return failure

    def record(self, outcomes: Sequence[Outcome]) -> Deferred[None]:
        """See :meth:`change_hooks.interfaces.IJournal.record`."""
        recorded: Deferred[None] = self._submit(partial(outbox.record, owner=self._owner, outcomes=outcomes))
        return recorded.addCallback(self._recorded, outcomes)

    def _recorded(self, _: None, outcomes: Sequence[Outcome]) -> None:
        self._held -= {(outcome.sink, outcome.repository) for outcome in outcomes}


__all__ = ["Holding"]
