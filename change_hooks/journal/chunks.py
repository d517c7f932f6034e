"""What is large, stored in pieces.

Strategy: a commit takes as long as what is in it, and everybody waits for it. So what is large is brought to
the store beforehand, a piece in each transaction, between the commits of the others; the transaction that
stores the delivery only names it. Changes are put together to *documents*, each of them readable by itself,
so that neither writing nor reading needs all of them in memory. What a receiver brought that died before it
named it is swept away.
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

#: The largest body that is stored in one piece, in bytes, and the largest document of changes that is.
LARGE = 2 * 1024 * 1024
#: The size of a piece, in bytes.
PIECE = 512 * 1024
#: When what nobody named is swept away, in seconds.
FORGOTTEN = 3600.0

_encode = msgspec.json.Encoder().encode


class Piece(NamedTuple):
    """A part of a document.

    :param document: the document's number: the index of its first change; 0 for a body.
    :param part: the place of the piece in the document, from 0.
    """

    document: int
    part: int
    data: bytes


def body_in_pieces(body: bytes) -> Iterator[Piece]:
    """A body is one document."""
    return _cut(0, body)


def changes_in_pieces(changes: Sequence[Change]) -> Iterator[Piece]:
    """Documents of changes in JSON, with commas between them."""
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
    """Store a piece of what is called *name*; the first one first."""
    if piece.document == piece.part == 0:
        session.execute("INSERT INTO large (name, since) VALUES (?, ?)", (name, session.clock()))
    document, part, data = piece
    session.execute(
        "INSERT INTO pieces (name, document, part, data, size) VALUES (?, ?, ?, ?, ?)",
        (name, document, part, *packed(data)),
    )


def attach(session: Session, seq: int, names: Sequence[str]) -> None:
    """Make what is called *names* a part of the delivery at place *seq*.

    :raises Unavailable: it has been swept away.
    """
    for name in names:
        if not session.execute("UPDATE large SET seq = ? WHERE name = ?", (seq, name)).rowcount:
            raise Unavailable("storing the delivery took too long; send it again")


def discard(session: Session, names: Sequence[str]) -> None:
    """Delete what is called *names*, also what is left of it; but not what a delivery has: a commit may have
    been done although its answer was lost.
    """
    if names:
        session.execute(
            f"DELETE FROM pieces WHERE name {among(names)} AND NOT EXISTS"
            " (SELECT 1 FROM large WHERE large.name = pieces.name AND large.seq IS NOT NULL)",
            names,
        )
        session.execute(f"DELETE FROM large WHERE seq IS NULL AND name {among(names)}", names)


def delete(session: Session, name: str) -> None:
    """Delete what is called *name*, although a delivery has it."""
    _delete(session, "name = ?", (name,))


def attached_to(session: Session, name: str) -> int | None:
    """The place of the delivery of which *name* is a part; None: of none."""
    row = session.execute("SELECT seq FROM large WHERE name = ?", (name,)).fetchone()
    return None if row is None or row["seq"] is None else int(row["seq"])


def discard_of(session: Session, seqs: Sequence[int]) -> None:
    """Delete what belongs to the deliveries at the places *seqs*."""
    if seqs:
        _delete(session, f"seq {among(seqs)}", seqs)


def sweep(session: Session, *, everything: bool = False) -> None:
    """Delete what no delivery names.

    :param everything: not only what was brought long ago. For when nobody brings anything.
    """
    since = session.clock() + FORGOTTEN if everything else session.clock() - FORGOTTEN
    _delete(session, "seq IS NULL AND since < ?", (since,))


def _delete(session: Session, condition: str, parameters: Sequence[Any]) -> None:
    session.execute(
        f"DELETE FROM pieces WHERE name IN (SELECT name FROM large WHERE {condition})", parameters
    )
    session.execute(f"DELETE FROM large WHERE {condition}", parameters)


def read(session: Session, name: str, document: int = 0) -> bytes:
    """A document."""
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
    """The number of the document that holds the change at *index*."""
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
