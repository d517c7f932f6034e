"""A sink, or whatever else is called and waited for, that answers when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred


class Waiting:
    """Holds the Deferreds that it has returned, one for each call, whatever it was called with."""

    def __init__(self) -> None:
        self._returned: list[Deferred[Any]] = []

    def __call__(self, *arguments: Any, **keywords: Any) -> Deferred[Any]:
        self._returned.append(Deferred())
        return self._returned[-1]

    def __getitem__(self, call: int) -> Deferred[Any]:
        return self._returned[call]

    def __len__(self) -> int:
        return len(self._returned)

    def __iter__(self) -> Iterator[Deferred[Any]]:
        return iter(self._returned)
