"""Deliveries and changes, read from the rows in which they are stored."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from lz4.block import LZ4BlockError

from change_hooks.core.change import Change
from change_hooks.core.delivery import Delivery
from change_hooks.journal.chunks import document_after, document_with, read
from change_hooks.journal.compression import Packed
from change_hooks.journal.session import Row, Session

#: What a delivery is restored from.
DELIVERY = "dialect, id, received, head, body, body_size, large_body"
#: What its changes are.
CHANGES = "changes, changes_size, large_changes"

#: What decoding raises. Errors of msgspec and of UTF-8 are ValueErrors; what is missing is a TypeError.
DAMAGE = (ValueError, TypeError, LookupError, OverflowError, MemoryError, LZ4BlockError)

_decode = msgspec.json.Decoder(list[Change]).decode


class Unreadable(Exception):
    """What is stored cannot be decoded."""


def restored(session: Session, row: Row) -> Delivery:
    """The delivery that a row with the columns :data:`DELIVERY` holds.

    :raises Unreadable: it has been damaged.
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
    """Some of the changes that a row with the columns :data:`CHANGES` holds, with the one at *index*.

    :returns: the index of the first of them; they; and the index of the first after them, None when there is
        none.
    :raises Unreadable: they have been damaged.
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
    """All changes that a row with the columns :data:`CHANGES` holds.

    :raises Unreadable: they have been damaged.
    """
    index: int | None = 0 if row["changes"] or row["large_changes"] else None
    while index is not None:
        _, found, index = changes_from(session, index, row)
        yield from found


__all__ = ["CHANGES", "DELIVERY", "Unreadable", "all_changes", "changes_from", "restored"]
