"""The thread that writes, in groups of operations.

Strategy: a commit waits for the disk, so it is shared. The operations that the reactor's thread submits in
two turns are passed to the writer together, and those that arrive during a commit go into the next one, as a
single transaction. The reactor's thread gets the results of a whole group in one call. It does not wait for
them forever: see ``patience``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.journal.patience import HANGS, Patience
from change_hooks.journal.session import Operation, Session
from change_hooks.observer import NOBODY, Observer

#: The most operations in a transaction.
GROUP = 512

T = TypeVar("T")

log = Logger()

Submitted = tuple[Operation[Any], "Deferred[Any]"]


class Store(Protocol):
    """The interface of a database. Except for :meth:`reading`, it is used in the writer's thread only."""

    def transact(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Run the operations in one transaction, each with the store's session.

        :returns: the results, once they are durable.
        :raises Exception: nothing was stored.
        """

    def is_failure(self, error: Exception) -> bool:
        """Whether an error means that the store is unavailable, rather than that an operation is wrong."""

    def reading(self) -> Session:
        """A new connection for reading, to be used in any thread.

        :raises Exception: the database is not available now.
        """

    def close(self) -> None:
        """Close the database; the next transaction opens it again."""

    def break_off(self) -> None:
        """Make a blocked transaction fail, if that is possible. Called in another thread."""


class Writer:
    """Runs operations on a store in a thread of its own, in the order in which they are submitted.

    :param store: the database.
    :param to_reactor: runs a function in the reactor's thread: ``reactor.callFromThread``.
    :param later: runs a function in the reactor's thread after a number of seconds: ``reactor.callLater``.
        None: operations are passed on at once, and waited for without limit.
    :param observer: notified of each group.
    """

    def __init__(
        self,
        store: Store,
        to_reactor: Callable[..., Any],
        later: Callable[..., Any] | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        #: The database.
        self.store = store
        self._to_reactor = to_reactor
        self._later = later
        self._observer = observer
        self._patience = Patience(later, self._overdue, self._hangs)
        self._submitted: list[Submitted] = []
        self._queue: SimpleQueue[list[Submitted] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closing: list[Deferred[None]] = []
        self._ended = False
        self._is_down = False

    def start(self) -> None:
        """Start the thread."""
        self._ended = False
        self._thread = Thread(target=self._run, name="change_hooks journal", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Deferred[T]:
        """Run *operation* in the next transaction.

        :returns: fires with its result once that is durable; fails with
            :class:`~change_hooks.core.errors.Unavailable` if the database cannot be used or does not respond
            in time, and after :meth:`stop`; with the operation's own error if the operation is wrong.
        """
        if self._ended:
            return fail(Unavailable("the journal is closed"))
        if self._patience.exhausted:
            return fail(_cannot_be_written())
        deferred: Deferred[T] = Deferred()
        self._submitted.append((operation, deferred))
        if self._later is None:
            self._pass_on()
        elif len(self._submitted) == 1:
            # If deliveries arrive in quick succession, the next turn brings more for the same commit.
            self._later(0, partial(self._later, 0, self._pass_on))
        return deferred

    def _pass_on(self) -> None:
        submitted, self._submitted = self._submitted, []
        if submitted:
            self._patience.give([deferred for _, deferred in submitted])
            self._queue.put(submitted)

    def _overdue(self, deferreds: list[Deferred[Any]]) -> None:
        if not self._patience.exhausted:
            log.error("the journal does not respond; deliveries get a 503 until it does")
            self._is_down = True
            self._observer.journal_unavailable()
        for deferred in deferreds:
            if deferred in self._closing:
                log.error("the journal was not closed in time; its last writes may not be stored")
                deferred.callback(None)
            else:
                deferred.errback(_cannot_be_written())

    def _hangs(self) -> None:
        log.error("the journal has not responded for {seconds:.0f} s", seconds=HANGS)
        self.store.break_off()

    def stop(self) -> Deferred[None]:
        """Finish the submitted operations, and end the thread. Fires when that is done, or takes too long."""
        self._ended = True
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        self._submitted.append((_CLOSE, closed))
        self._pass_on()
        self._queue.put(None)
        return closed

    def _run(self) -> None:
        while self.run_group():
            pass

    def run_submitted(self) -> bool:
        """Run everything that was submitted in the caller's thread; for a writer without a thread of its own.
        Returns False if there was nothing.
        """
        is_idle = self._queue.empty()
        while not self._queue.empty():
            self.run_group()
        return not is_idle

    def run_group(self) -> bool:
        """Wait for an operation, and run it with all others submitted by then. Returns False to end."""
        first = self._queue.get()
        if first is None:
            return False
        group, pieces, goes_on = list(first), 1, True
        while goes_on and len(group) < GROUP and not self._queue.empty():
            following = self._queue.get()
            if following is None:
                goes_on = False
            else:
                group += following
                pieces += 1
        self._run_operations(group, pieces)
        return goes_on

    def _run_operations(self, group: list[Submitted], pieces: int) -> None:
        closing = [deferred for operation, deferred in group if operation is _CLOSE]
        # Skip operations whose callers have already been told that they failed.
        group = [each for each in group if each[0] is not _CLOSE and not each[1].called]
        began = perf_counter()
        results = self._transact([operation for operation, _ in group])
        seconds = perf_counter() - began
        if closing:
            self.store.close()
        fired = [(deferred, result) for (_, deferred), result in zip(group, results, strict=True)]
        fired += [(deferred, None) for deferred in closing]
        self._to_reactor(self._fire, fired, results, seconds, pieces)

    def _transact(self, operations: list[Operation[Any]]) -> list[Any]:
        if not operations:
            return []
        try:
            return self.store.transact(operations)
        except Exception as error:
            if self.store.is_failure(error):
                # Each of them would fail alone, too, and each would have to wait for that.
                return _unavailable(error, len(operations))
            if len(operations) == 1:
                return [Failure(error)]
        # One of them is wrong; the others must not fail because of it.
        results: list[Any] = []
        for operation in operations:
            try:
                results += self.store.transact([operation])
            except Exception as error:
                if self.store.is_failure(error):
                    return results + _unavailable(error, len(operations) - len(results))
                results.append(Failure(error))
        return results

    def _fire(
        self, fired: list[tuple[Deferred[Any], Any]], results: list[Any], seconds: float, pieces: int
    ) -> None:
        """In the reactor's thread: report the outcome of the group, and pass on its results.

        :param pieces: how many batches were passed on for it.
        """
        self._patience.take_back(pieces)
        if self._ended:
            self._patience.end()
        if results and all(isinstance(result, Failure) and result.check(Unavailable) for result in results):
            self._is_down = True
            self._observer.journal_unavailable()
        elif results:
            if self._is_down:
                log.info("the journal can be written again")
                self._is_down = False
            self._observer.journal_committed(seconds)
        for deferred, result in fired:
            if not deferred.called:
                deferred.callback(result)


def _unavailable(error: Exception, operations: int) -> list[Failure]:
    log.error("the journal cannot be written: {error}", error=error)
    return [Failure(_cannot_be_written()) for _ in range(operations)]


def _cannot_be_written() -> Unavailable:
    return Unavailable("the journal cannot be written now")


def _CLOSE(cursor: Any) -> None:
    """Never called."""


__all__ = ["GROUP", "Store", "Writer"]
