"""Stores large data in pieces.

Strategy: the duration of a commit depends on its size, and everybody waits for it. So large data is stored
beforehand, one piece per transaction, between the commits of others; the transaction that stores the delivery
only refers to it by name. Changes are grouped into *documents*, each readable separately, so that neither
writing nor reading needs all of them in memory. If a receiver dies before it refers to its data, the data is
swept away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import msgspec

from change_hooks.core.change import Change
from change_hooks.core.errors import Unavailable
from change_hooks.journal.compression import Packed, packed
from change_hooks.journal.session import Session, among

#: The largest body, and the largest document of changes, that is stored in one piece, in bytes.
LARGE = 2 * 1024 * 1024
#: The size of a piece, in bytes.
PIECE = 512 * 1024
#: After how long unnamed data is swept away, in seconds.
FORGOTTEN = 3600.0

_encode = msgspec.json.Encoder().encode


class Piece(NamedTuple):
    """A part of a document.

    :param document: the document's number: the index of its first change; 0 for a body.
    :param part: the position of the piece in the document, from 0.
    """

    document: int
    part: int
    data: bytes


def body_in_pieces(body: bytes) -> Iterator[Piece]:
    """The pieces of a body, which is one document."""
    return _cut(0, body)


def changes_in_pieces(changes: Sequence[Change]) -> Iterator[Piece]:
    """The pieces of documents of changes, as JSON separated by commas."""
    first, held, size = 0, list[bytes](), 0
    for index, change in enumerate(changes):
        encoded = _encode(change)
        if held and size + len(encoded) > PIECE:
            yield from _cut(first, b",".join(held))
            first, held, size = index, [], 0
        held.append(encoded)
        size += len(encoded)
    yield from _cut(first, b",".join(held))


def _cut(document: int, data: bytes) -> Iterator[Piece]:
    if len(data) <= PIECE:
        yield Piece(document, 0, data)
        return
    for part, start in enumerate(range(0, len(data), PIECE)):
        yield Piece(document, part, data[start : start + PIECE])


def store(session: Session, name: str, piece: Piece) -> None:
    """Store a piece of the data *name*; the pieces must be stored in order."""
    if piece.document == piece.part == 0:
        session.execute("INSERT INTO large (name, since) VALUES (?, ?)", (name, session.clock()))
    document, part, data = piece
    session.execute(
        "INSERT INTO pieces (name, document, part, data, size) VALUES (?, ?, ?, ?, ?)",
        (name, document, part, *packed(data)),
    )


def attach(session: Session, seq: int, names: Sequence[str]) -> None:
    """Make the data *names* part of the delivery *seq*.

    :raises Unavailable: the data has been swept away.
    """
    for name in names:
        if not session.execute("UPDATE large SET seq = ? WHERE name = ?", (seq, name)).rowcount:
            raise Unavailable("storing the delivery took too long; send it again")


def discard(session: Session, names: Sequence[str]) -> None:
    """Delete the data *names*, even if it is incomplete; but not if a delivery refers to it, because a commit
    may have succeeded although its response was lost.
    """
    if names:
        session.execute(
            f"DELETE FROM pieces WHERE name {among(names)} AND NOT EXISTS"
            " (SELECT 1 FROM large WHERE large.name = pieces.name AND large.seq IS NOT NULL)",
            names,
        )
        session.execute(f"DELETE FROM large WHERE seq IS NULL AND name {among(names)}", names)


def delete(session: Session, name: str) -> None:
    """Delete the data *name*, even if a delivery refers to it."""
    _delete(session, "name = ?", (name,))


def attached_to(session: Session, name: str) -> int | None:
    """The ``seq`` of the delivery that *name* is part of; None: there is none."""
    row = session.execute("SELECT seq FROM large WHERE name = ?", (name,)).fetchone()
    return None if row is None or row["seq"] is None else int(row["seq"])


def discard_of(session: Session, seqs: Sequence[int]) -> None:
    """Delete the data of the deliveries *seqs*."""
    if seqs:
        _delete(session, f"seq {among(seqs)}", seqs)


def sweep(session: Session, *, everything: bool = False) -> None:
    """Delete data that no delivery refers to.

    :param everything: not only old data. For when nobody is storing anything.
    """
    since = session.clock() + FORGOTTEN if everything else session.clock() - FORGOTTEN
    _delete(session, "seq IS NULL AND since < ?", (since,))


def _delete(session: Session, condition: str, parameters: Sequence[Any]) -> None:
    session.execute(
        f"DELETE FROM pieces WHERE name IN (SELECT name FROM large WHERE {condition})", parameters
    )
    session.execute(f"DELETE FROM large WHERE {condition}", parameters)


def read(session: Session, name: str, document: int = 0) -> bytes:
    """Read a document."""
    whole = BytesIO()
    part = 0
    while True:
        row = session.execute(
            "SELECT data, size FROM pieces WHERE name = ? AND document = ? AND part = ?",
            (name, document, part),
        ).fetchone()
        if row is None:
            return whole.getvalue()
        whole.write(Packed(row["data"], row["size"]).unpacked())
        part += 1


def document_with(session: Session, name: str, index: int) -> int:
    """The number of the document with the change at *index*."""
    row = session.execute(
        "SELECT max(document) AS found FROM pieces WHERE name = ? AND document <= ?", (name, index)
    ).fetchone()
    return int(row["found"])


def document_after(session: Session, name: str, document: int) -> int | None:
    """The number of the next document; None: there is none."""
    row = session.execute(
        "SELECT min(document) AS found FROM pieces WHERE name = ? AND document > ?", (name, document)
    ).fetchone()
    return None if row["found"] is None else int(row["found"])


__all__ = [
    "FORGOTTEN",
    "LARGE",
    "PIECE",
    "Piece",
    "attach",
    "attached_to",
    "body_in_pieces",
    "changes_in_pieces",
    "delete",
    "discard",
    "discard_of",
    "document_after",
    "document_with",
    "read",
    "store",
    "sweep",
]
