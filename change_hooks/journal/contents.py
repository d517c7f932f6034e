"""Decodes deliveries and changes from the rows that store them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from lz4.block import LZ4BlockError

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.journal.chunks import document_after, document_with, read
from change_hooks.journal.compression import Packed
from change_hooks.journal.session import Row, Session

#: The columns from which a delivery is restored.
DELIVERY = "dialect, id, received, head, body, body_size, large_body"
#: The columns with its changes.
CHANGES = "changes, changes_size, large_changes"

#: The errors of decoding. Those of msgspec and of UTF-8 are ValueErrors; missing data is a TypeError.
DAMAGE = (ValueError, TypeError, LookupError, OverflowError, MemoryError, LZ4BlockError)

_decode = msgspec.json.Decoder(list[Change]).decode


class Unreadable(Exception):
    """Stored data cannot be decoded."""


def restored(session: Session, row: Row) -> Delivery:
    """The delivery in a row with the columns :data:`DELIVERY`.

    :raises Unreadable: the data is damaged.
    """
    large = row["large_body"]
    try:
        body = read(session, large) if large else Packed(row["body"], row["body_size"]).unpacked()
        return Delivery.restore(
            row["head"], body, id=row["id"], dialect=row["dialect"], received=row["received"]
        )
    except DAMAGE as error:
        raise Unreadable(f"the stored delivery cannot be read ({type(error).__name__})") from error


def changes_from(session: Session, index: int, row: Row) -> tuple[int, list[Change], int | None]:
    """Some of the changes in a row with the columns :data:`CHANGES`, including the one at *index*.

    :returns: the index of the first change, the changes, and the index of the next document, or None.
    :raises Unreadable: the data is damaged.
    """
    large = row["large_changes"]
    try:
        if not large:
            return 0, _decode(Packed(row["changes"], row["changes_size"]).unpacked()), None
        document = document_with(session, large, index)
        found = _decode(b"[%b]" % read(session, large, document))
    except DAMAGE as error:
        raise Unreadable(f"the stored changes cannot be read ({type(error).__name__})") from error
    return document, found, document_after(session, large, document)


def all_changes(session: Session, row: Row) -> Iterator[Change]:
    """All changes in a row with the columns :data:`CHANGES`.

    :raises Unreadable: the data is damaged.
    """
    index: int | None = 0 if row["changes"] or row["large_changes"] else None
    while index is not None:
        _, found, index = changes_from(session, index, row)
        yield from found


__all__ = ["CHANGES", "DELIVERY", "Unreadable", "all_changes", "changes_from", "restored"]
