"""Whether the server is alive, and whether it can accept deliveries.

Strategy: the server is ready if it has started, is not draining, and can write its journal. A transaction
within the last second is sufficient evidence; otherwise one is made, and concurrent requests share it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from change_hooks.interfaces import IJournal
from change_hooks.observer import Observer
from change_hooks.web.answers import Answer, write_answer, write_answer_with_length

#: How long a transaction counts as evidence that the journal can be written, in seconds.
FRESH = 1.0
#: How long the journal may take for a transaction, in seconds.
WITHIN = 3.0
#: The name that the transaction writes.
PROBE = "ready"

STARTING = "starting"
DRAINING = "shutting down"


class Health(Observer):
    """Knows the state of the server.

    :param journal: None: there is none, so it cannot fail.
    :param clock: the reactor, or a clock in tests.
    """

    def __init__(self, journal: IJournal | None, clock: IReactorTime) -> None:
        #: Why the server accepts nothing now; empty: it does.
        self.state = STARTING
        self._journal = journal
        self._clock = clock
        self._written: float | None = None
        self._asking: list[Deferred[str]] | None = None

    def journal_committed(self, seconds: float) -> None:
        """See :meth:`~change_hooks.observer.Observer.journal_committed`."""
        self._written = self._clock.seconds()

    def journal_unavailable(self) -> None:
        """See :meth:`~change_hooks.observer.Observer.journal_unavailable`."""
        self._written = None

    def problem(self) -> Deferred[str]:
        """Why the server cannot accept deliveries; empty if it can."""
        if self.state or self._journal is None:
            return succeed(self.state)
        if self._written is not None and self._clock.seconds() < self._written + FRESH:
            return succeed("")
        answer: Deferred[str] = Deferred()
        if self._asking is not None:
            self._asking.append(answer)
            return answer
        self._asking = [answer]
        # If it takes too long, the transaction continues: it cannot be cancelled.
        written: Deferred[Any] = Deferred()
        self._journal.remember(PROBE, b"").addCallbacks(written.callback, lambda _: written.callback(_FULL))
        written.addTimeout(WITHIN, self._clock).addCallbacks(lambda found: found or "", _late)
        written.addCallback(self._tell)
        return answer

    def _tell(self, problem: str) -> None:
        asking, self._asking = self._asking or [], None
        if not problem:
            self._written = self._clock.seconds()
        for answer in asking:
            answer.callback(problem)


_FULL = "the journal cannot be written"


def _late(failure: Failure) -> str:
    failure.trap(DeferredTimeout)
    return "the journal does not respond"


class Alive(Resource):
    """``/healthz``: responds as long as the server does at all."""

    isLeaf = True

    def render_GET(self, request: IRequest) -> bytes:
        """Respond with 200."""
        return write_answer(request, Answer(200, "alive"))


class Ready(Resource):
    """``/readyz``: 200 if the server can accept deliveries, otherwise 503 with the reason."""

    isLeaf = True

    def __init__(self, problem: Callable[[], Deferred[str]]) -> None:
        super().__init__()
        self._problem = problem

    def render_GET(self, request: Any) -> int:
        """Check, and respond."""
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def answer(problem: str) -> None:
            if not gone:
                said = Answer(503, problem) if problem else Answer(200, "ready")
                request.write(write_answer_with_length(request, said))
                request.finish()

        self._problem().addCallback(answer)
        return NOT_DONE_YET


__all__ = ["DRAINING", "PROBE", "STARTING", "Alive", "Health", "Ready"]
