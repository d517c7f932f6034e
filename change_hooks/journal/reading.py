"""A thread that reads, besides the one that writes.

Strategy: showing a journal's contents means reading many rows, which must hold up neither the reactor nor a
delivery. So a look-up is a function of a :class:`~change_hooks.journal.reader.Reader`, which runs in a
separate thread, on a separate connection, and may also render the result there.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from change_hooks.core.errors import Unavailable
from change_hooks.journal.patience import PATIENCE, Patience
from change_hooks.journal.reader import Reader
from change_hooks.journal.writer import Store

#: After how long the journal is reopened, in seconds: its file may have been replaced.
REOPEN = 60.0

#: How long a look-up may take, in seconds.
READ_WITHIN = 10.0

T = TypeVar("T")
#: A look-up that returns a T.
LookUp = Callable[[Reader], T]

log = Logger()


class ReadingThread:
    """Runs look-ups, one after another. The first one starts the thread.

    :param store: the database.
    :param to_reactor: runs a function in the reactor's thread: ``reactor.callFromThread``.
    :param later: runs a function in the reactor's thread after a number of seconds; None: wait for a look-up
        without limit.
    """

    def __init__(
        self, store: Store, to_reactor: Callable[..., Any], later: Callable[..., Any] | None = None
    ) -> None:
        self._store = store
        self._to_reactor = to_reactor
        self._queue: SimpleQueue[tuple[LookUp[Any] | None, Deferred[Any]]] = SimpleQueue()
        self._thread: Thread | None = None
        self._session: Any = None
        self._later = later
        self._patience = Patience(later, _overdue, self._hangs, READ_WITHIN)
        self._opened = 0.0
        self._ended = False

    def start(self) -> None:
        """Accept look-ups, also after :meth:`stop`."""
        self._ended = False

    def submit(self, look_up: LookUp[T]) -> Deferred[T]:
        """Run *look_up* in the thread.

        :returns: fires with its result; fails with :class:`~change_hooks.core.errors.Unavailable` if the
            journal cannot be read, and after :meth:`stop`; otherwise with the look-up's own error.
        """
        if self._ended:
            return fail(Unavailable("the journal is closed"))
        if self._patience.exhausted:
            return fail(_cannot_be_read())
        if self._thread is None:
            self._thread = Thread(target=self._run, name="change_hooks reader", daemon=True)
            self._thread.start()
        deferred: Deferred[T] = Deferred()
        self._give(look_up, deferred)
        return deferred

    def _give(self, look_up: LookUp[Any] | None, deferred: Deferred[Any]) -> None:
        self._patience.give([deferred])
        self._queue.put((look_up, deferred))

    def _hangs(self) -> None:
        session = self._session
        if session is not None:
            session.break_off()

    def stop(self) -> Deferred[None]:
        """Finish the submitted look-ups, and end the thread. Fires when that is done, or after
        :data:`PATIENCE` seconds.
        """
        self._ended = True
        if self._thread is None:
            return succeed(None)
        self._thread = None
        ended: Deferred[None] = Deferred()
        self._give(None, ended)
        if self._later is not None:
            late = self._later(PATIENCE, self._leave, ended)
            ended.addBoth(self._left, late)
        return ended

    def _leave(self, ended: Deferred[None]) -> None:
        """Stop waiting for the thread."""
        self._hangs()
        ended.callback(None)

    def _left(self, _: Any, late: IDelayedCall) -> None:
        """The thread has ended, or is no longer waited for; stop watching it."""
        if late.active():
            late.cancel()

    def _run(self) -> None:
        while True:
            look_up, deferred = self._queue.get()
            # Skip a look-up whose caller has already been told that it failed.
            result = None if look_up is None or deferred.called else self._result(look_up)
            if look_up is None:
                self._disconnect()
            self._to_reactor(self._fire, deferred, result)
            if look_up is None:
                return

    def _fire(self, deferred: Deferred[Any], result: Any) -> None:
        self._patience.take_back(1)
        if self._ended:
            self._patience.end()
        if not deferred.called:
            deferred.callback(result)

    def _result(self, look_up: LookUp[Any]) -> Any:
        try:
            if monotonic() > self._opened + REOPEN:
                self._disconnect()
            if self._session is None:
                self._session = self._store.reading()
                self._opened = monotonic()
            return look_up(Reader(self._session))
        except Exception as error:
            self._disconnect()
            if isinstance(error, FileNotFoundError) or self._store.is_failure(error):
                log.error("the journal cannot be read: {error}", error=error)
                return Failure(_cannot_be_read())
            return Failure(error)

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _overdue(deferreds: list[Deferred[Any]]) -> None:
    log.error("the journal cannot be read: it does not respond")
    for deferred in deferreds:
        deferred.errback(_cannot_be_read())


def _cannot_be_read() -> Unavailable:
    return Unavailable("the journal cannot be read now")


__all__ = ["LookUp", "ReadingThread"]
