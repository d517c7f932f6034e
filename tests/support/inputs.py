"""How many inputs the tests try that try thousands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

#: Whether a part of the inputs is enough, as in ``nox``, since the README's test command has tried them all.
FEW = os.environ.get("CHANGE_HOOKS_TEST_INPUTS") == "few"


def tried(values: Sequence[T], number: int) -> Sequence[T]:
    """All values; where a part is enough, each in its turn: one for each *number*."""
    return [values[number % len(values)]] if FEW else values
