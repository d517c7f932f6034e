"""A store whose answers may be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from change_hooks.journal.session import Operation, Session
from change_hooks.journal.writer import Store

#: When a transaction fails: before anything is done, or when all of it has been.
Loses = Literal["", "before", "after"]


class LossyStore:
    """Passes all on to *store*. The next transaction fails as *loses* says."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.loses: Loses = ""

    def transact(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        loses, self.loses = self.loses, ""
        if loses == "before":
            raise OSError("it was not done")
        results = self.store.transact(operations)
        if loses == "after":
            raise OSError("the answer was lost")
        return results

    def is_failure(self, error: Exception) -> bool:
        return self.store.is_failure(error)

    def reading(self) -> Session:
        return self.store.reading()

    def close(self) -> None:
        self.store.close()

    def break_off(self) -> None:
        self.store.break_off()
