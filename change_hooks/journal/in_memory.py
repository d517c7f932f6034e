"""A journal in memory, for tests: the statements of the embedded one, in a database without a file.

Strategy: every request is done in the caller's thread, before the caller gets its Deferred, so a test has
nothing to wait for. Everything else is shared with the other journals.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from change_hooks.interfaces import IJournal
from change_hooks.journal.facade import SQLJournal
from change_hooks.journal.operations import run_operations
from change_hooks.journal.reader import Reader
from change_hooks.journal.reading import LookUp
from change_hooks.journal.session import Operation
from change_hooks.journal.sqlite import Connection, SQLiteStore, migrate
from change_hooks.journal.writer import Writer
from change_hooks.observer import NOBODY, Observer

T = TypeVar("T")


class MemoryConnection(Connection):
    """See :class:`change_hooks.journal.session.Session`."""

    def bytes(self) -> int:
        """See :meth:`change_hooks.journal.session.Session.bytes`."""
        (pages,) = self.execute("PRAGMA page_count").fetchone()
        (size,) = self.execute("PRAGMA page_size").fetchone()
        return int(pages * size)


class MemoryStore:
    """The database. It exists as long as anybody refers to it, even if it was closed in between.

    :param clock: the clock of the leases, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, factory=MemoryConnection
        )
        self.connection.row_factory = sqlite3.Row
        self.connection.clock = clock
        migrate(self.connection)

    def transact(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """See :class:`~change_hooks.journal.writer.Store`."""
        with self.connection.together():
            return run_operations(self.connection, operations)

    @staticmethod
    def is_failure(error: Exception) -> bool:
        """See :meth:`change_hooks.journal.writer.Store.is_failure`."""
        return SQLiteStore.is_failure(error)

    def reading(self) -> Connection:
        """See :meth:`change_hooks.journal.writer.Store.reading`."""
        return self.connection

    def close(self) -> None:
        """Keep everything, because a test may restart its receiver."""

    def break_off(self) -> None:
        """Do nothing: no operation takes long."""


class WriterAtOnce(Writer):
    """Runs an operation before :meth:`submit` returns."""

    def start(self) -> None:
        """Do nothing: no thread is needed."""
        self._ended = False

    def _pass_on(self) -> None:
        super()._pass_on()
        self.run_submitted()


@implementer(IJournal)
class MemoryJournal(SQLJournal):
    """A journal that keeps everything in memory, and answers immediately.

    :param store: another journal's store, for a second receiver on it.
    :param clock: the clock of the leases (``clock.seconds``); the machine's clock by default.
    :param observer: notified of each transaction.
    :param service: the name of the service that uses it.
    :param writer: the class that runs the operations.
    """

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        observer: Observer = NOBODY,
        service: str = "",
        writer: type[Writer] = WriterAtOnce,
    ) -> None:
        self.store = store or MemoryStore(clock)
        super().__init__(
            self.store, lambda call, *args: call(*args), None, observer, service=service, writer=writer
        )

    def read(self, look_up: LookUp[T]) -> Deferred[T]:
        """See :meth:`change_hooks.interfaces.IJournal.read`."""
        return execute(look_up, self.reader())

    def reader(self) -> Reader:
        """A reader of what is stored."""
        return Reader(self.store.connection)


__all__ = ["MemoryJournal", "MemoryStore"]
