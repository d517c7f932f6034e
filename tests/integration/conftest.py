"""A server for each test; what drives real programs is marked so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.programs import PATIENCE, Server, configure, eventually, free_port, program, servers

__all__ = ["PATIENCE", "Server", "configure", "eventually", "free_port", "program"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts ``change-hooks serve`` with a configuration, in the test's folder."""
    with servers(tmp_path) as start:
        yield start
