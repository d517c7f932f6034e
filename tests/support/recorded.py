"""The recorded deliveries in ``tests/recorded``; its README says how they are written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from change_hooks.plugins import installed
from change_hooks.testing import Recorded
from change_hooks.testing import recorded as recorded_in

FOLDER = Path(__file__).parents[1] / "recorded"


def recorded(dialect: str = "*", event: str = "*") -> Iterator[Recorded]:
    """Those of one dialect and event, or all, by name."""
    return recorded_in(FOLDER, dialect, event)


def load(name: str) -> Recorded:
    """The one called *name*: ``github/push__tag``."""
    return Recorded.load(FOLDER, name)


@cache
def handler_class(dialect: str) -> Any:
    """The class of a dialect's handler; the entry points are looked up once only."""
    return installed().load(dialect)
