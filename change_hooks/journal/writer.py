"""One thread that writes, in groups.

Strategy: a commit waits for the disk, so it is shared. What the reactor's thread submits in two turns goes to
the writer in one piece, and what arrives while one commit runs goes into the next one, as a single
transaction. The reactor's thread gets the results of a whole group in one call.
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
from change_hooks.journal.session import Operation, Session
from change_hooks.observer import NOBODY, Observer

#: When a transaction has so many operations, it takes no more in.
GROUP = 512

T = TypeVar("T")

log = Logger()

Submitted = tuple[Operation[Any], "Deferred[Any]"]


class Store(Protocol):
    """What a database has to offer. But for :meth:`reading`, it is used in the writer's thread only."""

    def transact(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Run the operations in one transaction, each given the store's session.

        :returns: the results, once they are durable.
        :raises Exception: nothing of it is stored.
        """

    def is_failure(self, error: Exception) -> bool:
        """Whether an error says that the store cannot be used now, and not that an operation is wrong."""

    def reading(self) -> Session:
        """A new connection for reading, to be used in any thread.

        :raises Exception: there is none now.
        """

    def close(self) -> None:
        """Let go of the database; the next transaction opens it again."""


class Writer:
    """Runs operations on a store in a thread of its own, in the order they came.

    :param store: the database.
    :param to_reactor: runs a function in the reactor's thread: ``reactor.callFromThread``.
    :param soon: runs a function at the end of the reactor's turn; at once when it is None.
    :param observer: told of each group.
    """

    def __init__(
        self,
        store: Store,
        to_reactor: Callable[..., Any],
        soon: Callable[[Callable[[], None]], Any] | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self._store = store
        self._to_reactor = to_reactor
        self._soon = soon
        self._observer = observer
        self._submitted: list[Submitted] = []
        self._queue: SimpleQueue[list[Submitted] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._ended = False

    def start(self) -> None:
        """Start the thread."""
        self._ended = False
        self._thread = Thread(target=self._run, name="change_hooks journal", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Deferred[T]:
        """Have *operation* run in the next transaction.

        :returns: fires with its result when it is durable; fails with
            :class:`~change_hooks.core.errors.Unavailable` when the database cannot be used, and after
            :meth:`stop`; with the operation's own error when it is to blame.
        """
        if self._ended:
            return fail(Unavailable("the journal is closed"))
        deferred: Deferred[T] = Deferred()
        self._submitted.append((operation, deferred))
        if self._soon is None:
            self._pass_on()
        elif len(self._submitted) == 1:
            # When deliveries come thick and fast, the next turn brings more for the same commit.
            self._soon(partial(self._soon, self._pass_on))
        return deferred

    def _pass_on(self) -> None:
        submitted, self._submitted = self._submitted, []
        if submitted:
            self._queue.put(submitted)

    def stop(self) -> Deferred[None]:
        """Finish what was submitted, and end the thread. Fires when that is done."""
        self._ended = True
        closed: Deferred[None] = Deferred()
        self._submitted.append((_CLOSE, closed))
        self._pass_on()
        self._queue.put(None)
        return closed

    def _run(self) -> None:
        while self.run_group():
            pass

    def run_group(self) -> bool:
        """Wait for an operation, and run it with all that are there by then; False when told to end."""
        first = self._queue.get()
        if first is None:
            return False
        group = first
        while len(group) < GROUP and not self._queue.empty():
            following = self._queue.get()
            if following is None:
                self._run_operations(group)
                return False
            group += following
        self._run_operations(group)
        return True

    def _run_operations(self, group: list[Submitted]) -> None:
        closing = [deferred for operation, deferred in group if operation is _CLOSE]
        group = [(operation, deferred) for operation, deferred in group if operation is not _CLOSE]
        began = perf_counter()
        results = self._transact([operation for operation, _ in group])
        seconds = perf_counter() - began
        if closing:
            self._store.close()
        fired = [(deferred, result) for (_, deferred), result in zip(group, results, strict=True)]
        fired += [(deferred, None) for deferred in closing]
        self._to_reactor(self._fire, fired, results, seconds)

    def _transact(self, operations: list[Operation[Any]]) -> list[Any]:
        if not operations:
            return []
        try:
            return self._store.transact(operations)
        except Exception as error:
            if self._store.is_failure(error):
                # It would fail for each of them, and each would have to wait for that.
                return _unavailable(error, len(operations))
            if len(operations) == 1:
                return [Failure(error)]
        # One of them is to blame; the others shall not suffer for it.
        results: list[Any] = []
        for operation in operations:
            try:
                results += self._store.transact([operation])
            except Exception as error:
                if self._store.is_failure(error):
                    return results + _unavailable(error, len(operations) - len(results))
                results.append(Failure(error))
        return results

    def _fire(self, fired: list[tuple[Deferred[Any], Any]], results: list[Any], seconds: float) -> None:
        """In the reactor's thread: say how the group went, and hand out its results."""
        if results and all(isinstance(result, Failure) and result.check(Unavailable) for result in results):
            self._observer.journal_unavailable()
        elif results:
            self._observer.journal_committed(seconds)
        for deferred, result in fired:
            deferred.callback(result)


def _unavailable(error: Exception, operations: int) -> list[Failure]:
    log.error("the journal cannot be written: {error}", error=error)
    return [Failure(Unavailable("the journal cannot be written now")) for _ in range(operations)]


def _CLOSE(cursor: Any) -> None:
    """Never called."""


__all__ = ["GROUP", "Store", "Writer"]
