"""Servers and sinks for each test; what drives real programs is marked so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.programs import Server, folder_for_others, servers
from .databases import PostgreSQL
from .recorder import Recorder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts ``change-hooks serve`` with a configuration, in the test's folder."""
    with servers(tmp_path) as start:
        yield start


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


@pytest.fixture
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of the test's own."""
    with folder_for_others() as folder, PostgreSQL(folder) as server:
        yield server
