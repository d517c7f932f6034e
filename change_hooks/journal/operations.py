"""Operations that are run together: consecutive deliveries are stored with one statement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from change_hooks.journal.chunks import Piece, store
from change_hooks.journal.deliveries import SMALL, Append, append
from change_hooks.journal.session import ROWS, Operation, Session


class Bring(msgspec.Struct, frozen=True):
    """The operation that stores a piece of the data *name*."""

    name: str
    piece: Piece

    def __call__(self, session: Session) -> None:
        """Store the piece."""
        store(session, self.name, self.piece)

    @property
    def size(self) -> int:
        """The approximate number of bytes that are written."""
        return SMALL + len(self.piece.data)


def run_operations(session: Session, operations: Sequence[Operation[Any]]) -> list[Any]:
    """Run operations one after the other, except that consecutive deliveries are stored together."""
    results: list[Any] = []
    for alike, group in groupby(operations, lambda operation: isinstance(operation, Append)):
        if alike:
            appends: list[Any] = list(group)
            for first in range(0, len(appends), ROWS):
                results += append(session, appends[first : first + ROWS])
        else:
            results += [operation(session) for operation in group]
    return results


def is_one_statement(operations: Sequence[Operation[Any]]) -> bool:
    """Whether the operations need no transaction, since each statement stores what belongs together."""
    return len(operations) <= ROWS and all(
        isinstance(operation, Append) and not operation.queues for operation in operations
    )


def size(operations: Sequence[Operation[Any]]) -> int:
    """The approximate number of bytes that operations write."""
    return sum(getattr(operation, "size", SMALL) for operation in operations)


__all__ = ["Bring", "is_one_statement", "run_operations", "size"]
