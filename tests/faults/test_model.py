"""The journal in PostgreSQL, against the model that every journal is run against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from change_hooks.journal.postgresql import PostgreSQLStore, connect, connect_to_read
from change_hooks.journal.reader import Reader

from ..journal.model import JournalMachine
from ..support.lossy import LossyStore
from ..support.services import database
from .load import SECONDS

#: How many runs; more by hand.
EXAMPLES = max(5, int(SECONDS / 5))
TABLES = "deliveries, queues, entries, dead_letters, attempts, wishes, memory, large, pieces"


class PostgreSQLMachine(JournalMachine):
    """Each run begins with empty tables."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._reading = connect_to_read(self.url)
        connection = connect(self.url)
        connection.execute("SET search_path = change_hooks")
        connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
        connection.close()

    def store(self) -> LossyStore:
        return LossyStore(PostgreSQLStore(self.url))

    def reader(self) -> Reader:
        return Reader(self._reading)

    def teardown(self) -> None:
        super().teardown()
        self._reading.close()


@pytest.fixture(scope="module")
def machine() -> Iterator[type[PostgreSQLMachine]]:
    with database() as url:
        connect(url).close()
        PostgreSQLMachine.url = url
        yield PostgreSQLMachine


def test_postgresql_does_what_every_journal_does(machine: type[PostgreSQLMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=40, report_multiple_bugs=False),
    )
