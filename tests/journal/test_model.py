"""The embedded journals, against the model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings

from change_hooks.journal.in_memory import MemoryStore
from change_hooks.journal.reader import Reader
from change_hooks.journal.sqlite import SQLiteStore, connect, connect_to_read

from ..support.inputs import FEW
from ..support.lossy import LossyStore
from .model import JournalMachine

#: How many runs; what is rare shows in some of so many. A file takes its time.
EXAMPLES, EXAMPLES_WITH_A_FILE = (30, 10) if FEW else (150, 30)


class MemoryMachine(JournalMachine):
    """The journal in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._store = MemoryStore()

    def store(self) -> LossyStore:
        return LossyStore(self._store)

    def reader(self) -> Reader:
        return Reader(self._store.connection)


class SQLiteMachine(JournalMachine):
    """The journal in a file."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._path = Path(self._folder.name) / "journal.sqlite"
        connect(self._path).close()
        # As long as one receiver lives, leases are leases.
        self._present = SQLiteStore(self._path)
        self._present.transact([lambda session: None])
        self._reading = connect_to_read(self._path)

    def store(self) -> LossyStore:
        return LossyStore(SQLiteStore(self._path))

    def reader(self) -> Reader:
        return Reader(self._reading)

    def teardown(self) -> None:
        super().teardown()
        self._reading.close()
        self._present.close()
        self._folder.cleanup()


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=EXAMPLES, stateful_step_count=50, report_multiple_bugs=False)
TestSQLite = SQLiteMachine.TestCase
TestSQLite.settings = settings(
    max_examples=EXAMPLES_WITH_A_FILE, stateful_step_count=50, report_multiple_bugs=False
)
